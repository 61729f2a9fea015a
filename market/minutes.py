"""Which minute an exchange time belongs to: the 240 of continuous trading, and the two auctions.

Feeds push for a while after a session has ended: what is stamped 11:30:00 and 15:00:00, and up to a minute later, was
traded before, and belongs to the minute before. After-hours trading at the closing price, from 15:05, is in no minute.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from market.codes import EXCHANGES
from market.times import DAY_MS, SHANGHAI_MS

MINUTE_MS = 60_000

Auction = Literal["opening", "closing"]


class Minute(NamedTuple):
    """A minute of a day: from ``start`` up to, not including, ``end``. All of it in ms, since midnight or the epoch.

    Attributes:
        auction: of which auction it is; ``None``: continuous trading.
        since, until: the exchange times that belong to it, ``until`` itself excluded.
        last: whether a pause follows, in which feeds go on pushing for a moment.
    """

    start: int
    end: int
    auction: Auction | None
    since: int
    until: int
    last: bool = False

    def of(self, midnight: int) -> Minute:
        """The same minute of the day that begins then, ms since the epoch."""
        return Minute(
            self.start + midnight, self.end + midnight, self.auction, self.since + midnight, self.until + midnight,
            self.last,
        )  # fmt: skip


def _at(hour: int, minute: int) -> int:
    return (hour * 60 + minute) * MINUTE_MS


_OPENING = Minute(_at(9, 25), _at(9, 26), "opening", _at(9, 25), _at(9, 30))
_CLOSING = Minute(_at(14, 59), _at(15, 0), "closing", _at(15, 0), _at(15, 1), last=True)
_BEFORE_LUNCH = Minute(_at(11, 29), _at(11, 30), None, _at(11, 29), _at(11, 31), last=True)
_BEFORE_CLOSE = Minute(_at(14, 59), _at(15, 0), None, _at(14, 59), _at(15, 1), last=True)
_HOURS = ((_at(9, 30), _at(11, 30)), (_at(13, 0), _at(15, 0)))


def minute_of(time: int, exchange: str, *, closing_auction: bool = True) -> Minute | None:
    """The minute that an exchange time belongs to, ms since the epoch; ``None`` outside the trading hours.

    Args:
        exchange: one whose hours are not known here has every minute of the day, and no auction.
        closing_auction: whether the close is made by one; else what comes after 15:00:00 is of the last minute.
    """
    since_midnight = (time + SHANGHAI_MS) % DAY_MS
    found = _plain(since_midnight // MINUTE_MS) if exchange not in EXCHANGES else _traded(since_midnight)
    if found is None:
        return None
    if found is _BEFORE_CLOSE and closing_auction:
        found = _CLOSING if since_midnight >= _CLOSING.since else _plain(found.start // MINUTE_MS)
    return found.of(time - since_midnight)


def _traded(since_midnight: int) -> Minute | None:
    for special in (_OPENING, _BEFORE_LUNCH, _BEFORE_CLOSE):
        if special.since <= since_midnight < special.until:
            return special
    if any(start <= since_midnight < end for start, end in _HOURS):
        return _plain(since_midnight // MINUTE_MS)
    return None


@lru_cache(maxsize=DAY_MS // MINUTE_MS)
def _plain(number: int) -> Minute:
    start = number * MINUTE_MS
    return Minute(start, start + MINUTE_MS, None, start, start + MINUTE_MS)

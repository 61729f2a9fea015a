"""What the quality gate knows of a code: what its ticks are compared with, and how that is made. No I/O."""

from __future__ import annotations

from datetime import date
from typing import Any

from market.bands import day_band_e4
from market.codes import Board, Instrument, Kind
from market.prices import to_e4
from schemas import Instrument as Facts

_EVER = 1 << 62
_EPOCH = date(1970, 1, 1).toordinal()
_ALL_PRICES = (0, _EVER)
_NO_PRICE = (_EVER, 0)
_TRADED = frozenset({Kind.A_SHARE, Kind.FUND, Kind.CONVERTIBLE})


class _Quick:
    """What a tick that is well is compared with, side by side: of 5,000 codes, most are in no cache.

    Attributes:
        last: the latest time so far, ms since the epoch.
        until: times from ``last`` to before this are in the stretch of trading that ``last`` is in.
        price: the last one that was well, in yuan; ``None`` before the first, and when the rules change.
        low, high: 1/10,000 yuan; prices that are well lie between them, and none does while the code is unknown.
        grid: the tick size, 1/10,000 yuan; 1 where it is not judged.
        close: the previous close, in yuan, that the band was made of.
        beside: what the gate's user keeps beside a code.
    """

    __slots__ = ("beside", "close", "grid", "high", "last", "low", "price", "until")

    last: int
    until: int
    price: float | None
    low: int
    high: int
    grid: int
    close: float | None
    beside: Any


class Row(_Quick):
    """What is known of a code.

    Attributes:
        code: as its first tick had it.
        band: the day's limits, 1/10,000 yuan; ``None`` where they are not known, or there are none.
        day: days since the epoch, in Shanghai.
        facts: what the list of instruments says of it.
        judged: whether its limits and hours are.
    """

    __slots__ = ("band", "board", "code", "day", "exchange", "facts", "judged", "named", "unknown")

    def __init__(
        self, code: str, named: Instrument | None, grid: int, kinds: frozenset[Kind], facts: Facts | None = None
    ) -> None:
        """A code before its first tick."""
        self.code = code
        self.named = named
        self.judged = named is not None and named.kind in _TRADED & (kinds | {Kind.A_SHARE})
        self.facts = facts
        self.exchange = named.exchange if named else ""
        self.board = named.board if named else Board.OTHER
        self.grid = grid
        self.last = self.until = 0
        self.day = -1
        self.unknown = True
        self.close = None
        self.band: tuple[int, int] | None = None
        self.beside = None
        self.bound()

    def begin(self, day: int, on: date) -> None:
        """Start a day: its close is not known yet, and its limits are where the list of instruments has them."""
        self.day = day
        self.close = None
        self.band = self._band(on)
        self.bound()

    def learn(self, close: float, on: date) -> None:
        """Take a previous close of the row's day."""
        self.close = close
        self.band = self._band(on)
        self.bound()

    def inform(self, facts: Facts | None) -> None:
        """The list of instruments says something else of the code."""
        self.facts = facts
        if self.day >= 0:
            self.band = self._band(date.fromordinal(_EPOCH + self.day))
        self.bound()

    def _band(self, on: date) -> tuple[int, int] | None:
        """The limits of the list where they are of the day, else those that the rules make of a previous close."""
        facts, close, st, listed = self.facts, self.close, False, None
        if facts is not None:
            if facts.day == on.isoformat():
                if facts.limit_up is not None and facts.limit_down is not None:
                    return to_e4(facts.limit_down), to_e4(facts.limit_up)
                close = close or facts.previous_close
            st = bool(facts.st)
            listed = None if facts.list_date is None else _date(facts.list_date)
            if listed is not None and listed > on:
                listed = None
        if close is None or self.named is None or not self.judged:
            return None
        return day_band_e4(to_e4(close), self.named, on, st=st, listed=listed)

    def bound(self) -> None:
        """Make ``low`` and ``high`` of what is known."""
        self.price = None
        self.low, self.high = _NO_PRICE if self.unknown else self.band or _ALL_PRICES


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # the form of a date, and not one of the calendar
        return None

"""What the pipeline's jobs should give, computed the plain way: one tick after the other, in exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from selfcheck.exact import Rule, basis_points, exact
from selfcheck.repeats import Repeats

Json = dict[str, Any]
_CHINA = timedelta(hours=8)
_MS_A_DAY = 86_400_000
_AFTER_RECEIPT = 60_000_000
"""µs by which a receipt may be behind the trade: local clocks are wrong."""
_DOUBTFUL = frozenset({"off_grid", "outside_limits"})


@lru_cache(maxsize=64)
def _date_of(day: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()


def session_date(time: int) -> date:
    """The date in China (UTC+8, without daylight saving since 1992) of an exchange time in ms since the epoch."""
    return _date_of((time + _CHINA // timedelta(milliseconds=1)) // _MS_A_DAY)


def flaws(tick: Json) -> frozenset[str]:
    """What its quality names."""
    return frozenset((tick.get("quality") or "").split(","))


def session_of(tick: Json, current: date | None) -> date:
    """The session of a tick of a code whose session is ``current``: nothing was traded after it was received."""
    time, received = tick["time"], tick["received"]
    if current is not None and time * 1000 <= received and "future" in flaws(tick):
        return current  # a market that is played
    return min(session_date(time), session_date((received + _AFTER_RECEIPT) // 1000))


def exchange_of(code: str) -> str:
    """The exchange of a bare six-digit A-share code, by its first digits (numbering plans of the exchanges).

    Any other instrument carries its exchange behind a dot.
    """
    if "." in code:
        return code.rpartition(".")[2]
    if code.startswith(("92", "4", "8")):
        return "BSE"
    return "SSE" if code.startswith("6") else "SZSE"


def board_of(code: str) -> str:
    """The board of a bare six-digit A-share code, as thresholds name it."""
    if code.startswith(("688", "689")):
        return "STAR"
    if code.startswith(("300", "301", "302")):
        return "CHINEXT"
    return "BSE" if exchange_of(code) == "BSE" else "MAIN"


class Change(NamedTuple):
    """One expected price change, its fields as the record shows them, in the contract's units."""

    code: str
    price: float
    previous: float | None
    change: float | None
    change_bp: float | None
    time: int
    received: int
    volume: float | None
    ticks: int
    threshold: float
    quality: str | None = None


@dataclass(slots=True)
class _Emitted:
    """Where a code stands: last emitted price (``None`` before the first), volume and ticks since."""

    last: Decimal | None = None
    volume: float | None = None
    ticks: int = 0


class ChangeReference:
    """Price changes of ticks given in the order of their partition."""

    def __init__(self, rule: Rule) -> None:
        """No tick was seen yet."""
        self._rule = rule
        self._codes: dict[str, _Emitted] = {}
        self._repeats = Repeats()

    def apply(self, tick: Json, rule: Rule | None = None) -> Change | None:
        """Take one tick record; gives the change that it causes, if any.

        ``rule`` is the one in force at this tick, where it is not that of all.
        A repeat has no effect.
        """
        rule = rule or self._rule
        if not self._repeats.takes_effect(tick):
            return None
        code = tick["code"]
        state = self._codes.get(code)
        if state is None:
            state = self._codes[code] = _Emitted()
        volume = tick.get("volume")
        if volume is not None:
            state.volume = volume if state.volume is None else state.volume + volume
        state.ticks += 1
        price, last = exact(tick["price"]), state.last
        if last is None:
            change = Change(
                code, tick["price"], None, None, None, tick["time"], tick["received"],
                state.volume, state.ticks, rule.shown(price), tick.get("quality"),
            )  # fmt: skip
        elif abs(price - last) > rule.yuan(last):
            change = Change(
                code, tick["price"], float(last), float(price - last), basis_points(price - last, last), tick["time"],
                tick["received"], state.volume, state.ticks, rule.shown(last), tick.get("quality"),
            )  # fmt: skip
        else:
            return None
        state.last, state.volume, state.ticks = price, None, 0
        return change


@dataclass(slots=True)
class Session:
    """A code's session so far: prices in yuan, ``turnover`` exact, sums ``None`` while no tick carried any.

    Attributes:
        doubtful: ticks whose price broke a trading rule.
        quality: of the last tick.
    """

    session: date
    price: float
    time: int
    received: int
    open: float
    high: float
    low: float
    ticks: int = 0
    doubtful: int = 0
    volume: float | None = None
    turnover: Decimal | None = None
    previous_close: float | None = None
    quality: str | None = None


class SessionReference:
    """Each code's latest session; a tick of a later one starts it, one of an earlier session changes nothing."""

    def __init__(self) -> None:
        """No tick was seen yet."""
        self.codes: dict[str, Session] = {}
        self._repeats = Repeats()

    def apply(self, tick: Json) -> bool:
        """Take one tick record, in the order of its partition; gives whether it took effect on its code's session."""
        if not self._repeats.takes_effect(tick):
            return False
        code, price = tick["code"], tick["price"]
        session = self.codes.get(code)
        day = session_of(tick, None if session is None else session.session)
        if session is not None and day < session.session:
            return False
        if session is None or day > session.session:
            session = self.codes[code] = Session(day, price, tick["time"], tick["received"], price, price, price)
        session.price, session.time, session.received = price, tick["time"], tick["received"]
        session.quality = tick.get("quality")
        doubted = not _DOUBTFUL.isdisjoint(flaws(tick))
        all_doubtful = session.doubtful == session.ticks
        session.ticks += 1
        session.doubtful += doubted
        if all_doubtful and not doubted:
            session.open = session.high = session.low = price
        elif all_doubtful or not doubted:
            session.high = max(session.high, price)
            session.low = min(session.low, price)
        volume, turnover, close = tick.get("volume"), tick.get("turnover"), tick.get("previous_close")
        if volume is not None:
            session.volume = volume if session.volume is None else session.volume + volume
        if turnover is not None:
            amount = Decimal(repr(turnover))
            session.turnover = amount if session.turnover is None else session.turnover + amount
        if close is not None:
            session.previous_close = close
        return True

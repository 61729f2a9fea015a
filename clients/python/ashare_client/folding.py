"""Bars as others have them, made from bars of one minute: wider ones, labels, what becomes of the auction, filling.

    fold(minute_bars, minutes=5, preset="tdx")

Wider bars are made of the minutes of one session, morning and afternoon apart: none reaches over lunch. The closing
auction is always part of the last bar, as all conventions have it. Pure; nothing is read here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from ashare_client.errors import ArgumentError
from ashare_client.records import Bar

Minutes = Literal[1, 5, 15, 30, 60, "day"]
Label = Literal["left", "right"]
Auction = Literal["first", "own", "drop"]
Fill = Literal["forward"]
Preset = Literal["tdx", "qmt", "tushare", "joinquant", "ricequant", "vnpy", "dolphindb", "akshare"]

_MINUTE_MS = 60_000
_SHANGHAI_MS = 8 * 3_600_000
_DAY_MS = 86_400_000
_EXCHANGES = frozenset({"SSE", "SZSE", "BSE"})
_AUCTION, _MORNING, _LUNCH, _AFTERNOON, _CLOSE = 565, 570, 690, 780, 900
"""Minutes of the day."""
_HALF = _LUNCH - _MORNING


class KBar(NamedTuple):
    """A bar of any width, labelled as asked for. Prices and turnover in yuan, volume in shares.

    Attributes:
        code: as in the topics.
        session: Shanghai date, YYYY-MM-DD.
        time: the label, exchange time in ms since the epoch.
        start: exchange time from which on, ms since the epoch.
        end: exchange time before which; over lunch nothing is.
        open: the first price.
        high: the highest.
        low: the lowest.
        close: the last.
        volume: `None` where the feed carries none.
        turnover: likewise.
        ticks: how many ticks are in it.
        gap: whether some of it may be missing.
        filled: nothing traded: it shows the close before it, and volume and turnover are 0.
    """

    code: str
    session: str
    time: int
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    turnover: float | None
    ticks: int
    gap: bool = False
    filled: bool = False


@dataclass(frozen=True)
class Convention:
    """What users of a platform expect.

    Attributes:
        label: `"left"` names a bar by its start, `"right"` by its end.
        auction: what becomes of the opening auction: it is part of the first bar, a bar of its own, or left out.
        fill: `"forward"` shows the last price where nothing traded.
        wide: what becomes of the auction in bars wider than a minute.
    """

    label: Label
    auction: Auction
    fill: Fill | None
    wide: Auction = "first"


PRESETS: Mapping[str, Convention] = {
    "tdx": Convention("right", "first", "forward"),
    "qmt": Convention("right", "own", "forward"),
    "tushare": Convention("right", "own", "forward"),
    "joinquant": Convention("right", "first", "forward"),
    "ricequant": Convention("right", "first", "forward"),
    "vnpy": Convention("left", "first", None),
    "dolphindb": Convention("left", "first", "forward"),
    "akshare": Convention("right", "own", "forward"),
}
"""By name; `docs/bars.md` has a worked example of each."""


def convention(
    preset: str | None = None,
    *,
    minutes: int | str = 1,
    label: str | None = None,
    auction: str | None = None,
    fill: str | None = None,
) -> Convention:
    """The convention that is asked for: a preset's, where what is given beside it does not say otherwise.

    Raises:
        ArgumentError: there is no such preset, label or other thing; the text says which there are.
    """
    _check("minutes", minutes, get_args(Minutes))
    if preset is not None:
        _check("preset", preset, tuple(PRESETS))
    of = Convention("right", "first", None) if preset is None else PRESETS[preset]
    wide = of.auction if preset is None or minutes == 1 else of.wide
    for name, value, possible in (
        ("label", label, get_args(Label)),
        ("auction", auction, get_args(Auction)),
        ("fill", fill, (*get_args(Fill), "none")),
    ):
        if value is not None:
            _check(name, value, possible)
    filled = of.fill if fill is None else None if fill == "none" else "forward"
    return Convention(label or of.label, auction or wide, filled)  # type: ignore[arg-type]


def fold(
    bars: Iterable[Bar],
    *,
    minutes: Minutes = 1,
    label: Label | None = None,
    auction: Auction | None = None,
    fill: Fill | Literal["none"] | None = None,
    preset: Preset | None = None,
) -> list[KBar]:
    """Bars as asked for, by code and time.

    Args:
        bars: of one minute, of any codes and sessions, in any order; of one bar the last given counts.
        minutes: 1, 5, 15, 30, 60 or `"day"`.
        label: `"right"` (by default) names a bar by its end, `"left"` by its start. A bar of the auction's own is named
            09:30, or 09:25.
        auction: `"first"` (by default) has the opening auction in the first bar, `"own"` as a bar of its own, `"drop"`
            leaves it out.
        fill: `"forward"` gives a bar where nothing traded, from the session's first (its price known from the session
            before) or from the code's first trade, to the latest bar of any code given; `"none"` (by default) gives
            none.
        preset: all that as a platform has it: `PRESETS`.

    Raises:
        ArgumentError: as `convention`.
    """
    how = convention(preset, minutes=minutes, label=label, auction=auction, fill=fill)
    sessions: dict[tuple[str, str], dict[tuple[int, str | None], Bar]] = defaultdict(dict)
    reached: dict[str, int] = {}
    for bar in bars:
        sessions[bar.code, bar.session][bar.start, bar.auction] = bar
        reached[bar.session] = max(reached.get(bar.session, 0), bar.start)
    made: list[KBar] = []
    before: KBar | None = None
    for (code, session), of_session in sorted(sessions.items()):
        known = before.close if before is not None and before.code == code else None
        grid, exchange = _Grid(session, minutes), next(iter(of_session.values())).exchange
        folded = list(_session(of_session.values(), grid, how))
        if how.fill is not None and exchange in _EXCHANGES:
            folded = _filled(folded, grid, how, known=known, reached=reached[session])
        made += folded
        before = folded[-1] if folded else before
    return made


class _Grid:
    """The bars of a session, by number: the opening auction's own is -1. Of other markets, by the hours of the day."""

    def __init__(self, session: str, minutes: int | str) -> None:
        self.session = session
        self.minutes = minutes
        self.day = minutes == "day"
        self._width = 1 if isinstance(minutes, str) else minutes

    def number(self, bar: Bar) -> int:
        """The bar that a minute is part of."""
        if self.day:
            return 0
        minute = (bar.start + _SHANGHAI_MS) % _DAY_MS // _MINUTE_MS
        if bar.exchange not in _EXCHANGES:
            return minute // self._width
        return self._of(minute) // self._width

    @staticmethod
    def _of(minute: int) -> int:
        if minute < _MORNING:
            return 0
        return min(minute, _LUNCH - 1) - _MORNING if minute < _AFTERNOON else minute - _AFTERNOON + _HALF

    def times(self, number: int, bar: Bar) -> tuple[int, int]:
        """From and to, ms since the epoch."""
        midnight = bar.start - (bar.start + _SHANGHAI_MS) % _DAY_MS
        chinese = bar.exchange in _EXCHANGES
        if self.day:
            start, end = (_MORNING, _CLOSE) if chinese else (0, _DAY_MS // _MINUTE_MS)
        elif number < 0:
            start, end = _AUCTION, _MORNING
        else:
            start = number * self._width
            if chinese:
                start += _MORNING if start < _HALF else _AFTERNOON - _HALF
            end = start + self._width
        return midnight + start * _MINUTE_MS, midnight + end * _MINUTE_MS


def _session(bars: Iterable[Bar], grid: _Grid, how: Convention) -> Iterator[KBar]:
    """The bars of one code and session that something traded in."""
    parts: dict[int, list[Bar]] = defaultdict(list)
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.auction == "closing")):
        number = grid.number(bar)
        if bar.auction == "opening" and how.auction != "first":
            if how.auction == "drop":
                continue
            number = number if grid.day else -1
        parts[number].append(bar)
    for number, some in sorted(parts.items()):
        start, end = grid.times(number, some[0])
        yield KBar(
            some[0].code,
            grid.session,
            start if how.label == "left" else end,
            start,
            end,
            some[0].open,
            max(bar.high for bar in some),
            min(bar.low for bar in some),
            some[-1].close,
            _sum(bar.volume for bar in some),
            _sum(bar.turnover for bar in some),
            sum(bar.ticks for bar in some),
            gap=any(bar.gap is not None for bar in some),
        )


def _filled(bars: list[KBar], grid: _Grid, how: Convention, *, known: float | None, reached: int) -> list[KBar]:
    """A session's bars with those in which nothing traded between; of a market whose hours are known."""
    if not bars or grid.day:
        return bars
    midnight = bars[0].start - (bars[0].start + _SHANGHAI_MS) % _DAY_MS
    there = {bar.start: bar for bar in bars}
    width = int(grid.minutes) * _MINUTE_MS
    close = known
    made = [bar for bar in bars if bar.start < midnight + _MORNING * _MINUTE_MS]
    if made:
        close = made[-1].close
    for half in (_MORNING, _AFTERNOON):
        first = midnight + half * _MINUTE_MS
        for start in range(first, min(first + _HALF * _MINUTE_MS, reached + 1), width):
            bar = there.get(start)
            if bar is not None:
                made.append(bar)
                close = bar.close
            elif close is not None:
                time = start if how.label == "left" else start + width
                made.append(
                    KBar(
                        bars[0].code, grid.session, time, start, start + width, close, close, close, close, 0, 0.0, 0,
                        filled=True,
                    )
                )  # fmt: skip
    return made


def _sum(numbers: Iterable[float | None]) -> float | None:
    """What there is of several, exact in decimals."""
    found = [number for number in numbers if number is not None]
    if not found:
        return None
    if all(isinstance(number, int) for number in found):
        return sum(found)
    return float(sum(Decimal(repr(number)) for number in found))


def _check(name: str, value: object, possible: tuple[object, ...]) -> None:
    if value not in possible or isinstance(value, bool):
        raise ArgumentError(f"{name}: {value!r} is none: there are {', '.join(map(repr, possible))}")

"""Bars of one minute, computed a second time from ``docs/decisions.md``, "What a bar holds", and compared.

The plain way: every tick of a partition, one after the other, into the bar of its minute. The topic must have each bar
that market time has passed, as it is with all its ticks; the state rows must have what is still open.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from selfcheck.findings import Findings
from selfcheck.log import Entry
from selfcheck.marks import Due
from selfcheck.reference import board_of, exchange_of, flaws, session_date, session_of
from selfcheck.repeats import Repeats
from selfcheck.snapshots import same_amount

Json = dict[str, Any]
Key = tuple[int, str | None]
"""Start, ms since the epoch, and auction."""

KEPT = 4
_MINUTE = 60_000
_CHINA = timedelta(hours=8)
_DOUBTFUL = frozenset({"off_grid", "outside_limits"})
_CHINESE = frozenset({"SSE", "SZSE", "BSE"})
_OF_LATER = date(2018, 8, 20)
"""Since when the main board and STAR of Shanghai close by an auction."""
_OF_ALL = date(2026, 7, 6)
"""Since when all that Shanghai lists does."""
_INSIDE = 1_000_000
"""µs that a gap lasts at least, to be looked for in the bar that it lies in."""


def _clock(hour: int, minute: int) -> int:
    return hour * 60 + minute


def closes_by_auction(code: str, exchange: str, day: date) -> bool:
    """Whether what is stamped 15:00:00 is an auction's: always, but while Shanghai traded to the end."""
    if exchange != "SSE" or day >= _OF_ALL:
        return True
    return "." not in code and board_of(code) in {"MAIN", "STAR"} and day >= _OF_LATER


def minute_of(code: str, exchange: str, time: int) -> tuple[Key, int] | None:
    """The bar of an exchange time, and the market time that closes it; ``None`` where it is in none."""
    local = datetime.fromtimestamp(time / 1000, UTC) + _CHINA
    minute, auction, settle = local.hour * 60 + local.minute, None, 2_000
    if exchange in _CHINESE:
        if _clock(9, 25) <= minute < _clock(9, 30):
            minute, auction = _clock(9, 25), "opening"
        elif minute == _clock(11, 30):
            minute -= 1
        elif minute == _clock(15, 0):
            minute -= 1
            auction = "closing" if closes_by_auction(code, exchange, local.date()) else None
        elif not (_clock(9, 30) <= minute < _clock(11, 30) or _clock(13, 0) <= minute < _clock(15, 0)):
            return None
        before_pause = minute == _clock(11, 29) or auction == "closing"
        before_pause |= minute == _clock(14, 59) and not closes_by_auction(code, exchange, local.date())
        settle = 10_000 if before_pause else 2_000
    midnight = round((datetime.combine(local.date(), datetime.min.time(), UTC) - _CHINA).timestamp() * 1000)
    start = midnight + minute * _MINUTE
    return (start, auction), start + _MINUTE + settle


@dataclass(slots=True)
class _Bar:
    """A bar as its ticks make it, in yuan."""

    due: int
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    ticks: int = 0
    doubtful: int = 0
    volume: float | None = None
    turnover: Decimal | None = None
    offset: int = -1
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class _Code:
    """A code's session: its bars, those that may still change, and the day's figures."""

    partition: int
    exchange: str
    session: date | None = None
    bars: dict[Key, _Bar] = field(default_factory=dict)
    open: list[Key] = field(default_factory=list)
    high: float | None = None
    low: float | None = None
    sources: set[str] = field(default_factory=set)


def _order(key: Key) -> tuple[int, bool]:
    return key[0], key[1] == "closing"


class BarReference:
    """The bars of ticks that are given partition by partition, in order.

    Attributes:
        market: how far the ticks of each partition say that the market is.
        codes: every code that has a bar, in any session.
    """

    def __init__(self) -> None:
        """No tick was seen yet."""
        self.market: defaultdict[int, int] = defaultdict(int)
        self.codes: dict[str, _Code] = {}
        self._repeats = Repeats()

    def apply(self, partition: int, offset: int, tick: Json) -> None:
        """Take one tick."""
        time, received, named = tick["time"], tick["received"], flaws(tick)
        of_its_day = session_of({"time": time, "received": received}, None) == session_date(time)
        dated = of_its_day and "future" not in named
        code, exchange = tick["code"], exchange_of(tick["code"])
        placed = minute_of(code, exchange, time)
        if dated and not (placed is None and "off_session" in named):
            self.market[partition] = max(self.market[partition], time)
        if not self._repeats.takes_effect(tick) or tick.get("volume") == 0 or not dated:
            return
        if placed is None:
            return
        key, due = placed
        state = self.codes.setdefault(code, _Code(partition, exchange))
        day = session_date(time)
        if state.session is not None and day < state.session:
            return
        if state.session != day:
            state.session, state.open, state.high, state.low = day, [], None, None
        if key not in state.open:
            if len(state.open) == KEPT and _order(key) < _order(state.open[0]):
                return
            state.open = sorted([*state.open, key], key=_order)[-KEPT:]
        state.sources.add(tick["source"])
        bar = state.bars.setdefault(key, _Bar(due, first=received))
        bar.offset, bar.last = offset, received
        _take(bar, tick, doubtful=not _DOUBTFUL.isdisjoint(named))
        if _DOUBTFUL.isdisjoint(named) and "day_figures" not in named:
            _raise(state, bar, tick)


def _take(bar: _Bar, tick: Json, *, doubtful: bool) -> None:
    price, volume, turnover = tick["price"], tick.get("volume"), tick.get("turnover")
    all_doubtful = bar.doubtful == bar.ticks
    if bar.ticks == 0 or (all_doubtful and not doubtful):
        bar.open = bar.high = bar.low = bar.close = price
    elif all_doubtful or not doubtful:
        bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
    bar.ticks += 1
    bar.doubtful += doubtful
    if volume is not None:
        bar.volume = volume if bar.volume is None else bar.volume + volume
    if turnover is not None:
        bar.turnover = (bar.turnover or Decimal(0)) + Decimal(repr(turnover))


def _raise(state: _Code, bar: _Bar, tick: Json) -> None:
    high, low = tick.get("day_high"), tick.get("day_low")
    if high is not None and (state.high is None or high > state.high):
        if state.high is not None:
            bar.high = max(bar.high, high)
        state.high = high
    if low is not None and (state.low is None or low < state.low):
        if state.low is not None:
            bar.low = min(bar.low, low)
        state.low = low


class BarCheck:
    """Takes ticks, then the rows of the state's topic, then the records of the bars', and compares.

    Attributes:
        compared: bars that were, open ones included.
    """

    def __init__(self, findings: Findings) -> None:
        """Nothing was seen yet."""
        self.reference = BarReference()
        self.compared = 0
        self._findings = findings
        self._rows: dict[str, Json] = {}
        self._last: dict[tuple[str, Key], Json] = {}
        self._published: dict[tuple[str, Key], Json] = {}

    def row(self, entry: Entry) -> None:
        """Take a record of the state's topic."""
        key = (entry.key or b"").decode(errors="replace")
        try:
            if entry.value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = json.loads(entry.value)
        except ValueError:
            self._findings.add("bar_mismatches", why="no state", code=key, offset=entry.offset)

    def bar(self, entry: Entry) -> None:
        """Take a record of the bars' topic."""
        where = {"partition": entry.partition, "offset": entry.offset}
        try:
            bar = json.loads(entry.value or b"")
            code, place = bar["code"], (bar["start"], bar["auction"])
            if entry.key != code.encode() or bar["origin"]["partition"] != entry.partition:
                self._findings.add("bar_mismatches", why="under another key, or in another partition", got=bar, **where)
            self._last[code, place] = self._published[code, place] = bar
        except (ValueError, TypeError, KeyError):
            self._findings.add("bar_mismatches", why="no bar", value=repr(entry.value)[:200], **where)

    def finish(self, gaps: Sequence[Due]) -> None:
        """Compare, when everything was taken."""
        add = self._findings.add
        for code, state in self.reference.codes.items():
            market = self.reference.market[state.partition]
            for key, bar in state.bars.items():
                got = self._last.pop((code, key), None)
                if got is not None:
                    self._compare(code, key, got, gaps)
                elif bar.due <= market or key not in state.open:
                    add("bar_mismatches", code=code, start=key[0], auction=key[1], why="missing")
            self._compare_row(code, state, gaps)
        for (code, key), got in self._last.items():
            add("bar_mismatches", code=code, start=key[0], auction=key[1], why="no tick of this bar is due", got=got)

    def unlike(self, rows: Iterable[Json]) -> list[Json]:
        """Where the rows of a store are not the bars of the topic, each as it was published last."""
        left = dict(self._published)
        wrong: list[Json] = []
        for row in rows:
            auction = None if row["auction"] == "none" else row["auction"]
            bar = left.pop((row["code"], (row["start"], auction)), None)
            if bar is None:
                wrong.append({"why": "stored, and not published", "got": row})
                continue
            origin = bar["origin"]
            due = bar | {"origin_partition": origin["partition"], "origin_offset": origin["offset"], "auction": auction}
            got = row | {"auction": auction, "gap": None if row["gap"] is None else json.loads(row["gap"])}
            fields = {name: (due[name], value) for name, value in got.items() if due[name] != value}
            if fields:
                wrong.append({"why": "stored otherwise", "code": row["code"], "start": row["start"], "fields": fields})
        return wrong + [{"why": "not stored", "code": code, "start": key[0]} for code, key in left]

    def not_stored(self, example: Json) -> None:
        """Enter such a row as a finding."""
        self._findings.add("bar_mismatches", **example)

    def _compare_row(self, code: str, state: _Code, gaps: Sequence[Due]) -> None:
        row = self._rows.get(code)
        kept = [] if row is None else row["bars"]
        if row is None or [(one["start"], one["auction"]) for one in kept] != state.open:
            self._findings.add("bar_mismatches", code=code, why="its state has other bars", due=state.open, got=row)
            return
        for number, (key, got) in enumerate(zip(state.open, kept, strict=True)):
            if number >= row["published"]:
                self._compare(code, key, got, gaps)

    def _compare(self, code: str, key: Key, got: Json, gaps: Sequence[Due]) -> None:
        self.compared += 1
        state = self.reference.codes[code]
        bar = state.bars[key]
        due = {
            "exchange": state.exchange,
            "session": session_date(key[0]).isoformat(),
            "end": key[0] + _MINUTE,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "ticks": bar.ticks,
            "doubtful": bar.doubtful,
            "volume": bar.volume,
            "origin": {"partition": state.partition, "offset": bar.offset},
        }
        wrong = {
            name: {"expected": value, "got": got.get(name, "absent")}
            for name, value in due.items()
            if name not in got or got[name] != value
        }
        if not same_amount(bar.turnover, got.get("turnover", "absent")):
            wrong["turnover"] = {"expected": str(bar.turnover), "got": got.get("turnover")}
        if not _marked(code, state, bar, got.get("gap"), gaps):
            wrong["gap"] = {"got": got.get("gap"), "ticks": (bar.first, bar.last)}
        if wrong:
            self._findings.add("bar_mismatches", code=code, start=key[0], auction=key[1], fields=wrong)


def _marked(code: str, state: _Code, bar: _Bar, mark: Json | None, gaps: Sequence[Due]) -> bool:
    """Whether a bar's mark is one that was told of, and one is there where a gap lies between its ticks."""
    concerning = [gap for gap in gaps if gap.concerns(code, state.sources)]
    if mark is not None:
        return any(gap.id == mark["id"] for gap in concerning)
    return not any(
        not gap.over
        and not gap.vague
        and gap.end is not None
        and gap.end - gap.start >= _INSIDE
        and bar.first < gap.start
        and gap.end < bar.last
        for gap in concerning
    )

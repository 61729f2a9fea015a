"""What is known to be missing, and so which snapshots lack something: feed events in, the gap mark of a row out. Pure.

A row's mark follows from the events and from the row alone, whichever came first, so it is the same after a crash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from market.sessions import widest_hours
from schemas import FeedEvent, GapMark

REMEMBERED = 4_096
"""Gaps of each line that are remembered, for codes whose session has not begun yet; rows have their marks already."""
CODES = 250_000
"""Codes that these may name in all, likewise."""

_DAY_MS = 86_400_000
_SHANGHAI_MS = 8 * 3_600_000
_DELAYED = 3_600_000_000
"""µs from exchange time to receipt up to which a market is one of this moment: delayed feeds are by some 15 minutes."""
_AHEAD = 60_000_000
"""µs up to which exchange time may be ahead of receipt there: no feed is, but local clocks are wrong."""


class MarkedRow(Protocol):
    """A snapshot's row: its session's ``day`` (days since 1970-01-01 in Shanghai), its last tick, its mark."""

    code: str
    exchange: str
    day: int
    time: int
    received: int
    gap: GapMark | None

    def came_by(self, source: str) -> bool:
        """Whether a tick of the line was applied."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when ticks of some codes of a line may be missing, µs since the epoch.

    Attributes:
        id: of the event that told of it.
        at: when it was told.
        end: ``None`` while it lasts.
        codes: ``None``: all that the line brings.
        vague: it began no one knows when after ``start``, as the producer was killed: with a code's last tick.
    """

    id: str
    source: str
    at: int
    start: int
    end: int | None
    codes: frozenset[str] | None
    vague: bool = False

    def concerns(self, row: MarkedRow) -> bool:
        """Whether the row's ticks come by the line, as far as is known."""
        return row.came_by(self.source) if self.codes is None else row.code in self.codes

    def reaches_into(self, row: MarkedRow) -> bool:
        """Whether there was trading of the row's session meanwhile, by its exchange's widest hours.

        These are exchange time and the span is local time. Where the row's last tick tells that the two are apart, a
        market of another time being played, every gap of its last day, local time, counts.
        """
        if not -_AHEAD <= row.received - row.time * 1000 <= _DELAYED:
            return self.end is None or self.end > row.received - _DAY_MS * 1000
        midnight = row.day * _DAY_MS - _SHANGHAI_MS
        return any(
            self.start < (midnight + to) * 1000 and (self.end is None or self.end > (midnight + since) * 1000)
            for since, to in widest_hours(row.exchange)
        )

    def mark(self, row: MarkedRow) -> GapMark:
        """The row's mark of it."""
        if row.gap is not None and row.gap.id == self.id:
            return GapMark(self.id, row.gap.start, self.end)
        seen = self.vague and self.start < row.received <= self.at
        return GapMark(self.id, row.received if seen else self.start, self.end)


@dataclass
class _Line:
    """What the events said of one line so far; ``newest`` is the run and number of the last event."""

    newest: tuple[int, int] = (-1, -1)
    run: int = -1
    at: int = 0
    subscribed: bool = False
    codes: frozenset[str] | None = None
    lasting: Span | None = None
    run_of_lasting: int = -1
    over: deque[Span] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose marks are to be looked at anew: the codes, ``None`` for all that the line brings."""

    source: str
    codes: frozenset[str] | None


class Missing:
    """The gaps of all lines, as their events tell of them."""

    def __init__(self) -> None:
        """Nothing is known to be missing."""
        self._lines: dict[str, _Line] = {}
        self._named = 0

    def take(self, event: FeedEvent) -> list[Concerned]:
        """Take one event in, in the order of the topic.

        One that is sent again changes nothing, nor does one of a producer after which another has begun.

        A line that has gone, or whose producer was stopped or killed, leaves a gap that lasts. It ends with the next
        subscription: by the gap that a producer then announces, or, where it was another producer's and so unknown to
        this one, by the subscription itself.
        """
        line = self._lines.setdefault(event.source, _Line())
        number = event.run, _number(event)
        if number <= line.newest:
            return []
        line.newest = number
        known = line.lasting
        match event.event:
            case "started":
                if line.subscribed and event.run > line.run and known is None:
                    self._last(line, event, line.at, vague=True)
                line.run, line.subscribed = max(line.run, event.run), False
            case "disconnected" if event.start is not None:
                self._last(line, event, event.start)
            case "stopped" | "overflow" if event.start is None:
                self._last(line, event, event.at)
            case "subscribed" | "resubscribed":
                self._again(line, event)
            case "gap" | "overflow" if event.start is not None and event.end is not None:
                return [*_changed(known, line.lasting), self._over(line, _span(event, event.start, event.end))]
        line.at = max(line.at, event.at)
        return _changed(known, line.lasting)

    def mark(self, row: MarkedRow) -> bool:
        """Set a row's mark to what is known by now; whether it is another than before.

        A gap that lasts goes before those that are over, and of several the one that was told last counts. One that
        this does not remember any more stays as the row has it.
        """
        before = row.gap
        lasting = (line.lasting for line in self._lines.values() if line.lasting is not None)
        found = max(_meeting(row, lasting), key=_told, default=None)
        if found is None:
            over = (next(_meeting(row, reversed(line.over)), None) for line in self._lines.values() if line.over)
            found = max((span for span in over if span is not None), key=_told, default=None)
        if found is not None:
            row.gap = found.mark(row)
        elif before is not None and before.end is None:
            row.gap = None
        return row.gap != before

    def _last(self, line: _Line, event: FeedEvent, since: int, *, vague: bool = False) -> None:
        """A gap begins, unless one lasts already; before its first subscription a line misses nothing."""
        if line.lasting is None and line.subscribed:
            line.lasting = replace(_span(event, since, None), codes=line.codes, vague=vague)
            line.run_of_lasting = -1 if vague else event.run

    def _again(self, line: _Line, event: FeedEvent) -> None:
        """The line brings everything from now on."""
        lasting = line.lasting
        if lasting is not None and line.run_of_lasting != event.run:
            self._over(line, replace(lasting, end=max(event.at, lasting.start), at=event.at))
        line.lasting = None
        line.subscribed, line.run = True, max(line.run, event.run)
        line.codes = _codes(event)

    def _over(self, line: _Line, span: Span) -> Concerned:
        if len(line.over) == REMEMBERED:
            self._forget(line)
        line.over.append(span)
        self._named += len(span.codes or ())
        while self._named > CODES:
            self._forget(max(self._lines.values(), key=lambda one: len(one.over)))
        return Concerned(span.source, span.codes)

    def _forget(self, line: _Line) -> None:
        self._named -= len(line.over.popleft().codes or ())


def _span(event: FeedEvent, start: int, end: int | None) -> Span:
    named = event.id or f"{event.source}/{event.run}/{event.at}"
    return Span(named, event.source, event.at, start, end, _codes(event))


def _codes(event: FeedEvent) -> frozenset[str] | None:
    return frozenset(event.codes) if isinstance(event.codes, list) else None


def _number(event: FeedEvent) -> int:
    """The run's count of events, by the end of the event's name."""
    digits = (event.id or "").rpartition("/")[2]
    return int(digits) if digits.isdecimal() else event.at


def _told(span: Span) -> int:
    return span.at


def _meeting(row: MarkedRow, spans: Iterable[Span]) -> Iterator[Span]:
    return (span for span in spans if span.concerns(row) and span.reaches_into(row))


def _changed(before: Span | None, now: Span | None) -> list[Concerned]:
    return [] if before is now else [Concerned(span.source, span.codes) for span in (before, now) if span is not None]

"""What is known to be missing, and so which snapshots lack something: feed events in, the gap mark of a row out. Pure.

A row's mark covers all gaps that reach into its session (``docs/decisions.md``, "What a gap mark covers"). It follows
from the events and from the row alone, whichever came first, so it is the same after a crash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from market.sessions import widest_hours
from market.times import DAY_MS, SHANGHAI_MS
from schemas import FeedEvent, GapMark
from schemas.topics import TICKS, partition_of, topics

REMEMBERED = 1_024
"""Gaps of each line that are remembered one by one; what a row's mark says of those before stays as it is."""
CODES = 250_000
"""Codes that these may name in all, likewise."""

_DELAYED = 3_600_000_000
"""µs from exchange time to receipt up to which a market is one of this moment: delayed feeds are by some 15 minutes."""
_ALWAYS = 1 << 62
_AHEAD = 60_000_000
"""µs up to which exchange time may be ahead of receipt there: no feed is, but local clocks are wrong."""


Hours = tuple[int, int]
"""From and to, µs since the epoch."""


class MarkedRow(Protocol):
    """A snapshot's row: its session's ``day`` (days since 1970-01-01 in Shanghai), its last tick, its mark."""

    code: str
    exchange: str
    partition: int
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
        codes: ``None``: all that the line brings, or all of the partition.
        partition: of the ticks, where their log lost some; ``None`` elsewhere.
        vague: it began no one knows when after ``start``, as the producer was killed: with a code's last tick.
    """

    id: str
    source: str
    at: int
    start: int
    end: int | None
    codes: frozenset[str] | None
    vague: bool = False
    partition: int | None = None

    def concerns(self, row: MarkedRow) -> bool:
        """Whether the row's ticks come by the line, as far as is known."""
        if self.partition is not None:
            return row.partition == self.partition
        return row.came_by(self.source) if self.codes is None else row.code in self.codes

    def reaches_into(self, hours: Iterable[Hours]) -> bool:
        """Whether there was trading meanwhile."""
        end = self.end
        return any(self.start < to and (end is None or end > since) for since, to in hours)

    def since(self, row: MarkedRow) -> int:
        """From when on ticks of the row may be missing."""
        if not self.vague or row.received <= self.start:
            return self.start
        if row.received <= self.at:
            return row.received
        # The row has gone on. What its mark said before it did is known better than it is here.
        known = row.gap
        return known.start if known is not None and self.start <= known.start <= self.at else self.start


def trading(row: MarkedRow) -> list[Hours]:
    """When the row's session is traded, by its exchange's widest hours, as local time.

    These are exchange time. Where the row's last tick tells that the two are apart, a market of another time being
    played, all of its last day, local time, counts.
    """
    if not -_AHEAD <= row.received - row.time * 1000 <= _DELAYED:
        return [(row.received - DAY_MS * 1000, _ALWAYS)]
    midnight = row.day * DAY_MS - SHANGHAI_MS
    return [((midnight + since) * 1000, (midnight + to) * 1000) for since, to in widest_hours(row.exchange)]


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
    over: deque[Span] = field(default_factory=deque)
    forgotten: int = 0
    """Until when, µs since the epoch, there were gaps that are not remembered any more."""


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
        self._sets: dict[frozenset[str], tuple[frozenset[str], int]] = {}
        """Each list of codes once, and how many gaps name it."""
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
                if event.detected == "killed":
                    self._replace_vague(line, _codes(event))
                return [*_changed(known, line.lasting), self._over(line, _span(event, event.start, event.end))]
        line.at = max(line.at, event.at)
        return _changed(known, line.lasting)

    def mark(self, row: MarkedRow) -> bool:
        """Set a row's mark to what is known by now; whether it is another than before.

        It covers every gap that concerns the row and reaches into its session, and is named by the one told last; while
        one of them lasts, so does the mark.
        """
        before, hours = row.gap, trading(row)
        found = [
            span
            for line in self._lines.values()
            for span in ((*line.over, line.lasting) if line.lasting is not None else line.over)
            if span.reaches_into(hours) and span.concerns(row)
        ]
        mark = None
        if found:
            last = max(found, key=_told)
            ends = [span.end for span in found if span.end is not None]
            end = max(ends) if len(ends) == len(found) else None
            mark = GapMark(last.id, min(span.since(row) for span in found), end, len(found))
        forgotten = max((line.forgotten for line in self._lines.values()), default=0)
        if before is not None and before.start < forgotten:
            mark = _joined(before, mark, forgotten)
        row.gap = mark
        return mark != before

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
        if len(line.over) >= REMEMBERED:
            self._forget(line)
        line.over.append(self._held(span))
        while self._named > CODES:
            self._forget(max(self._lines.values(), key=lambda one: len(one.over)))
        return Concerned(span.source, span.codes)

    def _forget(self, line: _Line) -> None:
        span = line.over.popleft()
        self._let_go(span)
        line.forgotten = max(line.forgotten, span.end or 0)

    def _held(self, span: Span) -> Span:
        """A span whose codes are held once, however many name the same: most name all that is subscribed."""
        if span.codes is None:
            return span
        codes, count = self._sets.get(span.codes, (span.codes, 0))
        self._sets[codes] = codes, count + 1
        self._named += 0 if count else len(codes)
        return replace(span, codes=codes)

    def _let_go(self, span: Span) -> None:
        if span.codes is None:
            return
        codes, count = self._sets.pop(span.codes)
        if count > 1:
            self._sets[codes] = codes, count - 1
        else:
            self._named -= len(codes)

    def _replace_vague(self, line: _Line, codes: frozenset[str] | None) -> None:
        """A producer tells what is missing since the one before was killed, in place of what was taken for that."""
        if line.over and line.over[-1].vague:
            vague = line.over.pop()
            self._let_go(vague)
            left = vague.codes if codes is not None else frozenset[str]()
            if left is None:
                line.over.append(vague)
            elif codes is not None and (others := left - codes):
                line.over.append(self._held(replace(vague, codes=others)))


R = TypeVar("R", bound=MarkedRow)


def rows_of(held: Mapping[int, Mapping[str, R]], concerned: Concerned) -> dict[int, list[R]]:
    """The rows whose marks are to be looked at anew, of those held by partition and code."""
    if concerned.codes is None:
        return {
            partition: [row for row in rows.values() if row.came_by(concerned.source)]
            for partition, rows in held.items()
        }
    count, found = topics()[TICKS].partitions, dict[int, list[R]]()
    for code in concerned.codes:
        partition = partition_of(code, count)
        row = held.get(partition, {}).get(code)
        if row is not None:
            found.setdefault(partition, []).append(row)
    return found


def _span(event: FeedEvent, start: int, end: int | None) -> Span:
    named = event.id or f"{event.source}/{event.run}/{event.at}"
    return Span(named, event.source, event.at, start, end, _codes(event), partition=_partition(event))


def _codes(event: FeedEvent) -> frozenset[str] | None:
    return frozenset(event.codes) if isinstance(event.codes, list) else None


def _number(event: FeedEvent) -> int:
    """The run's count of events, by the end of the event's name."""
    digits = (event.id or "").rpartition("/")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 16 else event.at


def _told(span: Span) -> int:
    return span.at


def _partition(event: FeedEvent) -> int | None:
    """The partition of which the log lost records before they were read: ``line`` is its name."""
    name = event.line or ""
    digits = name.removeprefix(f"{TICKS}/")
    return int(digits) if event.detected == "retention" and digits != name and digits.isdecimal() else None


def _joined(before: GapMark, now: GapMark | None, forgotten: int) -> GapMark:
    """A mark with what the row's last one says of gaps that are not remembered any more, the last until then."""
    end = forgotten if before.end is None else before.end
    if now is None:
        return GapMark(before.id, before.start, end, before.count)
    return GapMark(
        now.id,
        min(before.start, now.start),
        None if now.end is None else max(end, now.end),
        max(before.count, now.count),
    )


def _changed(before: Span | None, now: Span | None) -> list[Concerned]:
    return [] if before is now else [Concerned(span.source, span.codes) for span in (before, now) if span is not None]

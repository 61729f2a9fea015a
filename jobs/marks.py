"""Which ticks have taken effect on a row, and what of a line is a repeat: ``docs/decisions.md``, "What a repeat is".

For one code the run and number of a line only rise, so the last one of each line tells. Where that last one was wrong,
a record forged or a run that fell, the row heals by the receive times: nobody who sends a tick again changes them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from schemas import LineMark, Tick
from schemas.bounds import MAX_LINES

log = logging.getLogger(__name__)

HEALS_US = 60_000_000
"""A tick received by so many µs after the last one that took effect is none that was sent again."""
HANDFUL = 16
"""Suspicious repeats of a source in a row, past which they are told of."""
QUIET_SECONDS = 60.0
"""Without another for so long, the row of suspicious repeats has ended; and between two that are told of."""

Mark = tuple[int, int, int | None]
"""Run, number, and when it was received: ``None`` where a record of an older version does not say."""

_NOTHING: Mark = (-1, -1, None)


class Marked:
    """A row's marks. The line that was applied last lies in attributes of its own: it is nearly always the next, too.

    Attributes:
        source, run, n: the last tick applied; ``n`` is -1 before the first, and after marks were restored.
        received: when the row's last tick was received, µs since the epoch.
        late: likewise, of a tick that moved the marks and nothing else.
    """

    __slots__ = ("_others", "late", "n", "received", "run", "source")

    def __init__(self) -> None:
        """No tick was applied yet."""
        self.source = ""
        self.run = self.n = -1
        self.received = self.late = 0
        self._others: dict[str, Mark] = {}

    def renew(self, source: str, run: int, n: int, received: int, *, new: bool = True) -> bool:
        """Move the marks to a tick of another line or run than the last one; false if it is a repeat.

        Whoever calls it sets ``received`` (or ``late``) next.

        Args:
            new: it lies behind the row's last tick in the log; false for a record that was read before, which is a
                repeat whatever was received when: a clock may have stepped back since.
        """
        last = self.mark_of(source)
        if (run, n) <= last[:2] and not (new and last[2] is not None and received > last[2] + HEALS_US):
            return False
        if source != self.source:
            if self.n >= 0:
                self._others[self.source] = (self.run, self.n, self._last_received)
            self._others.pop(source, None)
            if len(self._others) >= MAX_LINES:
                del self._others[min(self._others, key=lambda one: self._others[one][2] or 0)]
        self.source, self.run, self.n, self.late = source, run, n, 0
        return True

    def mark_of(self, source: str) -> Mark:
        """The last tick of a line that took effect; ``-1`` for run and number before the first."""
        if source == self.source and self.n >= 0:
            return self.run, self.n, self._last_received
        return self._others.get(source, _NOTHING)

    def came_by(self, source: str) -> bool:
        """Whether a tick of the line was applied."""
        return source == self.source or source in self._others

    @property
    def _last_received(self) -> int:
        return max(self.received, self.late)

    @property
    def marks(self) -> dict[str, Mark]:
        """The last tick of each line."""
        return self._others | ({self.source: self.mark_of(self.source)} if self.n >= 0 else {})

    def lines(self) -> list[LineMark]:
        """The marks as records have them, by line."""
        if not self._others and self.n >= 0:
            return [LineMark(self.source, self.run, self.n, self._last_received)]
        return [LineMark(source, *mark) for source, mark in sorted(self.marks.items())]

    def restore_lines(self, lines: Iterable[LineMark], received: int | None = None) -> None:
        """Take over a record's marks.

        Args:
            received: of the record, where a mark of an older version does not have its own.
        """
        for line in lines:
            at = line.received if line.received is not None else received
            if (line.run, line.n) > self._others.get(line.source, _NOTHING)[:2]:
                self._others[line.source] = (line.run, line.n, at)


@dataclass(frozen=True)
class Dropped:
    """What there is to tell of a source whose ticks are dropped as repeated.

    Attributes:
        count: suspicious repeats in a row.
        codes: how many codes they are of.
        last: run and number above which the source's ticks would count, of the code dropped last.
        got: what came instead.
    """

    source: str
    count: int
    codes: int
    last: tuple[int, int]
    got: tuple[int, int]

    def __str__(self) -> str:
        return (
            f"{self.count:,} ticks of {self.source} in a row ({self.codes:,} codes) were dropped as repeated although"
            f" they were received later than what they would repeat: run {self.got[0]}, n {self.got[1]} came after run"
            f" {self.last[0]}, n {self.last[1]}: do two producers write as {self.source}, did its clock fall, or was a"
            " record forged? They count again 60 s after the last one that did"
        )


@dataclass
class _Row:
    """The suspicious repeats of one source: by code, the mark that they met and how many did."""

    by_code: dict[str, tuple[tuple[int, int], int]] = field(default_factory=dict)
    count: int = 0
    codes: int = 0
    seen: float = 0.0
    told: float | None = None
    last: tuple[int, int] = (-1, -1)
    got: tuple[int, int] = (-1, -1)


class Repeats:
    """Counts what a job drops as repeated, and tells of what only looks like it. Called for repeats alone.

    Attributes:
        count: all of them.
        suspicious: those that were received later than the last one that took effect.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Nothing was dropped yet."""
        self.count = 0
        self.suspicious = 0
        self._now = now
        self._sources: dict[str, _Row] = {}

    def dropped(self, row: Marked, tick: Tick) -> None:
        """A tick was dropped: it is not above the row's mark of its line."""
        self.count += 1
        run, n, received = row.mark_of(tick.source)
        if received is None or tick.received <= received:
            return
        self.suspicious += 1
        now = self._now()
        of = self._sources.get(tick.source)
        if of is None or now - of.seen > QUIET_SECONDS:
            if len(self._sources) >= MAX_LINES:
                del self._sources[next(iter(self._sources))]
            self._sources.pop(tick.source, None)
            of = self._sources[tick.source] = _Row()
        last = (run, n)
        met, so_far = of.by_code.get(tick.code, (last, 0))
        if met != last:  # ticks of the code took effect meanwhile: its row begins anew
            of.count -= so_far
            so_far = 0
        of.by_code[tick.code] = (last, so_far + 1)
        of.count += 1
        of.seen, of.last, of.got = now, last, (tick.run, tick.n)

    def many(self) -> list[Dropped]:
        """The sources of which more than a handful in a row are dropped now."""
        now = self._now()
        return [
            Dropped(source, of.count, len(of.by_code), of.last, of.got)
            for source, of in self._sources.items()
            if of.count > HANDFUL and now - of.seen <= QUIET_SECONDS
        ]

    def news(self) -> list[Dropped]:
        """Those of ``many`` that were not told of yet, or a while ago."""
        now, told = self._now(), []
        for dropped in self.many():
            of = self._sources[dropped.source]
            if of.told is None or now - of.told > QUIET_SECONDS:
                of.told = now
                told.append(dropped)
        return told

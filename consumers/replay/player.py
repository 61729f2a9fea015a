"""The replay itself: chunks in, selected, merged in time order, given out when they are due."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from broker.chunk import Chunk
from consumers.replay.checkpoints import Checkpoints, Point
from consumers.replay.clock import ERA, PartitionClock, exchange_times, time_of
from consumers.replay.controls import Controls
from consumers.replay.lookahead import RECORDS, Lookahead, Ready
from consumers.replay.merge import Batch, Merger
from consumers.replay.outputs.base import Output
from consumers.replay.pace import LONGEST_PAUSE_MS, Pace, Schedule
from consumers.replay.selection import Selection
from consumers.replay.through import Through

STEP = 2_048
"""The most records of one write: between two, the loop is free for the network, the keyboard and the progress line."""
TAKE, PACED_TAKE = 1_024, 256
"""Records of each partition that are merged at once: few where a pace is kept, so that it holds up none that is due."""
_LATE_STEPS = 10_000
_LATE_STEP_S = 0.0001


class Chunks(Protocol):
    """Where the records come from: see ``source.Source``."""

    @property
    def left(self) -> Collection[int]:
        """Partitions that are not read to their end."""

    async def fetch(self, wanted: Collection[int]) -> list[Chunk]:
        """The next chunks of the wanted partitions, at most one each."""

    def rewind(self, starts: Mapping[int, int]) -> None:
        """Read from these offsets on."""


@dataclass(frozen=True)
class Stock:
    """What is replayed: a topic, the kind of its records, and the first offset of each partition."""

    topic: str
    kind: str
    starts: Mapping[int, int]


class Player:
    """Plays a range once. Memory: one chunk a partition, and what ``lookahead.RECORDS`` bounds.

    Attributes:
        given: records that were given out.
        at: time of the last one, ms since the epoch, 0 before the first.
    """

    def __init__(
        self,
        stock: Stock,
        source: Chunks,
        selection: Selection,
        output: Output,
        *,
        pace: Pace,
        controls: Controls,
        through: Through | None = None,
        longest_pause: int = LONGEST_PAUSE_MS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A player before its first record."""
        self.given = 0
        self._stock = stock
        self._source = source
        self._selection = selection
        self._output = output
        self._controls = controls
        self._through = through
        self._clock = clock
        self._paced = not pace.flat
        self._schedule = Schedule(pace, longest_pause)
        self._key = 0
        self._least = 0
        self._merger = Merger(stock.topic, stock.starts)
        self._clocks = {partition: PartitionClock() for partition in stock.starts}
        self._points = {partition: Point(start) for partition, start in stock.starts.items()}
        self._checkpoints = Checkpoints(self._points)
        self._late = [0] * _LATE_STEPS

    @property
    def at(self) -> int:
        """Time of the last record that was given out."""
        return time_of(self._key)

    @property
    def late(self) -> float:
        """By how many seconds, at most, 99 of 100 records were given out after they were due."""
        wanted, seen = sum(self._late) * 0.99, 0
        for step, count in enumerate(self._late):
            seen += count
            if seen >= wanted and seen:
                return (step + 1) * _LATE_STEP_S
        return 0.0

    async def run(self) -> None:
        """Give out the range; the output is opened and closed, whatever happens.

        Raises:
            UsageError, ReadError: as source and output raise them.
        """
        complete = False
        ahead: Lookahead | None = None
        try:
            await self._output.open(sorted(self._stock.starts))
            ahead = self._ahead()
            while True:
                batches, points = await ahead.take()
                if not batches:
                    break
                self._checkpoints.add(batches[0].times[0], points, self.given)
                for batch in batches:
                    rest = await self._give(batch)
                    while rest is not None:
                        ahead, rest = await self._jump(rest, ahead)
                        rest = await self._give(rest) if rest is not None else None
            complete = True
        finally:
            if ahead is not None:
                await ahead.stop()
            await self._output.close(complete=complete)

    def _ahead(self) -> Lookahead:
        # Flat out the broker is never far ahead, and one batch is enough.
        return Lookahead(self._next, RECORDS if self._paced else 1)

    async def _next(self) -> Ready:
        """The next batch in order; one for each partition where the output can tell no more than that."""
        points = dict(self._points)
        while needs := self._merger.needs:
            # Where a pace is kept, one after the other: a dozen chunks at a stretch would hold up what is due.
            for chunk in await self._source.fetch({min(needs)} if self._paced else needs):
                self._feed(chunk)
                if self._paced:
                    await asyncio.sleep(0)
            for partition in self._merger.needs - set(self._source.left):
                tail = self._through.finish(partition) if self._through else None
                self._merger.finish(partition)
                if tail is not None:
                    self._feed_made(tail)
        if self._output.apart and not self._paced:
            return Ready(self._merger.take_apart(TAKE), points)
        batch = self._merger.take(PACED_TAKE if self._paced else TAKE)
        return Ready([batch] if len(batch) else [], points)

    def _feed(self, chunk: Chunk) -> None:
        self._points[chunk.partition] = Point(chunk.start, self._clocks[chunk.partition].state)
        kind, selection = self._stock.kind, self._selection
        if self._through is not None:
            times = exchange_times(kind, chunk, typed=True) if selection.by_time else None
            selection.apply(chunk, times)
            self._feed_made(self._through.apply(chunk))
            return
        typed = self._output.typed and kind == "tick"
        times = selection.apply(chunk, exchange_times(kind, chunk, typed=typed) if selection.by_time else None)
        if times is None:
            times = exchange_times(kind, chunk, typed=typed)
        self._merge(chunk, times, typed=typed)

    def _feed_made(self, made: Chunk) -> None:
        assert self._through is not None
        self._merge(made, exchange_times(self._through.kind, made), typed=False)

    def _merge(self, chunk: Chunk, times: list[int], *, typed: bool) -> None:
        keys = self._clocks[chunk.partition].keys(times, chunk.timestamps)
        self._merger.feed(Batch.of(chunk, keys, typed=typed), self._least)

    async def _give(self, batch: Batch) -> Batch | None:
        """Give out a batch, each record when it is due; what is left of it when somebody wants to jump."""
        schedule, controls, clock = self._schedule, self._controls, self._clock
        for start, end in schedule.pieces(batch.times):
            schedule.enter(batch.times[start], clock())
            at = start
            while at < end:
                if controls.paused:
                    await self._hold()
                if controls.jump:
                    return batch.slice(at, len(batch))
                now = clock()
                ready = min(schedule.ready(batch.times, at, end, now), at + STEP)
                if ready == at:
                    await self._sleep(schedule.due(batch.times[at]) - now)
                    continue
                if self._paced:
                    late = now - schedule.due(batch.times[at])
                    self._late[min(max(int(late / _LATE_STEP_S), 0), _LATE_STEPS - 1)] += ready - at
                await self._output.write(batch.slice(at, ready))
                schedule.gave(batch.times[ready - 1], ready - at)
                self.given += ready - at
                self._key = batch.times[ready - 1]
                at = ready
                await asyncio.sleep(0)
        return None

    async def _hold(self) -> None:
        self._schedule.hold(self._clock())
        while self._controls.paused and not self._controls.jump:
            self._controls.woken.clear()
            await self._controls.woken.wait()
        self._schedule.resume(self._clock())

    async def _sleep(self, seconds: float) -> None:
        """Sleep until a record is due, or somebody presses a key."""
        woken = self._controls.woken
        woken.clear()
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    async def _jump(self, rest: Batch, ahead: Lookahead) -> tuple[Lookahead, Batch | None]:
        """Go to another time of the range; gives what to take from, and what to give out before it."""
        by, self._controls.jump = self._controls.jump, 0
        era = self._key - self._key % ERA
        target = max(era, (self._key or rest.times[0]) + by)
        self._schedule.restart()
        await self._output.jumped()
        self._least = target
        if by > 0:
            rest = _since(rest, target)
            while not len(rest):
                batches, _ = await ahead.take()
                if not batches:
                    break
                rest = _since(batches[0], target)
            return ahead, rest if len(rest) else None
        await ahead.stop()
        points = self._checkpoints.before(target)
        self._points = dict(points)
        self._clocks = {partition: PartitionClock(point.clock) for partition, point in points.items()}
        self._merger = Merger(self._stock.topic, self._stock.starts)
        self._source.rewind({partition: point.offset for partition, point in points.items()})
        return self._ahead(), None


def _since(batch: Batch, key: int) -> Batch:
    return batch.slice(bisect_left(batch.times, key), len(batch))

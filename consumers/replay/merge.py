"""Partitions merged in time order, pure: bounded chunks in, batches in one order out.

The order is by (key, partition, offset), keys as ``clock.PartitionClock`` gives them, whatever the sizes of the chunks:
the same range gives the same order each time. Instead of a step for each record, everything that no later chunk can
precede is sorted at once: the sort finds the partitions' runs in order already and only weaves them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter

from broker.chunk import Chunk
from schemas import Tick


class Batch:
    """Records in the order in which they are given out.

    Attributes:
        partition: the partition of all of them, where they are of one.
        times: merge keys, never falling.
        headers: empty, or one entry a record; ``ticks`` likewise.
    """

    __slots__ = (
        "headers",
        "keys",
        "offsets",
        "partition",
        "partitions",
        "ticks",
        "times",
        "timestamps",
        "topic",
        "values",
    )

    def __init__(self, topic: str) -> None:
        """An empty batch."""
        self.topic = topic
        self.partition: int | None = None
        self.partitions: Sequence[int] = []
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.times: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.headers: list[Sequence[tuple[str, bytes]]] = []
        self.ticks: list[Tick | None] = []

    def __len__(self) -> int:
        """Records in the batch."""
        return len(self.offsets)

    def slice(self, start: int, end: int) -> Batch:
        """A part of it."""
        if start == 0 and end >= len(self.offsets):
            return self
        part = Batch(self.topic)
        part.partition = self.partition
        for name in ("partitions", "offsets", "timestamps", "times", "keys", "values", "headers", "ticks"):
            setattr(part, name, getattr(self, name)[start:end])
        return part

    @classmethod
    def of(cls, chunk: Chunk, times: list[int], *, typed: bool = False) -> Batch:
        """A chunk as a batch."""
        batch = cls(chunk.topic)
        batch.partition = chunk.partition
        batch.partitions = [chunk.partition] * len(chunk)
        batch.offsets, batch.timestamps, batch.times = chunk.offsets, chunk.timestamps, times
        batch.keys, batch.values, batch.headers = chunk.keys, chunk.values, chunk.headers
        if typed:
            batch.ticks = chunk.ticks
        return batch


class _Held:
    """What is held of one partition, from ``at`` on."""

    __slots__ = ("at", "batch")

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.at = 0


class Merger:
    """Holds at most one chunk of each partition."""

    def __init__(self, topic: str, partitions: Iterable[int]) -> None:
        """A merger that has seen nothing; every partition must be fed, or finished, before anything comes out."""
        self._topic = topic
        self._held = {partition: _Held() for partition in sorted(partitions)}
        self._finished: set[int] = set()

    @property
    def needs(self) -> set[int]:
        """Partitions of which nothing is held and more may come: feed or finish them before ``take``."""
        return {p for p, held in self._held.items() if held.batch is None and p not in self._finished}

    def feed(self, batch: Batch, least: int = 0) -> None:
        """The next records of a partition that is needed; those with a key below ``least`` are dropped."""
        assert batch.partition is not None
        held = self._held[batch.partition]
        assert held.batch is None, "a partition was fed that was not needed"
        at = bisect_left(batch.times, least) if least else 0
        if at < len(batch):
            held.batch, held.at = batch, at

    def finish(self, partition: int) -> None:
        """Nothing more comes of a partition."""
        self._finished.add(partition)

    def skip(self, least: int) -> None:
        """Drop what is held below a key."""
        for held in self._held.values():
            if held.batch is not None:
                held.at = bisect_left(held.batch.times, least, held.at)
                if held.at == len(held.batch):
                    held.batch = None

    def take(self, limit: int | None = None) -> Batch:
        """Everything whose place in the order is known, in order; empty when all is given out.

        Args:
            limit: as for ``take_apart``.
        """
        return _woven(self._topic, self.take_apart(limit))

    def take_apart(self, limit: int | None = None) -> list[Batch]:
        """The same, each partition for itself: for those who keep the order of partitions alone.

        Args:
            limit: about the most records of each partition at once; the order is the same whatever it is.
        """
        assert not self.needs, "a partition is missing"
        held = {p: one for p, one in self._held.items() if one.batch is not None}
        # Up to where each partition may go now, as key and partition. No later chunk's record precedes the last one
        # held of the partition that reaches the least far.
        reach: list[tuple[int, int]] = []
        for partition, one in held.items():
            assert one.batch is not None
            last = len(one.batch) - 1
            if limit is not None and last - one.at >= limit:
                reach.append((one.batch.times[one.at + limit - 1], partition))
            elif partition not in self._finished:
                reach.append((one.batch.times[last], partition))
        horizon = min(reach, default=None)
        parts: list[Batch] = []
        for partition, one in held.items():
            batch, start = one.batch, one.at
            assert batch is not None
            end = len(batch)
            if horizon is not None:
                cut = bisect_right if partition <= horizon[1] else bisect_left
                end = cut(batch.times, horizon[0], start)
            if end > start:
                parts.append(batch.slice(start, end))
            one.at = end
            if end == len(batch):
                one.batch = None
        return parts


def _woven(topic: str, parts: list[Batch]) -> Batch:
    """Batches of one partition each, in order of their partitions, woven by key."""
    if len(parts) == 1:
        return parts[0]
    woven = Batch(topic)
    if not parts:
        return woven
    times = list(chain.from_iterable(part.times for part in parts))
    in_order = itemgetter(*sorted(range(len(times)), key=times.__getitem__))
    woven.times = list(in_order(times))
    for name in ("partitions", "offsets", "timestamps", "keys", "values", "headers", "ticks"):
        joined = list(chain.from_iterable(getattr(part, name) for part in parts))
        setattr(woven, name, list(in_order(joined)) if joined else joined)
    return woven

"""Chunks of a log that is only thought of, and an output that remembers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from broker.chunk import Chunk
from consumers.replay.merge import Batch

Place = tuple[int, int, int]
"""Time, partition, offset."""


class FakeChunks:
    """A log in memory: of each partition the records' times. Counts what it was asked for."""

    def __init__(self, times: Mapping[int, Sequence[int]], size: int = 5) -> None:
        """Chunks have ``size`` records."""
        self.times = times
        self.size = size
        self.at = dict.fromkeys(times, 0)
        self.rewound: list[Mapping[int, int]] = []

    @property
    def left(self) -> set[int]:
        """Partitions that are not read to their end."""
        return {p for p, at in self.at.items() if at < len(self.times[p])}

    async def fetch(self, wanted: Collection[int]) -> list[Chunk]:
        """One chunk of each wanted partition that has any."""
        return [self._chunk(partition) for partition in sorted(self.left & set(wanted))]

    def rewind(self, starts: Mapping[int, int]) -> None:
        """Read from there on."""
        self.rewound.append(dict(starts))
        self.at = dict(starts)

    def _chunk(self, partition: int) -> Chunk:
        start = self.at[partition]
        times = self.times[partition][start : start + self.size]
        made = Chunk("topic", partition, start)
        made.end = self.at[partition] = start + len(times)
        made.offsets = list(range(start, made.end))
        made.timestamps = list(times)
        made.keys = [b"600519"] * len(times)
        made.values = [b'{"time":%d}' % time for time in times]
        return made


class Remembering:
    """An output that keeps the places of what it was given, and what else happened."""

    typed = headers = apart = False
    seekable = True
    unreadable = 0

    def __init__(self) -> None:
        """Nothing has happened."""
        self.places: list[Place] = []
        self.events: list[object] = []

    async def open(self, partitions: Sequence[int]) -> None:
        """As ``Output.open``."""
        self.events.append(list(partitions))

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        self.places += zip(batch.times, batch.partitions, batch.offsets, strict=True)

    async def jumped(self) -> None:
        """As ``Output.jumped``."""
        self.events.append(("jumped", len(self.places)))

    async def close(self, *, complete: bool) -> None:
        """As ``Output.close``."""
        self.events.append(complete)


def in_order(times: Mapping[int, Sequence[int]]) -> list[Place]:
    """All places of such a log, in the order of a replay."""
    return sorted((time, p, offset) for p, all_times in times.items() for offset, time in enumerate(all_times))

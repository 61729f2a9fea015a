"""Reprocessing: the pipeline's own jobs over history, chunk by chunk. Pure.

What comes out depends on the ticks and on their order in each partition alone, never on how they were cut into chunks:
twice the same range gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.chunk import Chunk
from jobs.bar_rows import BarRow
from jobs.bars import Bars, Made
from jobs.changes import ChangeRow, Changes
from jobs.snapshots import SnapshotRow, Snapshots
from jobs.thresholds import Thresholds
from schemas import cloudevents, encode


class Through(Protocol):
    """A job between the ticks and the output.

    Attributes:
        kind: the record type of what comes out, as ``topics.yaml`` names it.
    """

    kind: str

    def apply(self, chunk: Chunk) -> Chunk:
        """What a chunk of ticks brings: a chunk whose offsets are those of the ticks that caused its records."""

    def finish(self, partition: int) -> Chunk | None:
        """What the end of a partition brings."""

    @property
    def repeated(self) -> int:
        """Ticks that had been sent again, and took no effect twice."""


class ThroughChanges:
    """The changes topic as it would have been, had the job started where the range does."""

    kind = "price-change"

    def __init__(self, thresholds: Thresholds, topic: str) -> None:
        """A job without state; ``topic`` is where the ticks are, which the events' ids name."""
        self._job = Changes(thresholds)
        self._topic = topic
        self._rows: dict[int, dict[str, ChangeRow]] = {}

    def apply(self, chunk: Chunk) -> Chunk:
        """As ``Through.apply``."""
        changes, _ = self._job.apply(self._rows.setdefault(chunk.partition, {}), chunk)
        out = Chunk(chunk.topic, chunk.partition, chunk.start)
        out.end = chunk.end
        out.offsets = [change.origin.offset for change in changes]
        out.timestamps = [change.received // 1000 for change in changes]
        out.keys = [change.code.encode() for change in changes]
        out.values = [encode(change) for change in changes]
        out.headers = [cloudevents.headers(change, self._topic) for change in changes]
        return out

    def finish(self, partition: int) -> Chunk | None:
        """As ``Through.finish``: nothing."""
        self._rows.pop(partition, None)
        return None

    @property
    def repeated(self) -> int:
        """As ``Through.repeated``."""
        return self._job.repeated


class ThroughSnapshots:
    """The last snapshot of each code, when the range is through: what the compacted topic would hold."""

    kind = "snapshot"

    def __init__(self) -> None:
        """A job without state."""
        self._job = Snapshots()
        self._rows: dict[int, dict[str, SnapshotRow]] = {}

    def apply(self, chunk: Chunk) -> Chunk:
        """As ``Through.apply``: nothing before the end."""
        self._job.apply(self._rows.setdefault(chunk.partition, {}), chunk)
        out = Chunk(chunk.topic, chunk.partition, chunk.start)
        out.end = chunk.end
        return out

    def finish(self, partition: int) -> Chunk | None:
        """As ``Through.finish``: the partition's snapshots, by the offset of their last tick."""
        rows = sorted(self._rows.pop(partition, {}).values(), key=lambda row: row.offset)
        if not rows:
            return None
        out = Chunk("", partition, rows[0].offset)
        out.end = rows[-1].offset + 1
        out.offsets = [row.offset for row in rows]
        out.timestamps = [row.received // 1000 for row in rows]
        out.keys = [row.key for row in rows]
        out.values = [encode(row.record()) for row in rows]
        out.headers = [()] * len(rows)
        return out

    @property
    def repeated(self) -> int:
        """As ``Through.repeated``."""
        return self._job.repeated


class ThroughBars:
    """The bars topic as it would have been, had the job started where the range does.

    What the ticks have not closed by its end is closed there. Gaps are not known: no bar is marked.
    """

    kind = "bar"

    def __init__(self) -> None:
        """A job without state."""
        self._job = Bars()
        self._rows: dict[int, dict[str, BarRow]] = {}
        self._ends: dict[int, tuple[str, int, int]] = {}

    def apply(self, chunk: Chunk) -> Chunk:
        """As ``Through.apply``."""
        made, _ = self._job.apply(self._rows.setdefault(chunk.partition, {}), chunk)
        if chunk.offsets:
            self._ends[chunk.partition] = chunk.topic, chunk.offsets[-1], chunk.timestamps[-1]
        return _bars(chunk.topic, chunk.partition, chunk.start, chunk.end, made)

    def finish(self, partition: int) -> Chunk | None:
        """As ``Through.finish``: the partition's bars that are open, by the offset of its last tick."""
        made = self._job.finish(partition)
        self._rows.pop(partition, None)
        if not made:
            return None
        topic, offset, timestamp = self._ends[partition]
        last = [Made(one.bar, offset, timestamp * 1000) for one in made]
        return _bars(topic, partition, offset, offset + 1, last)

    @property
    def repeated(self) -> int:
        """As ``Through.repeated``."""
        return self._job.repeated


def _bars(topic: str, partition: int, start: int, end: int, made: Sequence[Made]) -> Chunk:
    out = Chunk(topic, partition, start)
    out.end = end
    out.offsets = [one.offset for one in made]
    out.timestamps = [one.received // 1000 for one in made]
    out.keys = [one.bar.code.encode() for one in made]
    out.values = [encode(one.bar) for one in made]
    out.headers = [()] * len(made)
    return out

"""The snapshots agent: the latest state of each code, published and served from memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from broker.chunk import Chunk
from jobs.snapshots import SnapshotRow, Snapshots
from processors.gap_marks import GapMarks
from processors.repeats import RepeatsTold, too_many_codes
from processors.streaming.agent import Agent, Context, Outcome, Table
from schemas import FeedEvent
from schemas.topics import FEED_EVENTS, SNAPSHOTS

PUBLISHED_SECONDS = 0.2
"""Between two publications of a code's snapshot; the worker's memory, which HTTP reads, has every tick at once."""


class SnapshotsAgent(Agent):
    """Maintains the snapshot table."""

    name: ClassVar[str] = "snapshots"
    requires: ClassVar[tuple[str, ...]] = (FEED_EVENTS,)
    table: Table

    def __init__(self) -> None:
        """An agent that has seen nothing yet."""
        self.job = Snapshots()
        self.table = Table(SNAPSHOTS, self.job.restore, self.job.apply, every=PUBLISHED_SECONDS)
        self._gaps: GapMarks[SnapshotRow] | None = None
        self._repeats = RepeatsTold(self.job.repeats)

    async def start(self, context: Context) -> None:
        """Mark what feed events say is missing."""
        self._gaps = GapMarks(self.job.missing, self.table, context.publish_rows, context.concerns)
        self._repeats.events = context.events

    async def handle(self, chunk: Chunk) -> Outcome:
        """Apply a chunk's ticks to the rows of its partition."""
        return Outcome(rows=self.job.apply(self.table.rows(chunk.partition), chunk))

    def feed_event(self, event: FeedEvent) -> None:
        """Mark the snapshots that lack what an event says is missing."""
        if self._gaps is not None:
            self._gaps.take(event)

    async def assigned(self) -> None:
        """Mark what was restored."""
        if self._gaps is not None:
            self._gaps.assigned()

    def revoked(self) -> None:
        """Mark nothing more."""
        if self._gaps is not None:
            self._gaps.revoked()

    def look(self) -> None:
        """Announce what is dropped as repeated and only looks like it."""
        self._repeats.look()

    def complaints(self) -> Mapping[str, str]:
        """Ticks that are dropped in numbers."""
        return self._repeats.complaints() | too_many_codes(self.job.room)

    def status(self) -> Mapping[str, Any]:
        """Counters since the start."""
        return {
            "snapshots": sum(map(len, self.table.held.values())),
            "repeated": self.job.repeated,
            "suspicious": self.job.repeats.suspicious,
            "late": self.job.late,
            "refused": self.job.room.refused,
        }

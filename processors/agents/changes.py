"""The changes agent: price changes that are larger than the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from broker.chunk import Chunk
from jobs import in_force
from jobs.changes import ChangeRow, Changes
from jobs.thresholds import Thresholds
from processors.repeats import RepeatsTold, too_many_codes
from processors.run_time_thresholds import RunTimeThresholds
from processors.streaming.agent import Agent, Context, Outcome, Table
from schemas import cloudevents, encode
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, THRESHOLD_MARKS, THRESHOLDS


class ChangesAgent(Agent):
    """Emits price changes. Run-time thresholds take effect by marks, a table of their own (``run_time_thresholds``)."""

    name: ClassVar[str] = "changes"
    outputs: ClassVar[tuple[str, ...]] = (PRICE_CHANGES,)
    keyed_alike: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = (THRESHOLDS,)
    table: Table

    def __init__(self, thresholds: Thresholds) -> None:
        """An agent that has emitted nothing yet; ``thresholds`` are those of the settings."""
        self._base = thresholds
        self.job = Changes(thresholds)
        self.table = Table(PRICE_CHANGES_STATE, self.job.restore, self._rebuild, every=0.5)
        self._marks = Table(THRESHOLD_MARKS, in_force.restore)
        self.side_tables = (self._marks,)
        self._thresholds: RunTimeThresholds | None = None
        self._repeats = RepeatsTold(self.job.repeats)
        self.emitted = 0

    async def start(self, context: Context) -> None:
        """Read the thresholds that were set at run time, and follow them."""
        self._thresholds = RunTimeThresholds(
            context.bootstrap,
            self._base,
            marks=self._marks,
            rows=self.table,
            publisher=context.publisher,
            committed=context.committed,
        )
        self._repeats.events = context.events
        await self._thresholds.start()

    async def stop(self) -> None:
        """Follow them no more."""
        if self._thresholds is not None:
            await self._thresholds.stop()

    async def handle(self, chunk: Chunk) -> Outcome:
        """Emit the changes that a chunk's ticks make."""
        assert self._thresholds is not None
        judged_by = await self._thresholds.of(chunk.partition)
        changes, rows = self.job.apply(self.table.rows(chunk.partition), chunk, judged_by)
        self.emitted += len(changes)
        headers, topic = cloudevents.headers, chunk.topic
        records = [
            (PRICE_CHANGES, change.code.encode(), encode(change), change.received // 1000, headers(change, topic))
            for change in changes
        ]
        return Outcome(records, rows)

    def _rebuild(self, rows: dict[str, ChangeRow], chunk: Chunk) -> None:
        marks = self._marks.rows(chunk.partition)
        self.job.apply(rows, chunk, in_force.InForce(self._base, chunk.partition, marks, 0))

    async def assigned(self) -> None:
        """Ask where the logs end, so that no chunk waits for that."""
        assert self._thresholds is not None
        await self._thresholds.assigned()

    def revoked(self) -> None:
        """Hold on to no partition's rows and thresholds."""
        self.job.forget()
        if self._thresholds is not None:
            self._thresholds.forget()

    def log_replaced(self, topic: str) -> None:
        """Read the thresholds anew."""
        if topic == THRESHOLDS and self._thresholds is not None:
            self._thresholds.reread()

    def look(self) -> None:
        """Announce what is dropped as repeated and only looks like it."""
        self._repeats.look()

    def complaints(self) -> Mapping[str, str]:
        """Ticks that are dropped in numbers."""
        return self._repeats.complaints() | too_many_codes(self.job.room)

    def status(self) -> Mapping[str, Any]:
        """Counters since the start, and the thresholds in force."""
        thresholds = self._thresholds
        return {
            "changes": self.emitted,
            "repeated": self.job.repeated,
            "suspicious": self.job.repeats.suspicious,
            "refused": self.job.room.refused,
            "thresholds": dict(thresholds.in_force) if thresholds else {},
            "thresholds_run_time": sorted(thresholds.run_time) if thresholds else [],
        }

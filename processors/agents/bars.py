"""The bars agent: bars of one minute, published when market time has passed them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from broker.chunk import Chunk
from jobs.bar_rows import BarRow
from jobs.bars import Bars, Made
from jobs.missing import Concerned
from processors.gap_marks import GapMarks
from processors.repeats import RepeatsTold, too_many_codes
from processors.streaming.agent import Agent, Context, Message, Outcome, Table
from schemas import FeedEvent, encode
from schemas.topics import BARS, BARS_STATE, FEED_EVENTS

QUIET_SECONDS = 5.0
"""Without a tick of a partition for so long, its market time goes on by this worker's clock."""
PUBLISHED_SECONDS = 0.5


class BarsAgent(Agent):
    """Makes bars. Where no tick says how far the market is, a clock does: before a pause, and in a quiet market."""

    name: ClassVar[str] = "bars"
    outputs: ClassVar[tuple[str, ...]] = (BARS,)
    keyed_alike: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = (FEED_EVENTS,)
    table: Table

    def __init__(self) -> None:
        """An agent that has made nothing yet."""
        self.job = Bars()
        self.table = Table(BARS_STATE, self.job.restore, _rebuild, every=PUBLISHED_SECONDS)
        self.emitted = 0
        self._context: Context | None = None
        self._gaps: GapMarks[BarRow] | None = None
        self._repeats = RepeatsTold(self.job.repeats)
        self._heard: dict[int, tuple[int, float]] = {}
        """By partition, market time when its last chunk was handled, or its rows were restored; and when that was."""

    async def start(self, context: Context) -> None:
        """Mark what feed events say is missing."""
        self._context = context
        marker = _Marker(self)
        self._gaps = GapMarks(marker, self.table, marker.publish, context.concerns)
        self._repeats.events = context.events

    async def handle(self, chunk: Chunk) -> Outcome:
        """Take a chunk's ticks into the bars of its partition."""
        made, rows = self.job.apply(self.table.rows(chunk.partition), chunk)
        self._heard[chunk.partition] = self.job.market(chunk.partition), time.monotonic()
        return Outcome(self.records(made), rows)

    def records(self, made: Sequence[Made]) -> list[Message]:
        """The bars as records, dated by the tick that brought each about."""
        self.emitted += len(made)
        return [(BARS, bar.code.encode(), encode(bar), received // 1000, []) for bar, _, received in made]

    def publish(self, partition: int, rows: Iterable[BarRow], made: Sequence[Made]) -> None:
        """Publish what no chunk brought about."""
        assert self._context is not None
        self._context.publish_rows(partition, rows, self.records(made))

    def feed_event(self, event: FeedEvent) -> None:
        """Mark the bars that lack what an event says is missing."""
        if self._gaps is not None:
            self._gaps.take(event)

    async def assigned(self) -> None:
        """Mark what was restored; what was open then is closed even if no tick comes any more."""
        now = time.monotonic()
        for partition, rows in self.table.held.items():
            market = max((row.market for row in rows.values()), default=0)
            self._heard.setdefault(partition, (market, now))
        if self._gaps is not None:
            self._gaps.assigned()

    def revoked(self) -> None:
        """Hold on to no partition's rows."""
        self.job.forget()
        self._heard.clear()
        if self._gaps is not None:
            self._gaps.revoked()

    def look(self) -> None:
        """Close what a clock says is over, where ticks say nothing; announce what only looks like repeats."""
        self._repeats.look()
        if self._context is None or not self._context.lease.valid:
            return
        now, held = time.monotonic(), self.table.held
        for partition, (market, heard) in self._heard.items():
            quiet = now - heard
            if quiet >= QUIET_SECONDS and market and partition in held:
                made, rows = self.job.close(partition, market + int(quiet * 1000), held[partition])
                if rows:
                    self.publish(partition, rows, made)

    def complaints(self) -> Mapping[str, str]:
        """Ticks that are dropped in numbers."""
        return self._repeats.complaints() | too_many_codes(self.job.room)

    def status(self) -> Mapping[str, Any]:
        """Counters since the start."""
        job = self.job
        return {
            "bars": self.emitted,
            "revised": job.revised,
            "repeated": job.repeated,
            "suspicious": job.repeats.suspicious,
            "late": job.late,
            "outside": job.outside,
            "refused": job.room.refused,
        }


class _Marker:
    """The job as ``GapMarks`` takes it: rows are marked, and the bars that were published go out anew."""

    def __init__(self, agent: BarsAgent) -> None:
        self._agent = agent
        self._made: list[Made] = []

    def take(self, event: FeedEvent) -> list[Concerned]:
        return self._agent.job.missing.take(event)

    def mark(self, row: BarRow) -> bool:
        made, changed = self._agent.job.remark(row)
        self._made += made
        return changed

    def publish(self, partition: int, rows: Iterable[BarRow]) -> None:
        made, self._made = self._made, []
        self._agent.publish(partition, rows, made)


def _rebuild(rows: dict[str, BarRow], chunk: Chunk) -> None:
    Bars().apply(rows, chunk)

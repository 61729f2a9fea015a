"""An agent of a test's own, over a table that no app stands behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from broker.chunk import Chunk
from processors.streaming.agent import Agent, Context, Message, Outcome, StateRow, Table
from schemas import Origin, Record, encode
from schemas.topics import SNAPSHOTS

OUT = "test.out.v1"


class Counted(Record, frozen=True):
    """A row as it is published."""

    code: str
    ticks: int
    origin: Origin


class Row:
    """How many ticks of a code came."""

    def __init__(self, code: str) -> None:
        """None."""
        self.key = code.encode()
        self.ticks = self.received = 0
        self.marks: dict[str, tuple[int, int]] = {}

    def record(self) -> Counted:
        """The row."""
        return Counted(self.key.decode(), self.ticks, Origin(0, 0))


class Counting(Agent):
    """Counts ticks by code, and emits each; may be made to wait in the middle of a chunk."""

    name: ClassVar[str] = "counting"
    outputs: ClassVar[tuple[str, ...]] = (OUT,)
    table: Table

    def __init__(self) -> None:
        """It goes on by itself."""
        self.table = Table(SNAPSHOTS, lambda _: ("", None), every=3_600.0)
        self.table.state = cast("Any", SimpleNamespace(partitions_held={}, rows=self._rows))
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[tuple[int, int]] = []
        self.applied: list[tuple[int, int]] = []
        self.revocations = 0
        self.done: asyncio.Future[None] | None = None
        self.context: Context | None = None

    def _rows(self, partition: int) -> dict[str, Any]:
        held = cast("Any", self.table.state).partitions_held
        rows: dict[str, Any] = held.setdefault(partition, {})
        return rows

    async def handle(self, chunk: Chunk) -> Outcome:
        """Count."""
        self.seen.append((chunk.partition, chunk.start))
        await self.gate.wait()
        rows, changed, records = self.table.rows(chunk.partition), set[StateRow](), list[Message]()
        for offset, one in zip(chunk.offsets, chunk.ticks, strict=True):
            if one is None:
                continue
            if one.price > 1_000_000:
                chunk.fail(offset, ValueError("too dear"))
                continue
            row = rows.setdefault(one.code, Row(one.code))
            row.ticks, row.received = row.ticks + 1, one.received
            changed.add(row)
            records.append((OUT, row.key, encode(row.record()), one.received // 1000, []))
        self.applied.append((chunk.partition, chunk.start))
        return Outcome(records, changed, self.done)

    def revoked(self) -> None:
        """Count it."""
        self.revocations += 1

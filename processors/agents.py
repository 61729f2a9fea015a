"""The three agents: what each does with a chunk."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from broker.chunk import Chunk
from broker.partition_queue import PartitionQueue
from broker.publisher import Publisher
from jobs.changes import ChangeRow, Changes
from jobs.snapshots import SnapshotRow, Snapshots
from processors.app import StreamApp
from processors.effects import Effects, EffectsByPartition
from processors.storage import StorageWriter
from processors.stores import UnstorableError
from processors.thresholds import RunTimeThresholds
from processors.transport.tables import StateTable
from processors.watchdog import fatal
from schemas import DeadLetter, cloudevents, dead_letters, encode
from schemas.bounds import LATEST_US
from schemas.topics import DEAD_LETTERS, PRICE_CHANGES, PRICE_CHANGES_STATE, SNAPSHOTS

log = logging.getLogger(__name__)

AGENTS = ("snapshots", "storage", "changes")

SNAPSHOT_SECONDS = 0.2
"""Between two publications of a code's snapshot; the worker's memory, which HTTP reads, has every tick at once."""
STATE_SECONDS = 0.5
"""Between two publications of a code's state. What is newer comes again after a crash, and goes out again as it was."""

Handler = Callable[[Any, Chunk], Awaitable[None]]


class DeadLetterBox:
    """Where records of the tick topic that are no ticks go, once per worker."""

    def __init__(self, queue: PartitionQueue, group: str) -> None:
        """A box of the consumer group ``group``, which becomes the letters' source."""
        self.queue = queue
        self.buried = 0
        self._group = group

    def bury(self, chunk: Chunk) -> None:
        """Publish a chunk's records that are no ticks, or that a job failed on; each once, of agents that share it."""
        if not chunk.bad and not chunk.failed:
            return
        failed = [(bisect_left(chunk.offsets, offset), why) for offset, why in chunk.failed.items()]
        for index, reason in [*chunk.bad, *failed]:
            offset = chunk.offsets[index]
            if offset in chunk.buried:
                continue
            chunk.buried.add(offset)
            place = f"{chunk.topic}/{chunk.partition}/{offset}"
            timestamp = chunk.timestamps[index]
            letter = DeadLetter(
                payload=chunk.values[index] or b"",
                reason=f"{place}: {reason}",
                part="tick",
                source=self._group,
                run=0,
                received=min(max(timestamp, 0) * 1000, LATEST_US),
            )
            value, headers = dead_letters.to_kafka(letter)
            self.queue.add(None, value, timestamp, headers)
            self.buried += 1
            log.error(
                "a record of the tick topic is no usable tick and went to %s: %s: %s", DEAD_LETTERS, place, reason
            )

    def refuse(self, error: UnstorableError, topic: str) -> None:
        """Publish what a store can't keep: its place and the reason, since its value is in the log."""
        place = f"{topic}/{error.partition}/{error.offset}"
        letter = DeadLetter(b"", f"{place}: {error}", "tick", self._group, 0, time.time_ns() // 1000)
        value, headers = dead_letters.to_kafka(letter)
        self.queue.add(None, value, letter.received // 1000, headers)
        self.buried += 1
        log.error("a tick can't be stored: %s: %s", place, error)


class SnapshotsAgent:
    """Maintains the snapshot table and publishes its rows."""

    def __init__(self, table: StateTable, job: Snapshots, publisher: Publisher, letters: DeadLetterBox) -> None:
        """An agent over the table's rows."""
        self.published = 0
        self._table, self._job, self._letters = table, job, letters
        self._effects: EffectsByPartition[SnapshotRow] = EffectsByPartition(
            lambda partition: Effects(publisher.queue(SNAPSHOTS, partition), letters.queue, every=SNAPSHOT_SECONDS)
        )

    async def handle(self, event: Any, chunk: Chunk) -> None:
        """Apply one chunk."""
        self._letters.bury(chunk)
        touched = self._job.apply(self._table.rows(chunk.partition), chunk)
        self._letters.bury(chunk)
        self.published += len(touched)
        await self._effects.of(chunk.partition).submit(event, touched, len(chunk))

    def publish(self, partition: int, rows: Iterable[SnapshotRow]) -> None:
        """Publish rows of a partition that changed without a tick."""
        self._effects.of(partition).touch(rows)

    def forget(self) -> None:
        """Partitions were revoked."""
        self._effects.forget()


class ChangesAgent:
    """Emits the price changes that are larger than the threshold."""

    def __init__(
        self,
        table: StateTable,
        job: Changes,
        changes: Publisher,
        state: Publisher,
        *,
        thresholds: RunTimeThresholds,
        letters: DeadLetterBox,
    ) -> None:
        """An agent over the table's rows; changes leave by a publisher of their own, so that no rows go before them."""
        self.emitted = 0
        self._table, self._job, self._publisher, self._letters = table, job, changes, letters
        self._thresholds = thresholds
        self._effects: EffectsByPartition[ChangeRow] = EffectsByPartition(
            lambda partition: Effects(
                state.queue(PRICE_CHANGES_STATE, partition),
                changes.queue(PRICE_CHANGES, partition),
                letters.queue,
                every=STATE_SECONDS,
            )
        )

    async def handle(self, event: Any, chunk: Chunk) -> None:
        """Apply one chunk; its changes leave at once, its state rows when they are confirmed."""
        self._letters.bury(chunk)
        in_force = await self._thresholds.of(chunk.partition)
        changes, touched = self._job.apply(self._table.rows(chunk.partition), chunk, in_force)
        self._letters.bury(chunk)
        queue = self._publisher.queue(PRICE_CHANGES, chunk.partition)
        for change in changes:
            headers = cloudevents.headers(change, chunk.topic)
            queue.add(change.code.encode(), encode(change), change.received // 1000, headers)
        self.emitted += len(changes)
        await self._effects.of(chunk.partition).submit(event, touched, len(chunk))

    def forget(self) -> None:
        """Partitions were revoked."""
        self._effects.forget()
        self._job.forget()
        self._thresholds.forget()


class StorageAgent:
    """Hands chunks to the store."""

    def __init__(self, writer: StorageWriter, letters: DeadLetterBox) -> None:
        """An agent before the writer."""
        self._writer, self._letters = writer, letters

    async def handle(self, event: Any, chunk: Chunk) -> None:
        """Enter one chunk."""
        self._letters.bury(chunk)
        if chunk.bad:
            await self._letters.queue.delivered()
        await self._writer.submit(event, chunk)

    def forget(self) -> None:
        """Partitions were revoked."""
        self._writer.forget()


def attach(app: StreamApp, topic: Any, name: str, handle: Handler) -> None:
    """Make a Faust agent of a handler.

    The handler acknowledges chunks itself. It must not raise: Faust would acknowledge the chunk and go on with the next
    one, so an error here ends the process, and the chunk comes again.
    """

    async def run(stream: Any) -> None:
        async for event in stream.noack().events():
            event.ack()
            try:
                for delivery in event.value:
                    await handle(delivery, delivery.chunk)
                    delivery.taken()
            except Exception:
                log.exception("agent %s failed", name)
                fatal(f"agent {name} failed")

    app.agent(topic, name=name)(run)

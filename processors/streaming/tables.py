"""State by code as a Faust table, one dictionary per partition, recovered in bulk from its compacted topic.

Faust assigns the partitions and routes by them; the rows themselves are written by applying chunks to them and
published in batches (``processors.streaming.effects``), never a changelog record a write.

Replaced, with the reason (Faust 0.15.3): the memory store keeps rows of partitions that left and serves them; the
recovery service reads 31,000 records/s, replays the worker's own writes at each rebalance, can lose its wake-up, ends
in silence when the broker is slow, and never ends on a log whose last record is a control record.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.stores import memory
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.tables.table import Table
from faust.types import TP
from mode import Service

from broker.chunk import Chunk
from broker.errors import FencedError
from broker.events import event
from broker.reader import ChunkReader, ReadError
from jobs.room import Room
from processors.streaming.consumer import BatchConsumer, OvertakenError
from processors.streaming.rebuilding import Damage, Rebuild, rebuild
from processors.streaming.restoring import counting, older
from processors.streaming.watchdog import fatal
from schemas import RecordError, UsageError
from schemas.topics import TICKS, partition_of

log = logging.getLogger(__name__)

FETCH_BYTES = 4 << 20
"""Of one partition in one fetch while it is restored."""
RECOVERY_PATIENCE = 60.0
"""Seconds without a record after which a recovery has failed."""


class Row(Protocol):
    """A code's state, changed in place."""

    marks: dict[str, tuple[int, int]]


class _Union(MutableMapping[str, Any]):
    """The rows of all partitions as one mapping; a code is looked for in its own partition alone."""

    def __init__(self, partitions: dict[int, dict[str, Any]], count: int) -> None:
        self._partitions = partitions
        self._count = count

    def __getitem__(self, code: str) -> Any:
        return self._partitions[partition_of(code, self._count)][code]

    def __setitem__(self, code: str, row: Any) -> None:
        self._partitions.setdefault(partition_of(code, self._count), {})[code] = row

    def __delitem__(self, code: str) -> None:
        del self._partitions[partition_of(code, self._count)][code]

    def __iter__(self) -> Iterator[str]:
        return (code for rows in list(self._partitions.values()) for code in list(rows))

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))


class PartitionedStore(memory.Store[str, Any]):
    """Faust's store protocol over one dictionary per partition."""

    logger = logging.getLogger("faust.stores")

    def __init__(self, *args: Any, partitions: int, **kwargs: Any) -> None:
        """An empty store for a topic of so many partitions."""
        self.partitions: dict[int, dict[str, Any]] = {}
        self._count = partitions
        super().__init__(*args, **kwargs)

    def __post_init__(self) -> None:
        """Start empty."""
        self.data = _Union(self.partitions, self._count)
        self._key_partition = {}

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Rows of partitions that left are dropped by ``BulkRecovery``."""


class StateTable(Table[str, Any]):
    """A Faust table whose rows are changed in place, chunk by chunk."""

    logger = logging.getLogger("faust.tables")

    def __init__(
        self,
        *args: Any,
        restore: Callable[[bytes], tuple[str, Row]],
        rebuild: Rebuild | None = None,
        **kwargs: Any,
    ) -> None:
        """As ``app.Table`` makes it.

        Args:
            restore: makes code and row from a record of the compacted topic.
            rebuild: applies ticks to rows, where one could not be restored.
        """
        self._restore = restore
        self.rebuild = rebuild
        self.room = Room("restored state")
        super().__init__(*args, **kwargs)

    def _new_store(self) -> Any:
        return PartitionedStore(
            "memory://",
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            value_type=self.value_type,
            partitions=cast("Any", self.app).runner.partitions(self.changelog_topic.get_topic_name()),
        )

    @property
    def partitions_held(self) -> dict[int, dict[str, Any]]:
        """The rows by partition; only of partitions that this worker owns."""
        return cast("PartitionedStore", self.data).partitions

    def rows(self, partition: int) -> dict[str, Any]:
        """A partition's rows by code, to be changed in place."""
        return self.partitions_held.setdefault(partition, {})

    def on_key_set(self, key: str, value: Any) -> None:
        """Refuse single writes: they would bypass the published state."""
        raise TypeError(f"{self.name}: rows change by applying chunks, not by assignment")

    def on_key_get(self, key: str) -> None:
        """Reads are not counted."""

    def apply(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Take one record of the compacted topic over.

        A late copy of an older row, which a resend can leave behind a newer one, changes nothing. Of two rows after the
        same ticks the later counts: a snapshot's gap mark changes without one.

        Raises:
            RecordError: the value is not a row.
        """
        rows = self.rows(partition)
        if value is None:
            if key is not None:
                rows.pop(key.decode("utf-8", "replace"), None)
            return
        code, row = self._restore(value)
        if key != code.encode():
            raise RecordError(f"the row of {code!r} lies under another key")
        held = rows.get(code)
        if held is None and self.room.full(rows, code):
            return
        if held is None or not older(row.marks, held.marks):
            rows[code] = row


class BulkRecovery(Recovery):
    """Restores what was newly assigned, in bulk, with a consumer of its own, or crashes the worker."""

    logger = logging.getLogger("faust.tables")

    restored_records = 0
    """State records that were read for what was newly assigned."""
    restored_seconds = 0.0
    _held: frozenset[TP] = frozenset()
    _held_generation = -1

    async def _restart_recovery_once(self) -> None:
        generation = self._generation_id
        active = frozenset(self.active_tps)
        # Nobody else can have owned a partition between two generations that follow each other.
        consumer = cast("BatchConsumer", self.app.consumer)
        follows = generation == self._held_generation + 1 and not consumer.abandoned
        kept = self._held & active if follows else frozenset()
        consumer.abandoned = False
        for table in self.tables.values():
            held = cast("StateTable", table).partitions_held
            topic = table.changelog_topic.get_topic_name()
            for partition in [p for p in held if TP(topic, p) not in kept]:
                del held[partition]
        # Rows stay as they are until chunks come, so they are right also where another generation overtakes this one.
        self._held, self._held_generation = kept, generation
        fresh = active - kept
        if fresh:
            self._set_recovery_started()
            await self._take_over(fresh, generation)
            await self._restore(fresh)
        self._held = active
        self._set_recovery_ended()
        if self.signal_recovery_start.is_set() or generation != self.app.consumer_generation_id:
            return
        await self._resume(generation)

    async def _take_over(self, fresh: frozenset[TP], generation: int) -> None:
        """What an earlier owner has on its way is refused from here on: no row changes while they are restored."""

        def owned() -> bool:
            return generation == self.app.consumer_generation_id and not self.signal_recovery_start.is_set()

        started = time.monotonic()
        try:
            await cast("Any", self.app).runner.take_over(fresh, owned)
        except FencedError as error:
            raise OvertakenError(str(error)) from error
        log.info("took %s partitions over in %.2f s", len(fresh), time.monotonic() - started)

    async def _resume(self, generation: int) -> None:
        app, consumer = self.app, self.app.consumer
        await app.on_rebalance_complete.send()
        assignment = consumer.assignment()
        if assignment:
            await asyncio.wait_for(consumer.perform_seek(), app.conf.broker_request_timeout)
            if generation != app.consumer_generation_id:
                return
            consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await cast("Any", app)._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()
        log.info("owning %s partitions", len([tp for tp in assignment if not self._is_changelog_tp(tp)]))

    async def _restore(self, fresh: frozenset[TP]) -> None:
        started = time.monotonic()
        damage: dict[str, Damage] = {tp.topic: Damage() for tp in fresh}
        records = await self._read(fresh, damage)
        await self._rebuild(damage)
        took = time.monotonic() - started
        self.restored_records += records
        self.restored_seconds += took
        log.info(
            "restored %s partitions from %s records in %.1f s",
            len(fresh),
            f"{records:,}",
            took,
            extra=event("restored", partitions=len(fresh), records=records, seconds=round(took, 2)),
        )

    async def _rebuild(self, damaged: Mapping[str, Damage]) -> None:
        """Make rows anew that could not be read. Without it the others go on: one row must not stop them."""
        for topic, damage in damaged.items():
            table = cast("StateTable", self.tables._changelogs[topic])
            left = damage.left()
            if not left or table.rebuild is None:
                continue
            try:
                ends = {partition: await self._committed(partition) for partition in left}
                app = cast("Any", self.app)
                await rebuild(app.bootstrap, table.rows, table.rebuild, damage, ends)
            except (KafkaError, OSError, TimeoutError, ReadError, UsageError):
                log.exception("%s: %d rows that can't be read begin anew", topic, sum(map(len, left.values())))

    async def _committed(self, partition: int) -> int:
        """Where the worker goes on in a partition of the ticks; what it has not committed comes again by itself."""
        consumer = cast("BatchConsumer", self.app.consumer)
        place = TopicPartition(TICKS, partition)
        committed = await asyncio.wait_for(consumer._thread._ensure_consumer().committed(place), RECOVERY_PATIENCE)
        return committed or 0

    async def _read(self, fresh: frozenset[TP], damage: Mapping[str, Damage]) -> int:
        places = [TopicPartition(tp.topic, tp.partition) for tp in fresh]
        read = 0
        async with ChunkReader(
            cast("Any", self.app).bootstrap,
            client_id=f"{self.app.conf.id}-recovery",
            fetch_bytes=FETCH_BYTES,
            patience=RECOVERY_PATIENCE,
        ) as reader:
            async with asyncio.timeout(RECOVERY_PATIENCE):
                begins, ends = await reader.begins(places), await reader.ends(places)
            reader.assign({place: (begins[place], ends[place]) for place in places})
            while chunks := await reader.fetch():
                for chunk in chunks:
                    self._apply(chunk, damage[chunk.topic])
                    read += len(chunk)
                    await asyncio.sleep(0)
        return read

    def _apply(self, chunk: Chunk, damage: Damage) -> None:
        indexes = counting(chunk.keys, chunk.values)
        if not self._apply_some(indexes, chunk, damage) and len(indexes) < len(chunk):
            self._apply_some(range(len(chunk)), chunk, damage)  # rows before those that can't be read count after all

    def _apply_some(self, indexes: Sequence[int], chunk: Chunk, damage: Damage) -> bool:
        table, partition = cast("StateTable", self.tables._changelogs[chunk.topic]), chunk.partition
        whole = True
        for index in indexes:
            key = chunk.keys[index]
            try:
                table.apply(partition, key, chunk.values[index])
            except RecordError as error:
                damage.unreadable(TopicPartition(chunk.topic, partition), chunk.offsets[index], key, error)
                whole = False
            else:
                damage.replaced(partition, key)
        return whole

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):  # type: ignore[arg-type]
                return
            self.signal_recovery_start.clear()
            try:
                await self._restart_recovery_once()
            except Exception as error:
                overtaken = isinstance(error, OvertakenError) or self.signal_recovery_start.is_set()
                if overtaken or self._stopped.is_set():
                    log.warning("recovery was overtaken: %r", error)
                    continue
                log.exception("tables can't be restored")
                fatal("recovery failed")

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Nothing comes through the changelog queue: recovery reads for itself."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Recovery logs its own outcome."""


class StateTableManager(TableManager):
    """Faust's table manager with the recovery above."""

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        """As Faust's, which waits a second for tables that are still to come: here all are there before the start."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made once."""
        if self._recovery is None:
            self._recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

"""A chunk: what one fetch brought of one partition, as lists, without an object a record."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

from broker.shared import Part, SharedBatches, ticks_of
from schemas import Tick
from schemas.usable import read_ticks, reason

log = logging.getLogger(__name__)


class Chunk:
    """Records of one partition in offset order.

    Attributes:
        start: the offset that was asked for; the first record's may be higher (compaction, control batches).
        end: the offset to ask for next.
        offsets, timestamps, keys, values: one entry a record; timestamps in ms since the epoch.
        headers: likewise, where they were asked for.
        failed: by offset, why a job could not work on a usable tick.
        corrupt: whether a batch behind these records failed its checksum; nothing at or after ``end`` can be read.
    """

    __slots__ = (
        "_bad",
        "_parts",
        "_ticks",
        "corrupt",
        "end",
        "failed",
        "headers",
        "keys",
        "offsets",
        "partition",
        "start",
        "timestamps",
        "topic",
        "values",
    )

    def __init__(self, topic: str, partition: int, start: int) -> None:
        """An empty chunk that begins at ``start``."""
        self.topic = topic
        self.partition = partition
        self.start = start
        self.end = start
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.headers: list[Sequence[tuple[str, bytes]]] = []
        self.corrupt = False
        self.failed: dict[int, str] = {}
        self._ticks: list[Tick | None] | None = None
        self._bad: list[tuple[int, str]] = []
        self._parts: list[Part] | None = None

    def __len__(self) -> int:
        """Records in the chunk."""
        return len(self.offsets)

    def clip(self, end: int) -> None:
        """Drop the records at and after an offset."""
        kept = bisect_left(self.offsets, end)
        for entries in (self.offsets, self.timestamps, self.keys, self.values, self.headers):
            del entries[kept:]
        self.end = min(self.end, end)
        self._ticks, self._bad, self._parts = None, [], None

    def select(self, indexes: Sequence[int]) -> None:
        """Keep only the records at these indexes, which rise; ``start`` and ``end`` stay."""
        if len(indexes) == len(self.offsets):
            return
        self.offsets = [self.offsets[i] for i in indexes]
        self.timestamps = [self.timestamps[i] for i in indexes]
        self.keys = [self.keys[i] for i in indexes]
        self.values = [self.values[i] for i in indexes]
        self.headers = [self.headers[i] for i in indexes] if self.headers else []
        self._ticks = None if self._ticks is None else [self._ticks[i] for i in indexes]
        self._parts = None
        places = {old: new for new, old in enumerate(indexes)} if self._bad else {}
        self._bad = [(places[i], reason) for i, reason in self._bad if i in places]

    def fail(self, offset: int, error: Exception) -> None:
        """A job could not work on the record at an offset: it is a dead letter.

        Raises:
            MemoryError: that was not a fault of the record.
        """
        if isinstance(error, MemoryError):
            raise error
        log.error("%s/%d offset %d: a job failed on it", self.topic, self.partition, offset, exc_info=error)
        self.failed[offset] = f"a job failed on it: {error!r}"

    @property
    def ticks(self) -> list[Tick | None]:
        """The values as ticks, decoded once for all agents of a worker; ``None`` where a value is not usable."""
        if self._ticks is None:
            if self._parts is None:
                self._ticks, refused = read_ticks(self.values, self.timestamps)
            else:
                self._ticks, refused = ticks_of(self._parts, self.values, self.timestamps)
                self._parts = None
            self._bad = [(index, reason(self.values[index], self.timestamps[index])) for index in refused]
        return self._ticks

    @property
    def bad(self) -> list[tuple[int, str]]:
        """Index and reason of each value that is not a usable tick."""
        _ = self.ticks
        return self._bad


def drain(
    fetcher: Any,
    partitions: Collection[TopicPartition] | None,
    *,
    headers: bool = False,
    shared: SharedBatches | None = None,
) -> list[Chunk]:
    """Take over what an aiokafka fetcher holds of some partitions (``None``: of all), at most one chunk each.

    The broker is asked for more when ``ask`` is called: as long as it holds anything, a fetcher waits for that.

    Args:
        headers, shared: as for ``take``.

    Raises:
        KafkaError: nothing could be taken, and a partition has failed (its offset is out of range, say).
    """
    chunks: list[Chunk] = []
    for tp in list(fetcher._records):
        if partitions and tp not in partitions:
            if not fetcher._subscriptions.is_assigned(tp):
                del fetcher._records[tp]
            continue
        result = fetcher._records[tp]
        if type(result) is FetchResult:
            del fetcher._records[tp]
            chunk = take(result, headers=headers, shared=shared)
            if chunk is not None:
                chunks.append(chunk)
        elif not chunks:
            del fetcher._records[tp]
            ask(fetcher)
            result.check_raise()
    return chunks


def ask(fetcher: Any) -> None:
    """Have an aiokafka fetcher send its next request, now that nothing is held that it would wait for."""
    fetcher._notify(fetcher._wait_consume_future)


def take(result: FetchResult, *, headers: bool = False, shared: SharedBatches | None = None) -> Chunk | None:
    """Everything that a fetch result holds, as a chunk; the partition's position moves past it.

    Aborted transactions, control batches, checksums, offsets below the position, paused and lost partitions are
    treated as aiokafka's ``FetchResult.getall`` treats them, but for one thing: records before a corrupt batch are
    kept.

    Args:
        headers: whether the chunk carries the records' headers.
        shared: what the process's other readers took apart already; it holds no headers.

    Returns:
        ``None`` where aiokafka would give no records and leave the position.
    """
    tp = result._topic_partition
    if not result.check_assignment(tp) or not result.has_more():
        return None
    records = result._partition_records
    chunk = Chunk(tp.topic, tp.partition, records.next_fetch_offset)
    if shared is None or headers:
        _unpack(records, chunk, headers=headers)
    else:
        _unpack_shared(records, chunk, shared)
    records.next_fetch_offset = chunk.end
    result._update_position()
    result._partition_records = None
    records._records_iterator = (
        None  # it refers back to the records: a whole fetch would wait for the garbage collector
    )
    return chunk


def _unpack(records: PartitionRecords, chunk: Chunk, *, headers: bool) -> None:
    batches = records._records
    read_committed = records._isolation_level == 1
    while batches.has_next():
        batch = batches.next_plain()
        if records._check_crcs and not batches.intact(batch):
            chunk.corrupt = True
            return
        if read_committed and _aborted(records, batch):
            chunk.end = batch.next_offset
            continue
        if not batch.is_control_batch:
            start = chunk.end
            try:
                _add(batch, chunk, start, headers=headers)
            except UnicodeDecodeError:
                start = max(start, chunk.offsets[-1] + 1) if chunk.offsets else start
                _add(batches.lenient(batch), chunk, start, headers=headers)
        chunk.end = batch.next_offset


def _aborted(records: PartitionRecords, batch: Any) -> bool:
    """Whether a batch is of a transaction that was aborted."""
    if batch.producer_id is None:
        return False
    records._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and records._contains_abort_marker(batch):
        records._aborted_producers.discard(batch.producer_id)
    return batch.is_transactional and batch.producer_id in records._aborted_producers


def _unpack_shared(records: PartitionRecords, chunk: Chunk, shared: SharedBatches) -> None:
    """``_unpack``, but for what another reader has unpacked."""
    batches, topic, partition = records._records, chunk.topic, chunk.partition
    read_committed = records._isolation_level == 1
    parts = chunk._parts = []
    while batches.has_next():
        batch = batches.next_plain()
        control = batch.is_control_batch
        key = topic, partition, batch.base_offset, batch.crc
        known = None if control else shared.get(key)
        if known is None and records._check_crcs and not batches.intact(batch):
            chunk.corrupt = True
            return
        if read_committed and _aborted(records, batch):
            chunk.end = batch.next_offset
            continue
        if not control:
            if known is None:
                try:
                    known = shared.add(key, batch)
                except UnicodeDecodeError:
                    known = shared.add(key, batches.lenient(batch))
            first = 0
            offsets, timestamps, keys, values = known.offsets, known.timestamps, known.keys, known.values
            if offsets and offsets[0] < chunk.end:
                first = bisect_left(offsets, chunk.end)
                offsets, timestamps = offsets[first:], timestamps[first:]
                keys, values = keys[first:], values[first:]
            parts.append((known, first))
            chunk.offsets += offsets
            chunk.timestamps += timestamps
            chunk.keys += keys
            chunk.values += values
        chunk.end = batch.next_offset


def _add(records: Iterable[Any], chunk: Chunk, start: int, *, headers: bool) -> None:
    """Put records at the end of a chunk, without those before an offset."""
    add_offset, add_time = chunk.offsets.append, chunk.timestamps.append
    add_key, add_value = chunk.keys.append, chunk.values.append
    for record in records:
        offset = record.offset
        if offset >= start:
            add_offset(offset)
            add_time(record.timestamp)
            add_key(record.key)
            add_value(record.value)
            if headers:
                chunk.headers.append(record.headers)


def corrupt(chunk: Chunk) -> CorruptRecordException:
    """The error of a chunk behind which a batch failed its checksum: stop, never skip."""
    return CorruptRecordException(
        f"{chunk.topic}/{chunk.partition}: the batch at {chunk.end} fails its checksum: the log is damaged"
    )

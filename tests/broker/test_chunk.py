"""Chunks hold what aiokafka's own records hold, on a real log with all that makes a log difficult."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from broker.chunk import take
from broker.shared import SharedBatches
from tests.broker.conftest import Topics

Rows = list[tuple[int, int, bytes | None, bytes | None]]


@pytest.fixture
async def difficult(bootstrap: str, new_topics: Topics) -> TopicPartition:
    """A partition with plain and compressed batches, tombstones, a committed and an aborted transaction."""
    [topic] = await new_topics()
    for settings in ({}, {"compression_type": "gzip"}, {"compression_type": "lz4"}):
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, **settings) as producer:
            for start in (0, 10):
                batch = producer.create_batch()
                for n in range(start, start + 10):
                    value = None if n == 3 else b"value-%d" % n
                    batch.append(timestamp=1_000_000 + n, key=b"key-%d" % (n % 4), value=value, headers=[])
                await (await producer.send_batch(batch, topic, partition=0))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic) as producer:
        for outcome in ("commit", "abort", "commit"):
            await producer.begin_transaction()
            for n in range(5):
                await producer.send_and_wait(topic, b"%s-%d" % (outcome.encode(), n), partition=0)
            await (producer.commit_transaction() if outcome == "commit" else producer.abort_transaction())
    # A transaction's marker follows the answer to its commit: wait for the last of the 3 behind 75 records.
    tp = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed") as consumer:
        async with asyncio.timeout(20):
            while (await consumer.end_offsets([tp]))[tp] < 78:  # noqa: ASYNC110 - the broker has no event for it
                await asyncio.sleep(0.01)
    return tp


async def read(
    bootstrap: str, tp: TopicPartition, isolation: str, start: int, *, chunks: bool, shared: SharedBatches | None = None
) -> tuple[Rows, int]:
    """All records from an offset on, by chunks or by aiokafka's records, and the position behind them."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=700,
    )
    rows: Rows = []
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, start)
        end = (await consumer.end_offsets([tp]))[tp]
        deadline = time.monotonic() + 20
        while await consumer.position(tp) < end and time.monotonic() < deadline:
            if not chunks:
                found = (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])
                rows += [(r.offset, r.timestamp, r.key, r.value) for r in found]
                continue
            fetcher = consumer._fetcher
            if tp not in fetcher._records:
                await asyncio.sleep(0.005)
                continue
            chunk = take(fetcher._records.pop(tp), shared=shared)
            fetcher._notify(fetcher._wait_consume_future)
            assert chunk is not None
            assert chunk.end == await consumer.position(tp)
            rows += zip(chunk.offsets, chunk.timestamps, chunk.keys, chunk.values, strict=True)
        return rows, await consumer.position(tp)
    finally:
        await consumer.stop()


@pytest.mark.parametrize("isolation", ["read_uncommitted", "read_committed"])
async def test_chunks_hold_what_the_records_of_the_client_hold(
    bootstrap: str, difficult: TopicPartition, isolation: str
) -> None:
    """From the beginning, and from within batches: same offsets, times, keys, values, and the same position after.

    Also where another reader, of any isolation, has taken the batches apart.
    """
    ours: tuple[Rows, int] = [], 0
    other = "read_committed" if isolation == "read_uncommitted" else "read_uncommitted"
    shared = SharedBatches(100)
    for start in (0, 4, 33, 61, 70):
        theirs = await read(bootstrap, difficult, isolation, start, chunks=False)
        ours = await read(bootstrap, difficult, isolation, start, chunks=True)
        assert ours == theirs
        await read(bootstrap, difficult, other, start, chunks=True, shared=shared)
        assert await read(bootstrap, difficult, isolation, start, chunks=True, shared=shared) == theirs
        assert len(ours[0]) > 0
    assert shared.hits > shared.misses
    aborted = sum(value is not None and value.startswith(b"abort") for *_, value in ours[0])
    assert (aborted == 0) == (isolation == "read_committed")


async def test_a_paused_partition_gives_no_chunk(bootstrap: str, difficult: TopicPartition) -> None:
    """What was fetched before a pause or a seek is dropped, and the position stays."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([difficult])
        consumer.seek(difficult, 0)
        fetcher = consumer._fetcher
        async with asyncio.timeout(20):
            while difficult not in fetcher._records:  # noqa: ASYNC110 - the client has no event for it
                await asyncio.sleep(0.005)
        fetched = fetcher._records[difficult]
        consumer.seek(difficult, 7)
        assert take(fetched) is None
        assert await consumer.position(difficult) == 7
    finally:
        await consumer.stop()

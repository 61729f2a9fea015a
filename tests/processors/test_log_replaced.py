"""Another log behind the same name is noticed, said, and read from its start, whatever was committed before."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from broker import admin
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from schemas import FeedEvent, Tick, decode, encode
from schemas.topics import FEED_EVENTS, TICKS, partition_of, topics
from tests.processors.test_kill import CODES, PARTITIONS, WorkerProcess

GROUP = "ashare-snapshots-storage-changes"


class Log:
    """What was ever pushed, and how much of it a worker has stored."""

    def __init__(self, directory: Path) -> None:
        """Nothing yet."""
        self._store = directory / "store"
        self._run = int(time.time() * 1000)
        self._count = itertools.count(1)
        self.pushed = 0

    async def push(self, bootstrap: str, ticks: int) -> None:
        """Put so many new ticks into the log."""
        publisher = Publisher(bootstrap, client_id="load")
        await publisher.start(TICKS)
        for n in itertools.islice(self._count, ticks):
            code, now = CODES[n % len(CODES)], time.time_ns() // 1000
            tick = Tick(
                code=code, exchange="SSE", price=10 + n % 7 / 100, time=now // 1000, received=now, source="load",
                run=self._run, n=n, volume=100, turnover=1000.0,
            )  # fmt: skip
            publisher.queue(TICKS, partition_of(code, PARTITIONS)).add(code.encode(), encode(tick), now // 1000)
        await publisher.stop()
        self.pushed += ticks

    @property
    def stored(self) -> int:
        """Ticks in the store."""
        found = 0
        for path in self._store.glob("ticks-*.sqlite"):
            # A file that was made a moment ago may have no table yet.
            with (
                contextlib.suppress(sqlite3.OperationalError),
                contextlib.closing(sqlite3.connect(path)) as connection,
            ):
                found += connection.execute("SELECT count(*) FROM ticks").fetchone()[0]
        return found

    async def read(self, worker: WorkerProcess) -> dict[str, Any]:
        """Wait until everything that was pushed is stored and committed; what the worker says of itself then."""
        async with asyncio.timeout(90):
            while True:
                assert worker.process.poll() is None, "the worker has ended"
                status = await worker.status()
                if status and status["recovered"] and self.stored == self.pushed and not status["lag_total"]:
                    return status
                await asyncio.sleep(0.3)


async def events(bootstrap: str) -> list[FeedEvent]:
    """The feed events that tell of a log that was replaced."""
    place = TopicPartition(FEED_EVENTS, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([place])
        end, found = (await consumer.end_offsets([place]))[place], []
        while await consumer.position(place) < end:
            records = (await consumer.getmany(place, timeout_ms=500)).get(place, [])
            found += [decode(FeedEvent, record.value) for record in records]
    return [event for event in found if event.event == "log_replaced"]


async def made_anew(bootstrap: str, topic: str) -> None:
    """Delete a topic and make it again."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_topics([topic])
    finally:
        await client.close()
    await asyncio.sleep(1.0)
    await admin.apply(bootstrap, {topic: topics()[topic]})


async def commit_too_far(bootstrap: str) -> None:
    """Have the group stand behind every log's end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(TICKS, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.commit({place: OffsetAndMetadata(1_000_000, "") for place in places})
    finally:
        await consumer.stop()


@pytest.mark.timeout(300)
async def test_what_stands_behind_the_name_is_read_from_its_start(tmp_path: Path) -> None:
    """A topic that is made anew, offsets that are set too far, another cluster at the same address."""
    log, broker = Log(tmp_path), KafkaBroker(tmp_path / "first")
    await asyncio.to_thread(broker.start)
    await admin.apply(broker.bootstrap)
    await log.push(broker.bootstrap, 300)
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    try:
        assert (await log.read(worker))["logs_replaced"] == 0

        await made_anew(broker.bootstrap, TICKS)
        await log.push(broker.bootstrap, 900)
        await log.read(worker)
        assert [event.reason.split()[0] for event in await events(broker.bootstrap) if event.reason] == [TICKS]

        worker.process.terminate()
        await asyncio.to_thread(worker.process.wait)
        await commit_too_far(broker.bootstrap)
        worker.start()
        await log.push(broker.bootstrap, 100)
        await log.read(worker)

        broker.kill()
        broker = KafkaBroker(tmp_path / "second", broker.port)
        await asyncio.to_thread(broker.start)
        await admin.apply(broker.bootstrap)
        await log.push(broker.bootstrap, 3_000)  # past every offset that was read before
        status = await log.read(worker)
        assert status["logs_replaced"] >= 1
        told = await events(broker.bootstrap)
        assert any(
            event.source.startswith(f"{GROUP}@") and event.reason and event.reason.startswith(TICKS) for event in told
        )
    finally:
        worker.kill()
        await asyncio.to_thread(broker.stop)

"""Partitions that are added to the topic of ticks while all run stop nobody, and nobody starts with them."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from schemas import Tick, UsageError, encode
from schemas.topics import TICKS, partition_of
from tests.processors.test_kill import CODES, PARTITIONS, WorkerProcess
from tests.processors.test_log_replaced import Log

ADDED = 2


async def add_partitions(bootstrap: str) -> None:
    """To the topic of ticks."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.create_partitions({TICKS: NewPartitions(total_count=PARTITIONS + ADDED)})
    finally:
        await client.close()


@pytest.mark.timeout(240)
async def test_partitions_added_under_all_change_nothing(broker: KafkaBroker, tmp_path: Path) -> None:
    """Producer and worker go on in the declared ones; each that starts refuses, in words that name both numbers."""
    log, publisher = Log(tmp_path), Publisher(broker.bootstrap, client_id="producer")
    await publisher.start(TICKS)
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    run, numbers = int(time.time() * 1000), itertools.count(1)

    async def push(count: int) -> None:
        for n in itertools.islice(numbers, count):
            code, now = CODES[n % len(CODES)], time.time_ns() // 1000
            tick = Tick(
                code=code, exchange="SSE", price=10 + n % 7 / 100, time=now // 1000, received=now, source="load",
                run=run, n=n, volume=100, turnover=1000.0,
            )  # fmt: skip
            publisher.queue(TICKS, partition_of(code, PARTITIONS)).add(code.encode(), encode(tick), now // 1000)
        await publisher.flush()
        log.pushed += count

    try:
        await push(300)
        await log.read(worker)
        await add_partitions(broker.bootstrap)
        await push(300)
        await log.read(worker)
        with pytest.raises(UsageError, match=f"has {PARTITIONS + ADDED} partitions.*declares {PARTITIONS}"):
            await Publisher(broker.bootstrap, client_id="another").start(TICKS)
        worker.process.terminate()
        await asyncio.to_thread(worker.process.wait)
        worker.start()
        assert await asyncio.to_thread(worker.process.wait, 90) == 2
        said = (tmp_path / "worker.log").read_text("utf-8")
        assert f"has {PARTITIONS + ADDED} partitions" in said.splitlines()[-1]
    finally:
        worker.kill()
        await publisher.stop()

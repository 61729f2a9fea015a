"""Workers killed at any instant, and partitions moving between them, change nothing of what readers get."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import admin
from broker.chunk import Chunk
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, free_port
from jobs.changes import Changes
from jobs.snapshots import Snapshots
from jobs.thresholds import parse_overrides
from processors.options import OWN
from schemas import Tick, encode
from schemas.topics import PRICE_CHANGES, TICKS, partition_of, topics

CODES = [*(f"{n}" for n in range(600_000, 600_080)), *(f"{n}" for n in range(300_000, 300_040))]
PARTITIONS = topics()[TICKS].partitions
SECONDS = 45.0
RATE = 1_500
THRESHOLD = "2ticks"


class WorkerProcess:
    """One ``ashare process``, which can be killed and started again on its port."""

    def __init__(self, bootstrap: str, directory: Path, name: str) -> None:
        """Started at once; its log is ``name.log``."""
        self.port = free_port()
        self._command = [
            *(sys.executable, "-m", "cli", "process", "--bootstrap", bootstrap, "--threshold", THRESHOLD),
            *("--store", f"sqlite:///{directory / 'store'}", "--web-port", str(self.port)),
        ]
        self._log = directory / f"{name}.log"
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    async def status(self) -> dict[str, Any] | None:
        """What it says of itself, ``None`` while it does not answer."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
                session.get(f"http://127.0.0.1:{self.port}/status") as answer,
            ):
                status: dict[str, Any] = await answer.json()
                return status if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


@contextmanager
def workers(bootstrap: str, directory: Path) -> Iterator[list[WorkerProcess]]:
    """Two workers that share the partitions."""
    started = [WorkerProcess(bootstrap, directory, name) for name in ("first", "second")]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()


async def push(publisher: Publisher, rng: random.Random) -> list[Tick]:
    """Ticks at a steady pace, some of them sent twice, as a producer does after an unknown outcome."""
    prices = {code: rng.randrange(900, 1_100) for code in CODES}
    sent: list[Tick] = []
    run, begun = int(time.time() * 1000), time.monotonic()
    while time.monotonic() < begun + SECONDS:
        while len(sent) < (time.monotonic() - begun) * RATE:
            code = rng.choice(CODES)
            prices[code] = max(100, prices[code] + rng.choice((-3, -1, 0, 0, 1, 2)))
            now = time.time_ns() // 1000
            tick = Tick(
                code=code, exchange="SSE", price=prices[code] / 100, time=now // 1000, received=now, source="load",
                run=run, n=len(sent) + 1, volume=100, turnover=float(prices[code]),
            )  # fmt: skip
            queue = publisher.queue(TICKS, partition_of(code, PARTITIONS))
            for _ in range(2 if rng.random() < 0.02 else 1):
                queue.add(code.encode(), encode(tick), now // 1000)
            sent.append(tick)
        await asyncio.sleep(0.005)
    await publisher.flush()
    return sent


async def disturb(pair: list[WorkerProcess], rng: random.Random) -> None:
    """Kill one worker, then the other, at random times, and start each again."""
    for victim in (pair[0], pair[1], pair[0]):
        await asyncio.sleep(rng.uniform(6, 12))
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(rng.uniform(0, 2))
        victim.start()


def done(states: Iterable[dict[str, Any] | None]) -> bool:
    """Whether these workers' agents have all partitions between them, and have committed everything."""
    found: dict[str, dict[str, int]] = {}
    for state in states:
        if not state or not state["recovered"]:
            return False
        for name, agent in state["agents"].items():
            found.setdefault(name, {}).update(agent["lag"])
    return set(found) == set(OWN) and all(len(lag) == PARTITIONS and not sum(lag.values()) for lag in found.values())


async def settled(bootstrap: str, pair: list[WorkerProcess]) -> None:
    """Wait until both workers share the partitions and have committed everything."""
    ends = sum(end for end in (await admin.describe(bootstrap, [TICKS]))[TICKS].end)
    assert ends > 0
    async with asyncio.timeout(90):
        while True:
            states = [await worker.status() for worker in pair]
            if done(states):
                return
            await asyncio.sleep(0.5)


async def log_of(bootstrap: str, topic: str) -> dict[int, Chunk]:
    """Every record of a topic, by partition."""
    tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    found = {p: Chunk(topic, p, 0) for p in range(PARTITIONS)}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        async with asyncio.timeout(60):
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    chunk = found[tp.partition]
                    for record in records:
                        chunk.offsets.append(record.offset)
                        chunk.timestamps.append(record.timestamp)
                        chunk.keys.append(dict(record.headers).get("ce_id"))
                        chunk.values.append(record.value)
    finally:
        await consumer.stop()
    return found


@pytest.mark.timeout(300)
async def test_killed_workers_change_nothing_of_what_readers_get(tmp_path: Path) -> None:
    """Changes, snapshots and rows equal those of an uninterrupted run; what is emitted twice is the same twice."""
    rng = random.Random(20_261_120)
    broker = KafkaBroker(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    try:
        await admin.apply(broker.bootstrap)
        publisher = Publisher(broker.bootstrap, client_id="load")
        await publisher.start(TICKS)
        with workers(broker.bootstrap, tmp_path) as pair:
            disturbing = asyncio.create_task(disturb(pair, rng))
            sent = await push(publisher, rng)
            await disturbing
            await settled(broker.bootstrap, pair)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{pair[0].port}/snapshots") as answer,
            ):
                assert answer.status == 200
                served = {s["code"]: s for s in orjson.loads(await answer.read())["snapshots"]}
        await publisher.stop()
        ticks = await log_of(broker.bootstrap, TICKS)
        changes = await log_of(broker.bootstrap, PRICE_CHANGES)
    finally:
        await asyncio.to_thread(broker.stop)

    _check_changes(ticks, changes)
    _check_snapshots(ticks, served)
    _check_store(tmp_path / "store", sent)


def _check_changes(ticks: dict[int, Chunk], changes: dict[int, Chunk]) -> None:
    job = Changes(parse_overrides(THRESHOLD, ""))
    for partition, chunk in ticks.items():
        expected = [encode(change) for change in job.apply({}, chunk)[0]]
        first: dict[bytes | None, bytes | None] = {}
        for name, value in zip(changes[partition].keys, changes[partition].values, strict=True):
            assert first.setdefault(name, value) == value, "a change that was emitted again differs"
        assert list(first.values()) == expected, f"partition {partition}"


def _check_snapshots(ticks: dict[int, Chunk], served: dict[str, dict[str, object]]) -> None:
    job = Snapshots()
    for chunk in ticks.values():
        rows: dict[str, object] = {}
        job.apply(rows, chunk)  # type: ignore[arg-type]
        for code, row in rows.items():
            expected = orjson.loads(encode(row.record()))  # type: ignore[attr-defined]
            assert served[code] | {"origin": None, "age_ms": 0} == expected | {"origin": None, "age_ms": 0}


def _check_store(directory: Path, sent: list[Tick]) -> None:
    stored: Counter[tuple[int, float]] = Counter()
    for path in directory.glob("ticks-*.sqlite"):
        with sqlite3.connect(path) as connection:
            stored.update(connection.execute("SELECT n, price FROM ticks"))
        connection.close()
    assert stored == Counter((tick.n, tick.price) for tick in sent)

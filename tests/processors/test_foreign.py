"""Whatever others write into the pipeline's topics, a worker goes on, and every good tick beside it arrives."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker import admin
from broker.publisher import Publisher
from broker.reader import ChunkReader
from deploy.embedded import KafkaBroker
from schemas import Tick, encode
from schemas.bounds import EXACT, LATEST_MS
from schemas.topics import (
    DEAD_LETTERS,
    FEED_EVENTS,
    PRICE_CHANGES,
    PRICE_CHANGES_STATE,
    SNAPSHOTS,
    THRESHOLD_MARKS,
    THRESHOLDS,
    TICKS,
    partition_of,
    topics,
)
from tests import foreign
from tests.processors.test_kill import WorkerProcess, done

CODE = "600519"
PARTITION = partition_of(CODE, topics()[TICKS].partitions)
DEEP = b'{"x":' + b"[" * 1_200 + b"]" * 1_200 + b"}"


def ticks(now: int) -> list[bytes | None]:
    """Records that are not usable ticks."""

    def one(**fields: Any) -> bytes:
        tick = {
            "code": CODE,
            "exchange": "SSE",
            "price": 1500.0,
            "time": now,
            "received": now * 1000,
            "source": "other",
        }
        return json.dumps(tick | {"run": 1, "n": 1} | fields).encode()

    return [
        one(price=1e305),
        one(turnover=1e308),
        one(time=253_402_300_800_000),
        one(time=now * 1000),
        one(time=now * 1_000_000),
        one(run=2**63 - 1, n=2**63 - 1),
        one(received=(now + 7_200_000) * 1000),
        DEEP,
        b"hello",
        b"\xff\xfe",
        b"",
        None,
    ]


async def ends(bootstrap: str, topic: str) -> int:
    """Records of a topic."""
    return sum((await admin.describe(bootstrap, [topic]))[topic].end.values())


async def good(publisher: Publisher, now: int, n: int, price: float) -> None:
    """A right tick of the same code, behind the wrong ones."""
    tick = Tick(
        code=CODE, exchange="SSE", price=price, time=now + n, received=(now + n) * 1000, source="line", run=now, n=n,
        volume=100,
    )  # fmt: skip
    publisher.queue(TICKS, PARTITION).add(CODE.encode(), encode(tick), now + n)
    await publisher.flush()


async def served(worker: WorkerProcess, price: float) -> dict[str, Any]:
    """The code's snapshot, when it shows a price."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            assert worker.process.poll() is None, "the worker has ended"
            try:
                async with session.get(f"http://127.0.0.1:{worker.port}/snapshots/{CODE}") as answer:
                    body: dict[str, Any] = await answer.json()
                    if answer.status == 200 and body["price"] == price:
                        return body
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.2)


async def letters(bootstrap: str) -> list[bytes | None]:
    """What is in the dead letters."""
    found: list[bytes | None] = []
    async with ChunkReader(bootstrap, client_id="test") as reader:
        places = await reader.partitions(DEAD_LETTERS)
        starts, last = await reader.begins(places), await reader.ends(places)
        reader.assign({place: (starts[place], last[place]) for place in places})
        while chunks := await reader.fetch():
            for chunk in chunks:
                found += chunk.values
    return found


@pytest.mark.timeout(240)
async def test_a_worker_goes_on_over_whatever_is_written_into_its_topics(broker: KafkaBroker, tmp_path: Path) -> None:
    """Each wrong tick is a dead letter once; state that can't be read is made anew from the ticks; a restart too."""
    now = time.time_ns() // 1_000_000
    publisher = Publisher(broker.bootstrap, client_id="others")
    await publisher.start(*topics())
    wrong = ticks(now)
    for value in wrong:
        publisher.queue(TICKS, PARTITION).add(CODE.encode(), value, now)
    await good(publisher, now, 1, 10.0)
    await good(publisher, now, 2, 11.0)
    forged = {"source": "line", "run": LATEST_MS, "n": EXACT}
    written: list[tuple[str, bytes, list[bytes | None]]] = [
        (THRESHOLDS, b"code:600519", [b'{"scope":"code:600519","threshold":"%sticks"}' % (b"1" * 29), DEEP]),
        (THRESHOLDS, b"\xff" * 300, [b"hello", None]),
        (FEED_EVENTS, b"line", [
            b'{"event":"gap","source":"line","run":1,"n":1,"at":1,"start":1,"end":2,"id":"line/1/%s"}' % (b"9" * 400),
            DEEP, b"hello", None,
        ]),
        (SNAPSHOTS, CODE.encode(), [b"hello", DEEP]),
        (SNAPSHOTS, b"000001", [b"hello", None]),
        (PRICE_CHANGES_STATE, CODE.encode(), [b"[]", json.dumps({"lines": [forged]}).encode(), DEEP]),
        (THRESHOLD_MARKS, b"code:600519", [b"hello", DEEP]),
    ]  # fmt: skip
    for topic, key, values in written:
        partition = 0 if topic in {THRESHOLDS, FEED_EVENTS} else PARTITION
        for value in values:
            publisher.queue(topic, partition).add(key, value, now)
    await publisher.flush()
    for topic, key in [(TICKS, CODE.encode()), *((topic, key) for topic, key, _ in written)]:
        headers = [(name, None if n % 2 else b"x") for n, name in enumerate(foreign.NO_TEXT)]
        partition = 0 if topic in {THRESHOLDS, FEED_EVENTS} else PARTITION
        await foreign.write(broker.bootstrap, topic, partition, [(key, b"odd", headers), (key, b"odd", [])], now)
    wrong += [b"odd"] * 2
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    try:
        first = await served(worker, 11.0)
        assert (first["ticks"], first["open"], first["volume"]) == (2, 10.0, 200)
        found = await letters(broker.bootstrap)
        assert sorted(found, key=repr) == sorted((value or b"" for value in wrong), key=repr)
        # State that is spoilt once the ticks are committed: the log of the ticks has them still.
        await committed(worker)
        await asyncio.to_thread(worker.kill)
        for topic in (SNAPSHOTS, PRICE_CHANGES_STATE):
            publisher.queue(topic, PARTITION).add(CODE.encode(), b"hello", now)
        await publisher.flush()
        emitted = await ends(broker.bootstrap, PRICE_CHANGES)
        worker.start()
        again = await served(worker, 11.0)
        assert again | {"age_ms": None} == first | {"age_ms": None}
        await good(publisher, now, 3, 11.0)
        await good(publisher, now, 4, 12.0)
        assert (await served(worker, 12.0))["ticks"] == 4
        await committed(worker)
        assert await ends(broker.bootstrap, PRICE_CHANGES) == emitted + 1
        assert sorted(await letters(broker.bootstrap), key=repr) == sorted(found, key=repr)
    finally:
        worker.kill()
        await publisher.stop()


async def committed(worker: WorkerProcess) -> None:
    """Wait until nothing is left to do."""
    async with asyncio.timeout(60):
        while True:
            status = await worker.status()
            if done([status]):
                return
            await asyncio.sleep(0.3)

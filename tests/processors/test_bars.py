"""The bars agent on real Kafka: killed at any instant, its bars are those of the plain computation, wherever read."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

import ashare_client
from broker import admin
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from schemas import Bar, Tick, decode, encode
from schemas.topics import BARS, TICKS, partition_of, topics
from selfcheck.log import LogReader
from tests.jobs.days import Key, plain_bars, shown
from tests.processors.test_worker_http import Served

CODES = [*(f"{n}" for n in range(600_000, 600_025)), *(f"{n}" for n in range(300_000, 300_015))]
PARTITIONS = topics()[TICKS].partitions
DAY_MS = 86_400_000
MIDNIGHT = int(time.time() * 1000 - DAY_MS) // DAY_MS * DAY_MS - 8 * 3_600_000
"""Of a day that is over in Shanghai."""
AGENTS = "bars,bar-store"


def day(rng: random.Random) -> list[Tick]:
    """From the auction to 09:40:58, in the order in which it comes: now and then a tick is a minute late."""
    open_, close = 570 * 60_000, 580 * 60_000
    coming = [(565 * 60_000 + n, 0, code) for n, code in enumerate(CODES)]
    coming += [
        (rng.randrange(open_, close), 70_000 if rng.random() < 0.01 else 0, rng.choice(CODES)) for _ in range(12_000)
    ]
    coming += [(close + 58_000 + n, 0, code) for n, code in enumerate(CODES)]
    coming.sort(key=lambda one: one[0] + one[1])
    made = []
    for n, (since_midnight, late, code) in enumerate(coming, 1):
        time, cents, volume = MIDNIGHT + since_midnight, rng.randrange(900, 1_100), rng.choice((0, 100, 700))
        made.append(
            Tick(
                code=code, exchange="SSE" if code[0] == "6" else "SZSE", price=cents / 100, time=time,
                received=(time + late) * 1000 + n, source="load", run=1_700_000_000_000, n=n,
                volume=volume if since_midnight < close else 300, turnover=cents * volume / 100,
            )
        )  # fmt: skip
    return made


async def push(bootstrap: str, ticks: list[Tick], rng: random.Random) -> None:
    """In bursts over some twelve seconds; a few are sent twice."""
    publisher = Publisher(bootstrap, client_id="bars-test")
    await publisher.start(TICKS)
    for start in range(0, len(ticks), 200):
        for tick in ticks[start : start + 200]:
            queue = publisher.queue(TICKS, partition_of(tick.code, PARTITIONS))
            for _ in range(2 if rng.random() < 0.02 else 1):
                queue.add(tick.code.encode(), encode(tick), time.time_ns() // 1_000_000)
        await asyncio.sleep(0.2)
    await publisher.stop()


async def published(bootstrap: str) -> dict[Key, Bar]:
    """The last record of each bar."""
    found: dict[Key, Bar] = {}
    async with LogReader(bootstrap) as reader:
        for partition in await reader.partitions(BARS):
            async for entries in reader.read(BARS, partition):
                for entry in entries:
                    bar = decode(Bar, entry.value or b"")
                    assert entry.key == bar.code.encode()
                    assert entry.partition == partition_of(bar.code, PARTITIONS)
                    found[bar.code, bar.start, bar.auction] = bar
    return found


@pytest.mark.timeout(240)
@pytest.mark.asyncio
async def test_a_killed_agent_makes_the_same_bars(tmp_path: Path) -> None:
    """In the topic, the store, over HTTP and by the client library; the last of them closed by the worker's clock."""
    rng = random.Random(20_261_120)
    ticks = day(rng)
    due = plain_bars(ticks, MIDNIGHT)
    broker = KafkaBroker(tmp_path / "kafka")
    broker.start()
    options = ("--agents", AGENTS, "--store", f"sqlite:///{tmp_path / 'store'}")
    worker = None
    try:
        await admin.apply(broker.bootstrap, topics())
        worker = Served(broker.bootstrap, tmp_path, *options)
        pushing = asyncio.create_task(push(broker.bootstrap, ticks, rng))
        for _ in range(2):
            await asyncio.to_thread(worker.until, "/status", lambda _, body: body and body["recovered"])
            await asyncio.sleep(rng.uniform(1.0, 4.0))
            worker.process.kill()
            worker.process.wait()
            worker = Served(broker.bootstrap, tmp_path, *options)
        await pushing

        found: dict[Key, Bar] = {}
        async with asyncio.timeout(90):
            while {key: shown(bar) for key, bar in found.items()} != due:
                await asyncio.sleep(1.0)
                found = await published(broker.bootstrap)
        assert any(bar.revision for bar in found.values())
        assert {bar.auction for bar in found.values()} == {None, "opening"}

        session = found[next(iter(found))].session
        by_client = await ashare_client.bars(broker.bootstrap, CODES, sessions=session, minutes=5)
        for code in ("600000", "300007"):
            mine = [one for one in by_client if one.code == code]

            def right(status: int, body: Any, mine: Any = mine) -> bool:
                return status == 200 and [
                    (one["start"], one["open"], one["high"], one["low"], one["close"], one["volume"], one["turnover"])
                    for one in body["bars"]
                ] == [(one.start, one.open, one.high, one.low, one.close, one.volume, one.turnover) for one in mine]

            body = await asyncio.to_thread(worker.until, f"/bars/{code}?minutes=5", right)
            assert (body["code"], body["session"], body["minutes"]) == (code, session, 5)
            assert [one["end"] - one["start"] for one in body["bars"]] == [300_000] * 3
        for path, status, error in (
            ("/bars/1", 400, "malformed_code"),
            ("/bars/600000?minutes=7", 400, "bad_request"),
            ("/bars/600000?width=5", 400, "bad_request"),
            ("/bars/600000?auction=last", 400, "bad_request"),
            ("/bars/600000?day=20th", 400, "bad_request"),
            ("/bars/600000?day=2001-01-02", 404, "no_bars"),
        ):
            got = await asyncio.to_thread(worker.get, path)
            assert (got[0], got[1]["error"]) == (status, error), path
        _, own, _ = await asyncio.to_thread(worker.get, "/bars/600000?minutes=day&auction=drop")
        assert len(own["bars"]) == 1
        assert await asyncio.to_thread(worker.end) == 0
    finally:
        if worker is not None:
            worker.process.kill()
            worker.process.wait()
        broker.stop()

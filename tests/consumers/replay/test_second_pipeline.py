"""A recorded market, replayed over the WebSocket into a second, fresh pipeline, is the same market there."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from broker import admin
from broker.chunk import Chunk
from broker.publisher import Publisher
from broker.reader import ChunkReader
from deploy.embedded import KafkaBroker, free_port
from market.codes import instrument
from schemas import BareTick, encode
from schemas.topics import DEAD_LETTERS, PRICE_CHANGES, TICKS, partition_of, topics

NINE_THIRTY = 1_795_138_200_000
CODES = [*(f"{n}" for n in range(600_000, 600_040)), *(f"{n}" for n in range(300_000, 300_040)), "688001", "920001"]
TICKS_SENT = 20_000
PARTITIONS = topics()[TICKS].partitions
STAMPED = {"received", "source", "run", "n"}
"""What a pipeline's own producer stamps on a tick: by nature another in the second pipeline."""


def drawn() -> list[BareTick]:
    """An hour of one line, some ticks of the same ms, every kind of field there and missing."""
    rng = random.Random(20_261_120)
    prices = {code: rng.randrange(900, 1_100) for code in CODES}
    ticks = []
    for n in range(TICKS_SENT):
        code = rng.choice(CODES)
        prices[code] = max(100, prices[code] + rng.choice((-3, -1, 0, 0, 1, 2)))
        time_ms = NINE_THIRTY + n * 180 - rng.choice((0, 0, 0, 400))  # some a little late
        ticks.append(
            BareTick(
                code=code, exchange=instrument(code).exchange, price=prices[code] / 100, time=time_ms,
                received=(NINE_THIRTY + n * 180 + 9) * 1000, source="first", run=1, n=n + 1,
                volume=rng.choice((100, 250, 0, None)), turnover=rng.choice((12_345.67, None)),
                side=rng.choice(("buy", "sell", None)), seq=rng.choice((n, None)),
                previous_close=rng.choice((9.87, None)),
            )
        )  # fmt: skip
    return ticks


async def publish(bootstrap: str, ticks: list[BareTick]) -> None:
    publisher = Publisher(bootstrap, client_id="first")
    await publisher.start(TICKS)
    for tick in ticks:
        queue = publisher.queue(TICKS, partition_of(tick.code, PARTITIONS))
        queue.add(tick.code.encode(), encode(tick), tick.received // 1000)
    await publisher.stop()


@contextlib.contextmanager
def process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A part of a pipeline, killed at the end."""
    with log.open("wb") as output:
        started = subprocess.Popen([sys.executable, "-m", "cli", *arguments], stdout=output, stderr=output)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def until(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    """The first true answer of a condition, which may be a coroutine."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not happen in {seconds:g} s")


async def answer(url: str) -> Any:
    """What a worker says, ``None`` while it does not."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return orjson.loads(await response.read()) if response.status == 200 else None
    except aiohttp.ClientError:
        return None


@contextlib.contextmanager
def worker(bootstrap: str, directory: Path) -> Iterator[str]:
    """Snapshots and changes of a broker's ticks; gives its HTTP address."""
    port = free_port()
    options = ("--agents", "snapshots,changes", "--threshold", "2ticks", "--web-port", str(port))
    with process(directory / "worker.log", "process", "--bootstrap", bootstrap, *options):
        yield f"http://127.0.0.1:{port}"


async def log_of(bootstrap: str, topic: str) -> list[Chunk]:
    """All chunks of a topic, partition after partition."""
    async with ChunkReader(bootstrap, client_id="test") as reader:
        places = await reader.partitions(topic)
        begins, ends = await reader.begins(places), await reader.ends(places)
        reader.assign({place: (begins[place], ends[place]) for place in places})
        chunks: list[Chunk] = []
        while reader.left:
            chunks += await reader.fetch()
    return sorted(chunks, key=lambda chunk: (chunk.partition, chunk.start))


async def outcome(bootstrap: str, url: str, sent: int) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """Snapshots by code, price changes and ticks by place, when a worker has taken all the ticks in."""

    async def settled() -> bool:
        ends = (await admin.describe(bootstrap, [TICKS]))[TICKS].records
        status = await answer(f"{url}/status")
        return bool(ends == sent and status and status["recovered"]) and all(
            len(agent["lag"]) == PARTITIONS and not agent["lag_total"] for agent in status["agents"].values()
        )

    await until(settled, "the worker's lag going to zero")
    snapshots = {one["code"]: one for one in (await answer(f"{url}/snapshots"))["snapshots"]}
    read = {topic: await log_of(bootstrap, topic) for topic in (PRICE_CHANGES, TICKS)}
    changes, ticks = (
        [
            (chunk.partition, offset, orjson.loads(value or b""))
            for chunk in read[topic]
            for offset, value in zip(chunk.offsets, chunk.values, strict=True)
        ]
        for topic in (PRICE_CHANGES, TICKS)
    )
    return snapshots, changes, ticks


def without(record: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.timeout(240)
async def test_a_replay_into_a_fresh_pipeline_gives_the_same_market(tmp_path: Path) -> None:
    """Ticks at the same offsets, the same changes with the same origins, the same snapshots, field for field.

    But for what the second producer stamps itself: ``received``, ``source``, ``run`` and ``n`` of a tick, and what
    follows from them: a change's ``cause``, a snapshot's ``received`` and ``lines``, and its ``gap``, which tells what
    that producer's own line missed.
    """
    brokers = [KafkaBroker(tmp_path / name) for name in ("first", "second")]
    await asyncio.gather(*(asyncio.to_thread(broker.start) for broker in brokers))
    try:
        first, second = (broker.bootstrap for broker in brokers)
        await asyncio.gather(admin.apply(first), admin.apply(second))
        await publish(first, drawn())
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        with contextlib.ExitStack() as stack:
            start = stack.enter_context
            urls = [start(worker(first, tmp_path / "one")), start(worker(second, tmp_path / "two"))]
            served = tmp_path / "replay.log"
            replaying = start(
                process(served, "replay", "ticks", "--bootstrap", first, "--serve", "0", "--pace", "flat")
            )
            feed = (await until(lambda: re.search(rb"ws://[0-9.:]+", served.read_bytes()), "listening"))[0].decode()
            start(
                process(tmp_path / "producer.log", "produce", "--bootstrap", second, "--url", feed, "--quality", "off")
            )
            await until(lambda: replaying.poll() is not None, "the end of the replay")
            assert replaying.returncode == 0, served.read_text()
            snapshots, changes, ticks = await outcome(first, urls[0], TICKS_SENT)
            snapshots_again, changes_again, ticks_again = await outcome(second, urls[1], TICKS_SENT)
        letters = (await admin.describe(second, [DEAD_LETTERS]))[DEAD_LETTERS].records
    finally:
        await asyncio.gather(*(asyncio.to_thread(broker.stop) for broker in brokers))
    assert letters == 0
    assert [(p, at, without(tick, STAMPED)) for p, at, tick in ticks_again] == [
        (p, at, without(tick, STAMPED)) for p, at, tick in ticks
    ]
    assert [(p, at, without(change, {"received", "cause"})) for p, at, change in changes_again] == [
        (p, at, without(change, {"received", "cause"})) for p, at, change in changes
    ]
    for those_changes, those_ticks in ((changes, ticks), (changes_again, ticks_again)):
        by_place = {(p, at): tick for p, at, tick in those_ticks}
        for _, _, change in those_changes:
            tick = by_place[change["origin"]["partition"], change["origin"]["offset"]]
            assert change["cause"] == {name: tick[name] for name in ("source", "run", "n")} | {"received": None}
    assert len(changes) > 1_000
    assert snapshots_again.keys() == snapshots.keys() == set(CODES)
    for code, snapshot in snapshots.items():
        stamped = {"received", "lines", "gap", "age_ms"}
        assert without(snapshots_again[code], stamped) == without(snapshot, stamped)

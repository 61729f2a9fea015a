"""Gap marks in real workers: put on by feed events, kept through kill -9."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from schemas import FeedEvent, Tick, encode
from schemas.topics import FEED_EVENTS, SNAPSHOTS, TICKS, partition_of
from selfcheck.log import LogReader
from tests.processors.test_kill import PARTITIONS, WorkerProcess

CODES = [f"{n}" for n in range(600_000, 600_040)]
RUN = 1_795_000_000_000


class Feed:
    """A producer's ticks and events, of one line, of a market that is played: its days are not today's."""

    def __init__(self, publisher: Publisher) -> None:
        """Nothing was sent."""
        self._publisher = publisher
        self._ticks = self._events = 0

    async def ticks(self) -> None:
        """One of each code."""
        now = time.time_ns() // 1000
        for code in CODES:
            self._ticks += 1
            tick = Tick(code, "SSE", 10.0, RUN + self._ticks, now, "line", RUN, self._ticks, volume=100)
            self._publisher.queue(TICKS, partition_of(code, PARTITIONS)).add(code.encode(), encode(tick), now // 1000)
        await self._publisher.flush()

    async def say(self, event: Any, **fields: Any) -> FeedEvent:
        """An event, now."""
        self._events += 1
        said = FeedEvent(
            event, "line", RUN, self._ticks, time.time_ns() // 1000, id=f"line/{RUN}/{self._events}", **fields
        )
        self._publisher.queue(FEED_EVENTS, 0).add(b"line", encode(said), said.at // 1000)
        await self._publisher.flush()
        return said


@pytest.fixture
async def feed(broker: KafkaBroker) -> AsyncIterator[Feed]:
    """Sends."""
    publisher = Publisher(broker.bootstrap, client_id="feed")
    await publisher.start(TICKS, FEED_EVENTS)
    yield Feed(publisher)
    await publisher.stop()


Marks = dict[str, Any]


async def served(worker: WorkerProcess) -> Marks | None:
    """The marks that a worker serves, by code."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"http://127.0.0.1:{worker.port}/snapshots") as answer,
        ):
            if answer.status != 200:
                return None
            return {one["code"]: one["gap"] for one in (await answer.json())["snapshots"]}
    except (aiohttp.ClientError, TimeoutError):
        return None


async def published(broker: KafkaBroker) -> Marks:
    """The marks of each code's last published snapshot."""
    async with LogReader(broker.bootstrap) as reader:
        records = [
            json.loads(entry.value or b"")
            for partition in await reader.partitions(SNAPSHOTS)
            async for entries in reader.read(SNAPSHOTS, partition)
            for entry in entries
        ]
    return {record["code"]: record["gap"] for record in records}


async def everywhere(broker: KafkaBroker, worker: WorkerProcess, due: Callable[[str], Any]) -> None:
    """Wait until what is served and what is published bears the marks that are due."""
    expected = {code: due(code) for code in CODES}
    found: list[Marks | None] = []
    try:
        async with asyncio.timeout(60):
            while found != [expected, expected]:
                found = [await served(worker), await published(broker)]
                await asyncio.sleep(0.2)
    except TimeoutError:
        assert found == [expected, expected]


@pytest.mark.timeout(240)
async def test_marks_follow_the_events_and_outlive_the_worker(broker: KafkaBroker, feed: Feed, tmp_path: Path) -> None:
    """While a line is away, when it is back, and of what is said while no worker runs."""
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    try:
        await feed.say("subscribed", codes="all")
        await feed.ticks()
        await everywhere(broker, worker, lambda _: None)

        since = time.time_ns() // 1000
        lost = await feed.say("disconnected", start=since)
        await everywhere(broker, worker, lambda _: {"id": lost.id, "start": since, "end": None, "count": 1})

        await asyncio.to_thread(worker.kill)
        # What lasts has ended meanwhile, and some codes have a gap of their own.
        await feed.say("resubscribed", codes="all")
        back = await feed.say("gap", start=since, end=since + 1, codes="all")
        own = await feed.say("gap", start=since + 2, end=since + 3, codes=CODES[:5])
        await feed.ticks()
        worker.start()
        whole = {"id": back.id, "start": since, "end": since + 1, "count": 1}
        few = {"id": own.id, "start": since, "end": since + 3, "count": 2}
        await everywhere(broker, worker, lambda code: few if code in CODES[:5] else whole)

        await asyncio.to_thread(worker.kill)
        worker.start()
        await everywhere(broker, worker, lambda code: few if code in CODES[:5] else whole)
    finally:
        worker.kill()

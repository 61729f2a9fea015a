"""What an agent's group lost to retention, and what it drops as repeated though it is not: told, and red."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from processors.events import group_of
from processors.losses import Losses
from processors.options import AGENTS
from schemas import FeedEvent, Tick, decode, encode
from schemas.topics import FEED_EVENTS, TICKS, partition_of
from tests.processors.test_gaps import CODES, RUN, published, served
from tests.processors.test_kill import PARTITIONS, WorkerProcess, done

GROUP = "ashare-snapshots"


def loss(at: int, source: str = f"{GROUP}@host:6066", detected: Any = "retention") -> FeedEvent:
    """A worker tells that records are gone."""
    return FeedEvent(
        "gap", source, 1, 0, at, f"lost at {at}", start=0, end=at, codes="all", detected=detected, id=f"{source}/1/{at}"
    )


def noted(end: int) -> FeedEvent:
    """An operator has taken note."""
    return FeedEvent("acknowledged", "operator", 1, 0, end + 5, end=end, id="operator/1/1")


def test_health_complains_of_what_nobody_took_note_of() -> None:
    """Of this group, in the worker's words, with the way out; one that is told of after the note stays."""
    losses = Losses(GROUP, "snapshots")
    assert losses.complaint is None
    for event in (loss(5), loss(6, "ashare-changes@host:1"), loss(7, "line"), loss(8, detected="silence"), loss(9)):
        losses.take(event)
    assert losses.complaint is not None
    assert "lost at 5; lost at 9" in losses.complaint
    assert "ashare acknowledge" in losses.complaint
    losses.take(noted(5))
    assert [one.at for one in losses.open] == [9]
    losses.take(noted(9))
    assert losses.complaint is None
    losses.take(loss(9))
    assert losses.complaint is not None


def test_what_a_group_of_an_earlier_version_lost_is_still_told() -> None:
    """An upgrade hides no loss that nobody took note of; groups that the agent was not part of do not count."""
    losses = Losses(GROUP, "snapshots")
    losses.take(loss(5, "ashare-snapshots-storage-changes@host:6066"))
    losses.take(loss(6, "ashare-storage-changes@host:6066"))
    losses.take(loss(7, "ashare-snapshots-of-another-team@host:6066"))
    assert [one.at for one in losses.open] == [5]


def test_a_loss_is_known_by_its_words() -> None:
    """A worker that was killed before it could commit meets it again, and tells of it once; noted or not."""
    losses = Losses(GROUP, "snapshots")
    losses.take(loss(5))
    losses.take(noted(5))
    assert losses.knows("lost at 5")
    assert not losses.knows("lost at 6")


def test_losses_that_are_remembered_have_a_bound() -> None:
    """The first ones are counted, no longer named; a note clears those as well."""
    losses = Losses(GROUP, "snapshots")
    for at in range(3_000):
        losses.take(loss(at))
    assert len(losses.open) == 1_024
    assert "and 2,997 more" in (losses.complaint or "")
    losses.take(noted(2_999))
    assert losses.complaint is None


class Log:
    """Writes ticks of a played market as one line's producer does, and takes them away as retention does."""

    def __init__(self, publisher: Publisher) -> None:
        """Nothing is written yet."""
        self._publisher = publisher
        self._n = 0

    async def ticks(self, count: int, *, run: int = RUN) -> None:
        """So many of each code, received now."""
        for _ in range(count):
            self._n += 1
            received = time.time_ns() // 1000
            for code in CODES:
                tick = Tick(code, "SSE", 10.0, RUN + self._n, received, "line", run, self._n, volume=100)
                queue = self._publisher.queue(TICKS, partition_of(code, PARTITIONS))
                queue.add(code.encode(), encode(tick), received // 1000)
        await self._publisher.flush()


async def delete_all(bootstrap: str, partition: int) -> int:
    """Take away what a partition holds; gives where it begins now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await consumer.start()
    await admin.start()
    try:
        place = TopicPartition(TICKS, partition)
        end = (await consumer.end_offsets([place]))[place]
        await admin.delete_records({place: RecordsToDelete(before_offset=end)})
        return int(end)
    finally:
        await admin.close()
        await consumer.stop()


async def events(bootstrap: str) -> list[FeedEvent]:
    """The topic of feed events."""
    place = TopicPartition(FEED_EVENTS, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[FeedEvent] = []
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [decode(FeedEvent, record.value) for record in records]
    finally:
        await consumer.stop()
    return found


async def health(worker: WorkerProcess, *named: str) -> dict[str, str]:
    """What a worker that has recovered complains of, once it is of nothing but these."""
    async with asyncio.timeout(150), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{worker.port}/health") as answer:
                    complaints: dict[str, str] = (await answer.json())["complaints"]
                    if set(complaints) == set(named):
                        assert answer.status == (503 if named else 200)
                        return complaints
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


async def ashare(*words: str) -> str:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def all_read(worker: WorkerProcess, ticks: int) -> None:
    """Wait until every code's snapshot has so many ticks, and all is committed."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{worker.port}/snapshots") as answer:
                    rows = (await answer.json()).get("snapshots", [])
                status = await worker.status()
                if done([status]) and [row["ticks"] for row in rows] == [ticks] * len(CODES):
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


async def told_by_each(bootstrap: str) -> FeedEvent:
    """What the snapshots agent told of a loss, which each agent has for itself."""
    gaps = {group_of(event.source): event for event in await events(bootstrap) if event.event == "gap"}
    assert gaps.keys() == {f"ashare-{agent}" for agent in AGENTS}
    return gaps[GROUP]


async def told_of_repeats(bootstrap: str) -> FeedEvent:
    """The one event that tells of repeats, when it is there."""
    async with asyncio.timeout(30):
        while not (found := [event for event in await events(bootstrap) if event.event == "repeats"]):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.2)
    (told,) = found
    return told


@pytest.mark.timeout(480)
async def test_what_retention_took_is_marked_told_and_red_until_an_operator_takes_note(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    """Over restarts; the other partitions' codes bear no mark. A run that fell is told of by the same worker."""
    publisher = Publisher(broker.bootstrap, client_id="test")
    await publisher.start(TICKS, FEED_EVENTS)
    log = Log(publisher)
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    try:
        await log.ticks(3)
        await all_read(worker, 3)
        await health(worker)
        await asyncio.to_thread(worker.kill)
        await log.ticks(2)
        partition = partition_of(CODES[0], PARTITIONS)
        mine = [code for code in CODES if partition_of(code, PARTITIONS) == partition]
        begin = await delete_all(broker.bootstrap, partition)
        await log.ticks(1)
        worker.start()

        complaints = await health(worker, *(f"{agent}: retention" for agent in AGENTS))
        assert all(f"{2 * len(mine)} records of {TICKS}/{partition}" in complaint for complaint in complaints.values())
        gap = await told_by_each(broker.bootstrap)
        assert (gap.detected, gap.line, gap.count) == ("retention", f"{TICKS}/{partition}", 2 * len(mine))
        assert gap.codes == sorted(mine)
        assert f"to {begin - 1})" in (gap.reason or "")
        mark = {"id": gap.id, "start": gap.start, "end": gap.end, "count": 1}
        due = {code: mark if code in mine else None for code in CODES}
        async with asyncio.timeout(60):
            while not (await served(worker) == due == await published(broker)):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.2)

        await asyncio.to_thread(worker.kill)
        worker.start()
        assert await health(worker, *complaints) == complaints

        said = (await ashare("acknowledge", "--bootstrap", broker.bootstrap)).splitlines()
        noted = [line for line in said if line.startswith("noted: ")]
        assert sorted(line[7:60] for line in noted) == sorted(complaint[:53] for complaint in complaints.values())
        await health(worker)
        assert "nothing to take note of" in await ashare("acknowledge", "--bootstrap", broker.bootstrap)

        await log.ticks(1)
        await log.ticks(20, run=RUN - 1)
        repeats = await health(worker, "snapshots: repeats", "changes: repeats", "bars: repeats")
        assert all("line in a row" in complaint for complaint in repeats.values())
        told = await told_of_repeats(broker.bootstrap)
        assert "line in a row" in (told.reason or "")
        assert told.count
        assert (await worker.status() or {})["suspicious"] == 20 * len(CODES)
        assert await served(worker) == due
    finally:
        worker.kill()
        await publisher.stop()

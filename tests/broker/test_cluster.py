"""A broker of three that is killed: what was acknowledged stays, what waits goes on elsewhere, groups and ids move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import CoordinationType

from broker import admin
from broker.fetching import Fetching
from broker.mode import DIRECT, PLAIN, VARIABLE
from broker.publisher import Publisher
from deploy.embedded import KafkaCluster
from deploy.embedded.cluster import members
from schemas import UsageError
from schemas.topics import Topic, replicated

pytestmark = pytest.mark.timeout(400)
MOVING, STRICT, LATE = "cluster-moving", "cluster-strict", "cluster-late"
RECORDS = 600


def topic(name: str, partitions: int) -> Topic:
    """With three copies of each partition, two of which must have a record."""
    return replicated(Topic(name, "none", "none", "test", partitions, 1, {"cleanup.policy": "delete"}), 3)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers, with topics of the tests' own; one of them takes records only when all three have them."""
    declared = {one.name: one for one in (topic(MOVING, 6), topic(STRICT, 1), topic(LATE, 6))}
    declared[STRICT].config["min.insync.replicas"] = "3"
    with KafkaCluster(tmp_path_factory.mktemp("cluster")) as made:
        asyncio.run(admin.apply(made.bootstrap, declared, patience=30))
        yield made


@dataclass
class Way:
    """A publisher and a member of a group, whose requests one of the two clients packs."""

    bootstrap: str
    mode: str
    found: dict[int, list[int]] = field(default_factory=dict)

    async def start(self) -> None:
        """Connect, and take the partitions over."""
        self.publisher = Publisher(self.bootstrap, client_id=self.mode, deadline=20.0)
        await self.publisher.start()
        self.queues = [self.publisher.queue(MOVING, p) for p in ((0, 1, 2) if self.mode == DIRECT else (3, 4, 5))]
        self.strict = self.publisher.queue(STRICT, 0)
        await self.publisher.fences.take_over(self.queues[:2], "test", lambda: True)
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap.split(","),
            group_id=f"group-{self.mode}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await self.consumer.start()
        self.consumer.subscribe([MOVING])
        self.fetching = Fetching(self.consumer._fetcher, lambda: 50)

    async def coordinator(self) -> int:
        """The broker that coordinates the group."""
        return int(await self.consumer._client.coordinator_lookup(CoordinationType.GROUP, f"group-{self.mode}"))

    async def read(self) -> None:
        """Take what comes, for ever, and commit it."""
        while True:
            came = await self.consumer.getmany(timeout_ms=300)
            self.fetching.ask()
            for tp, records in came.items():
                self.found.setdefault(tp.partition, []).extend(int(record.value) for record in records)
            if came:
                await self.consumer.commit()

    async def write(self) -> None:
        """Some seconds of records."""
        for n in range(RECORDS):
            for queue in (*self.queues, self.strict):
                queue.add(None, b"%d" % n, 1)
            await asyncio.sleep(0.02)

    async def take_over_late(self) -> None:
        """Take over what nobody had, while coordinators move."""
        late = [self.publisher.queue(LATE, p) for p in ((0, 1, 2) if self.mode == DIRECT else (3, 4, 5))]
        await self.publisher.fences.take_over(late, "test", lambda: True)
        assert self.publisher.fences.available
        for queue in late:
            queue.add(None, b"late", 1)
            await queue.delivered()

    async def committed(self) -> int:
        """The sum of what the group has committed."""
        places = [TopicPartition(MOVING, partition) for partition in range(6)]
        return sum([await self.consumer.committed(place) or 0 for place in places])

    async def stop(self) -> None:
        """Disconnect."""
        await self.publisher.stop()
        await self.consumer.stop()


async def test_a_killed_broker_costs_no_record_and_no_place(
    cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With either client. A topic whose broker has too few copies takes its records when the broker is back."""
    ways = [Way(cluster.bootstrap, mode) for mode in (DIRECT, PLAIN)]
    for way in ways:
        monkeypatch.setenv(VARIABLE, way.mode)
        await way.start()
    reading = [asyncio.create_task(way.read()) for way in ways]
    try:
        async with asyncio.timeout(300):
            writing = asyncio.gather(*(way.write() for way in ways))
            await asyncio.sleep(1.0)
            killed = cluster.brokers[await ways[0].coordinator() - 1]
            killed.kill()
            await asyncio.gather(*(way.take_over_late() for way in ways))
            await writing
            for queue in (queue for way in ways for queue in way.queues):
                await queue.delivered()
            assert all(way.strict.unacknowledged for way in ways), "two copies are not three"
            assert await ways[0].coordinator() - 1 != cluster.brokers.index(killed)
            await asyncio.to_thread(killed.start, 120.0)
            for way in ways:
                await way.publisher.flush()
            ends = await ways[0].consumer.end_offsets([TopicPartition(MOVING, p) for p in range(6)])
            for way in ways:
                while await way.committed() < sum(ends.values()):
                    assert not any(task.done() for task in reading), "the reader failed"
                    await asyncio.sleep(0.1)
    finally:
        for task in reading:
            task.cancel()
        results = await asyncio.gather(*reading, return_exceptions=True)
        for way in ways:
            await way.stop()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results
    for way in ways:
        for partition in range(6):
            assert_in_order(way.found[partition])


def assert_in_order(found: list[int]) -> None:
    """All are there; what comes twice comes in order."""
    highest = -1
    for n in found:
        assert n <= highest + 1, "a record overtook an earlier one"
        highest = max(highest, n)
    assert highest == RECORDS - 1


async def test_copies_are_asked_for_and_compared(cluster: KafkaCluster) -> None:
    """A topic keeps the copies that it was made with, and whoever wants others is told so."""
    wanted = {MOVING: topic(MOVING, 6)}
    assert await admin.apply(cluster.bootstrap, wanted, copies=3) == []
    found = (await admin.describe(cluster.bootstrap, [MOVING]))[MOVING]
    assert (found.replicas, found.overrides["min.insync.replicas"]) == (3, "2")
    with pytest.raises(UsageError, match=r"3 copies of each partition.*--replicas asks for 2"):
        await admin.apply(cluster.bootstrap, {MOVING: replicated(wanted[MOVING], 2)}, copies=2)


def test_a_cluster_keeps_its_nodes_and_ports(tmp_path: Path) -> None:
    """They are settled when it is made, whichever process of its nodes comes first."""
    made = members(tmp_path, 3, secure=True, users=["worker"])
    assert members(tmp_path, 3, secure=True) == made
    assert len({port for member in made for port in member.node[1:]}) == 9
    assert {path.name for path in (tmp_path / "secure").iterdir()} >= {"ca.pem", "broker.pem", "worker.password"}
    with pytest.raises(UsageError, match="a cluster of 3 brokers: give --brokers 3"):
        members(tmp_path, 5)
    with pytest.raises(UsageError, match="has its ports"):
        members(tmp_path, 3, 9092)

"""A topic that was deleted and made again, and a cluster that was replaced: nobody reads on as if nothing was."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from ashare_client import ArgumentError, PriceChange, PriceChanges, RangeError, Snapshots
from ashare_client.identity import LogId, identify, read_log_id
from broker.probe import Probe
from deploy.embedded import KafkaBroker
from schemas.records import Record
from tests.clients.test_reading import of
from tests.clients.topics import RECEIVED, Written, change, snapshot, written

SECONDS = 60
CODE = "600519"
LATER = 10**9


async def made_again(topic: Written, *, compacted: bool = False) -> Written:
    """The topic is deleted and made anew, under its name."""
    await topic.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=topic.bootstrap)
    await admin.start()
    await admin.delete_topics([topic.name])
    await admin.close()
    return await written(topic.bootstrap, name=topic.name, compacted=compacted)


def again(count: int, first: int = 0) -> list[Record]:
    """Changes of the new log, received later than those of the old one."""
    return [change(CODE, n, price=20.0, received=RECEIVED + LATER + n) for n in range(first, first + count)]


def log_of(topic: Written) -> str:
    """The topic's id."""
    with Probe(topic.bootstrap) as probe:
        return probe.find([topic.name]).logs[topic.name].topic


async def commit_as(topic: Written, group: str, offset: int, metadata: str) -> None:
    """Have the group stand at an offset, with some metadata."""
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    tp = TopicPartition(topic.name, of(CODE))
    consumer.assign([tp])
    await consumer.commit({tp: OffsetAndMetadata(offset, metadata)})
    await consumer.stop()


async def committed(topic: Written, group: str) -> OffsetAndMetadata | None:
    """Where the group stands, with its metadata."""
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    tp = TopicPartition(topic.name, of(CODE))
    try:
        return (await consumer._coordinator.fetch_committed_offsets([tp])).get(tp)
    finally:
        await consumer.stop()


async def take(read: AsyncIterator[PriceChange], count: int) -> list[float]:
    """The prices of the next changes: 10 in the old log, 20 in the new one."""
    return [(await anext(read)).price for _ in range(count)]


async def test_the_log_is_told_by_the_ids_that_the_broker_has(topic: Written) -> None:
    """Over the consumer's own connection, the same as by a request of one's own."""
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap)
    await consumer.start()
    try:
        found = await identify(consumer, topic.name)
        assert found is not None
        with Probe(topic.bootstrap) as probe:
            there = probe.find([topic.name]).logs[topic.name]
        assert (found.cluster, found.topic) == (there.cluster, there.topic)
        assert read_log_id(str(found)) == found
        assert await identify(consumer, "no-such-topic") is None
    finally:
        await consumer.stop()


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_topic_made_again_under_a_reader_is_read_from_its_start(
    topic: Written, grouped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place lies within the new log, which is longer; it is said, and counted."""
    await topic.put([change(CODE, n) for n in range(5)])
    group = topic.name if grouped else None
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=group)
    async with asyncio.timeout(SECONDS), reader:
        read = aiter(reader)
        assert await take(read, 5) == [10.0] * 5
        before = reader.log_id
        new = await made_again(topic)
        await new.put(again(20))
        assert await take(read, 20) == [20.0] * 20
        assert reader.position[of(CODE)] == 20
        assert reader.stats.replaced == 1
        assert reader.log_id != before
    assert "deleted and made again" in caplog.text
    if grouped:
        assert await committed(new, topic.name) == OffsetAndMetadata(20, log_of(new))
    await new.close()


async def test_a_commit_names_its_log(topic: Written) -> None:
    """The first place of a group, and every later one, also that of partitions without records."""
    await topic.put([change(CODE, n) for n in range(3)])
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=topic.name) as reader:
        assert await committed(topic, topic.name) == OffsetAndMetadata(0, log_of(topic))
        await take(aiter(reader), 3)
    assert await committed(topic, topic.name) == OffsetAndMetadata(3, log_of(topic))


@pytest.mark.parametrize(("metadata", "goes_on"), [("", True), ("of another tool", True), ("A" * 22, False)])
async def test_a_group_that_stood_in_another_log_begins_at_this_ones_start(
    topic: Written, metadata: str, goes_on: bool
) -> None:
    """Where its offset says so; one without an id is taken for this log's."""
    await topic.put([change(CODE, n) for n in range(5)])
    await commit_as(topic, topic.name, 3, metadata)
    async with asyncio.timeout(SECONDS):
        async with PriceChanges(topic.bootstrap, topic=topic.name, group=topic.name) as reader:
            assert (await anext(aiter(reader))).origin.offset == (3 if goes_on else 0)
            assert reader.stats.replaced == (0 if goes_on else 1)
            place = await committed(topic, topic.name)
            assert place == OffsetAndMetadata(*((3, metadata) if goes_on else (0, log_of(topic))))


async def test_a_saved_place_of_another_log_is_that_logs(topic: Written) -> None:
    """A topic made again while the reader was away: `log_id` beside the offsets tells."""
    await topic.put([change(CODE, n) for n in range(5)])
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest") as reader:
        await take(aiter(reader), 3)
        place, log_id = reader.position, reader.log_id
    async with PriceChanges(topic.bootstrap, topic=topic.name, start=place, log_id=log_id) as reader:
        assert (await anext(aiter(reader))).origin.offset == 3
    new = await made_again(topic)
    await new.put(again(6))
    async with asyncio.timeout(SECONDS):
        async with PriceChanges(topic.bootstrap, topic=topic.name, start=place, log_id=log_id) as reader:
            assert await take(aiter(reader), 6) == [20.0] * 6
            assert reader.stats.replaced == 1
    with pytest.raises(RangeError, match="another log"):
        await PriceChanges(topic.bootstrap, topic=topic.name, start=place, end="now", log_id=log_id).open()
    with pytest.raises(ArgumentError, match="give start="):
        PriceChanges(topic.bootstrap, topic=topic.name, log_id=log_id)
    with pytest.raises(ArgumentError, match="log_id"):
        PriceChanges(topic.bootstrap, topic=topic.name, start=place, log_id="topic")
    await new.close()


async def test_a_range_of_a_log_that_is_gone_ends_in_an_error(topic: Written) -> None:
    """Its rest can't be read, and the new log's records are not part of it."""
    await topic.put([change(CODE, n) for n in range(50)])
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now", batch_size=5)
    made: list[Written] = []

    async def read() -> None:
        async for one in reader:
            assert one.price == 10.0
            if not made:
                made.append(await made_again(topic))
                await made[0].put(again(100))
                assert reader._log is not None
                reader._log._unsure = True  # as after five seconds

    async with asyncio.timeout(SECONDS):
        with pytest.raises(RangeError, match="the rest is gone"):
            await read()
    await made[0].close()


async def test_a_table_is_that_of_the_new_log(states: Written) -> None:
    """Its rows of before are gone with their log; the new ones come as updates."""
    await states.put([snapshot("600519", 1, 10.0), snapshot("000001", 1, 10.0)])
    async with asyncio.timeout(SECONDS), Snapshots(states.bootstrap, topic=states.name) as reader:
        assert set(await reader.table()) == {"600519", "000001"}
        new = await made_again(states, compacted=True)
        await new.put([snapshot("600519", n, 20.0) for n in range(5)])
        update = await anext(aiter(reader))
        assert (update.code, update.price, update.origin.offset) == ("600519", 20.0, 0)
        table = await reader.table()
        assert {code: row.origin.offset for code, row in table.items()} == {"600519": 4}
        await new.close()


async def test_a_cluster_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    """The same address, an empty disk, and as many records as before: in a group and outside of one."""
    broker = KafkaBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        name = f"client-{uuid.uuid4().hex}"
        topic = await written(broker.bootstrap, name=name)
        await topic.put([change(CODE, n) for n in range(5)])
        readers = [
            PriceChanges(broker.bootstrap, topic=name, start="earliest"),
            PriceChanges(broker.bootstrap, topic=name, start="latest", group="team"),
        ]
        async with asyncio.timeout(100), readers[0], readers[1]:
            await topic.put([change(CODE, 5)])
            reads = [aiter(reader) for reader in readers]
            assert await take(reads[0], 6) == [10.0] * 6
            assert await take(reads[1], 1) == [10.0]
            await topic.close()
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(shutil.rmtree, tmp_path)
            await asyncio.to_thread(broker.start)
            topic = await written(broker.bootstrap, name=name)
            await topic.put(again(20))
            for reader, read in zip(readers, reads, strict=True):
                assert await take(read, 20) == [20.0] * 20
                assert reader.stats.replaced == 1
                assert reader.position[of(CODE)] == 20
        await topic.close()
    finally:
        await asyncio.to_thread(broker.stop)


LOGS = [LogId(cluster, topic) for cluster in ("", "C", "D") for topic in ("", "A" * 22, "B" * 22)]


def test_a_log_is_another_only_if_both_say_so() -> None:
    """A broker that tells no ids, or the cluster's alone, never makes a log another."""
    for known, now in itertools.product(LOGS, LOGS):
        if known.topic and now.topic:
            assert known.differs(now) == (known.topic != now.topic)
        elif known.cluster and now.cluster:
            assert known.differs(now) == (known.cluster != now.cluster)
        else:
            assert not known.differs(now)
        assert known.disowns(now.topic) == bool(known.topic and now.topic and known.topic != now.topic)

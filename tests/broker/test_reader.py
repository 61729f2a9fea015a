"""Bounded ranges read from a real broker, outside of any group."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterable

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from broker import admin
from broker.chunk import Chunk
from broker.publisher import Publisher
from broker.reader import ChunkReader, ReadError
from schemas import UsageError
from schemas.topics import Topic

COUNT = 5_000
"""Records of partition 0; partition 1 has a tenth of it, partition 2 none."""
Place = tuple[int, int]


@pytest.fixture(scope="session")
def name() -> str:
    return f"test.reader.{uuid.uuid4().hex}"


@pytest.fixture
async def topic(bootstrap: str, name: str) -> str:
    """A topic of three partitions, written once for all tests; a record's value says where it lies."""
    if name in await admin.describe(bootstrap, [name]):
        return name
    config = {"cleanup.policy": "delete", "max.message.bytes": "1048588"}
    await admin.apply(bootstrap, {name: Topic(name, "", "", "", 3, 1, config)})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(name)
    for partition, count in ((0, COUNT), (1, COUNT // 10)):
        for offset in range(count):
            value = b"%d/%d" % (partition, offset) + b"." * 300
            publisher.queue(name, partition).add(b"key", value, 1_000_000 + offset, [("offset", b"%d" % offset)])
            if not offset % 500:
                await asyncio.sleep(0.01)
    await publisher.stop()
    return name


def at(topic: str, partition: int) -> TopicPartition:
    return TopicPartition(topic, partition)


def places(chunks: Iterable[Chunk]) -> list[Place]:
    """Where the records lie, by their own account and by their chunks'."""
    found = []
    for chunk in chunks:
        assert len(chunk.keys) == len(chunk.values) == len(chunk.timestamps) == len(chunk.offsets)
        for offset, value in zip(chunk.offsets, chunk.values, strict=True):
            assert value is not None
            assert value.startswith(b"%d/%d." % (chunk.partition, offset))
            found.append((chunk.partition, offset))
    return found


async def rest(open_reader: ChunkReader) -> list[Chunk]:
    """All chunks that are left."""
    chunks = []
    while open_reader.left:
        chunks += await open_reader.fetch()
    return chunks


async def test_ranges_are_read_to_their_ends_and_no_further(bootstrap: str, topic: str) -> None:
    """Each partition its own, in order; empty ranges and empty partitions are done at once."""
    async with ChunkReader(bootstrap, client_id="test", fetch_bytes=20_000) as source:
        source.assign({at(topic, 0): (777, 3_210), at(topic, 1): (5, 5), at(topic, 2): (0, 0)})
        assert source.left == {at(topic, 0)}
        chunks = await rest(source)
        assert places(chunks) == [(0, offset) for offset in range(777, 3_210)]
        assert chunks[0].start == 777
        assert all(before.end == after.start for before, after in itertools.pairwise(chunks))
        assert chunks[-1].end == 3_210
        assert len(chunks) > 1
        assert await source.fetch() == []


async def test_only_wanted_partitions_are_taken(bootstrap: str, topic: str) -> None:
    """What lies ready of the others stays, and is not lost; of each partition at most one chunk comes at once."""
    async with ChunkReader(bootstrap, client_id="test", fetch_bytes=50_000) as source:
        source.assign({at(topic, 0): (0, COUNT), at(topic, 1): (0, COUNT // 10)})
        first: list[Chunk] = []
        while at(topic, 0) in source.left:
            some = await source.fetch({at(topic, 0)})
            assert len(some) == 1
            first += some
        assert places(first) == [(0, offset) for offset in range(COUNT)]
        assert await source.fetch({at(topic, 0)}) == []
        assert places(await rest(source)) == [(1, offset) for offset in range(COUNT // 10)]


async def test_a_new_range_drops_what_lay_ready(bootstrap: str, topic: str) -> None:
    """As after a jump: no record of the old range comes."""
    async with ChunkReader(bootstrap, client_id="test", fetch_bytes=50_000) as source:
        source.assign({at(topic, 0): (0, COUNT), at(topic, 1): (0, COUNT // 10)})
        await source.fetch()
        await asyncio.sleep(0.1)
        source.assign({at(topic, 0): (40, 60)})
        assert places(await rest(source)) == [(0, offset) for offset in range(40, 60)]
        source.assign({at(topic, 0): (10, 12), at(topic, 1): (1, 3)})
        assert sorted(places(await rest(source))) == [(0, 10), (0, 11), (1, 1), (1, 2)]


async def test_headers_come_when_they_are_asked_for(bootstrap: str, topic: str) -> None:
    for wanted, expected in ((True, [(("offset", b"3"),), (("offset", b"4"),)]), (False, [])):
        async with ChunkReader(bootstrap, client_id="test", headers=wanted) as source:
            source.assign({at(topic, 0): (3, 5)})
            (chunk,) = await rest(source)
            assert [tuple(headers) for headers in chunk.headers] == expected
            assert chunk.timestamps == [1_000_003, 1_000_004]


async def test_places_are_looked_up(bootstrap: str, topic: str) -> None:
    """Partitions, ends, and the first offset received from a time on; the end where there is none."""
    async with ChunkReader(bootstrap, client_id="test") as source:
        found = await source.partitions(topic)
        assert found == [at(topic, number) for number in range(3)]
        assert await source.begins(found) == dict.fromkeys(found, 0)
        assert await source.ends(found) == dict(zip(found, (COUNT, COUNT // 10, 0), strict=True))
        assert await source.at(found, 1_000_400) == dict(zip(found, (400, 400, 0), strict=True))
        assert await source.at(found, 1_000_900) == dict(zip(found, (900, COUNT // 10, 0), strict=True))


async def test_nobody_there_and_no_such_topic_are_errors_that_name_the_fix(bootstrap: str) -> None:
    with pytest.raises(UsageError, match="--bootstrap"):
        async with ChunkReader("127.0.0.1:1", client_id="test"):
            pass
    async with ChunkReader(bootstrap, client_id="test") as source:
        with pytest.raises(UsageError, match="ashare topics apply"):
            await source.partitions("test.no.such.topic")


async def test_an_offset_that_is_gone_is_an_error(bootstrap: str) -> None:
    """Retention overtook the reading: that is said, rather than a part given for the whole."""
    name = f"test.reader.{uuid.uuid4().hex}"
    config = {"cleanup.policy": "delete", "max.message.bytes": "1048588"}
    await admin.apply(bootstrap, {name: Topic(name, "", "", "", 1, 1, config)})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(name)
    for n in range(20):
        publisher.queue(name, 0).add(None, b"0/%d." % n, 1_000_000 + n)
    await publisher.stop()
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    await client.delete_records({at(name, 0): RecordsToDelete(before_offset=10)})
    await client.close()
    async with ChunkReader(bootstrap, client_id="test") as source:
        assert list((await source.begins([at(name, 0)])).values()) == [10]
        source.assign({at(name, 0): (5, 20)})
        with pytest.raises(ReadError, match="OffsetOutOfRange"):
            await rest(source)
        source.assign({at(name, 0): (10, 20)})
        assert places(await rest(source)) == [(0, offset) for offset in range(10, 20)]


async def test_a_range_behind_the_end_is_not_waited_for_for_ever(bootstrap: str, topic: str) -> None:
    """A broker that brings nothing is given its time, and then named."""
    async with ChunkReader(bootstrap, client_id="test", patience=0.5) as source:
        source.assign({at(topic, 2): (0, 1)})
        with pytest.raises(ReadError, match=r"brought nothing of .*/2 for 0\.5 s"):
            await source.fetch()

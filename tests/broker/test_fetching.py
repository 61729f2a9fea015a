"""Fetch loops bring what aiokafka's own fetching brings, and step aside where something is not as usual."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11

from broker.fetching import Fetching, answer_of, request_of
from broker.mode import plain
from tests.broker.conftest import Topics


def test_a_request_is_the_one_that_aiokafka_would_pack() -> None:
    """Byte for byte, with several topics, partitions and places."""
    asked = {"ticks": [(0, 7), (11, 2**40)], "marks-é": [(3, 0)]}
    topics = [
        (topic, [(partition, -1, offset, -1, 256) for partition, offset in some]) for topic, some in asked.items()
    ]
    expected = FetchRequest_v11(-1, 250, 1, 52_428_800, 1, 0, -1, topics, [], "").encode()
    assert request_of(asked, wait_ms=250, least=1, most=52_428_800, of_each=256, isolation=1) == expected


def test_an_answer_is_read_as_aiokafka_reads_it() -> None:
    """Errors, watermarks, aborted transactions and records of each partition, and no records where there are none."""
    topics = [
        ("ticks", [(0, 0, 90, 80, 1, [(5, 6), (7, 8)], -1, b"records"), (1, 6, -1, -1, -1, None, -1, None)]),
        ("marks", [(2, 0, 3, 3, 0, [], -1, b"")]),
    ]
    body = FetchResponse_v11(0, 0, 0, topics).encode()
    assert FetchResponse_v11.decode(BytesIO(body)).topics[0][0] == "ticks", "aiokafka reads it"
    error, partitions = answer_of(b"corr" + body)
    assert error == 0
    assert list(partitions) == [
        ("ticks", 0, 0, 90, 80, [(5, 6), (7, 8)], b"records"),
        ("ticks", 1, 6, -1, -1, [], b""),
        ("marks", 2, 0, 3, 3, [], b""),
    ]
    assert answer_of(b"corr" + FetchResponse_v11(0, 70, 0, []).encode())[0] == 70


@pytest.fixture
def topics_with(bootstrap: str, new_topics: Topics) -> Topics:
    """Makes new topics of two partitions, with so many records in each partition."""

    async def make(*counts: int) -> list[str]:
        names = await new_topics(len(counts), 2)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for name, count in zip(names, counts, strict=True):
                for n in range(count):
                    await asyncio.gather(*(producer.send_and_wait(name, b"%d" % n, partition=p) for p in (0, 1)))
        return names

    return make


async def take(consumer: AIOKafkaConsumer, fetching: Fetching, count: int) -> dict[tuple[str, int], list[int]]:
    """The next records, so many in all, by topic and partition."""
    found: dict[tuple[str, int], list[int]] = {}
    async with asyncio.timeout(20):
        while sum(map(len, found.values())) < count:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found.setdefault(tp, []).extend(int(record.value) for record in records)
            fetching.ask()
    return found


async def test_a_loop_brings_every_record_once_and_follows_seeks(bootstrap: str, topics_with: Topics) -> None:
    """Back, on, and to a place that the log does not have, which is reset as aiokafka resets it."""
    (name,) = await topics_with(20)
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=300
    )
    await consumer.start()
    try:
        fetching = Fetching(consumer._fetcher, lambda: 50)
        consumer.assign([first, second])
        assert await take(consumer, fetching, 40) == {first: list(range(20)), second: list(range(20))}
        assert fetching._loops or plain(), "it was a loop that brought them"
        consumer.seek(first, 15)
        assert await take(consumer, fetching, 5) == {first: [15, 16, 17, 18, 19]}
        await consumer.seek_to_beginning(second)
        assert await take(consumer, fetching, 20) == {second: list(range(20))}
        consumer.seek(first, 1_000)
        assert await take(consumer, fetching, 20) == {first: list(range(20))}
    finally:
        await consumer.stop()


async def test_a_loop_goes_on_over_a_closed_connection_and_a_new_assignment(
    bootstrap: str, topics_with: Topics
) -> None:
    """Nothing is lost or repeated where the connection is lost between two answers."""
    (name,) = await topics_with(10)
    parts = [TopicPartition(name, 0), TopicPartition(name, 1)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        fetching = Fetching(consumer._fetcher, lambda: 50)
        consumer.assign(parts[:1])
        assert await take(consumer, fetching, 10) == {parts[0]: list(range(10))}
        for connection in list(consumer._client._conns.values()):
            connection.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait(name, b"10", partition=0)
        assert await take(consumer, fetching, 1) == {parts[0]: [10]}
        consumer.assign(parts[1:])
        assert await take(consumer, fetching, 10) == {parts[1]: list(range(10))}
    finally:
        await consumer.stop()


async def test_a_topic_that_nobody_wants_is_not_fetched(bootstrap: str, topics_with: Topics) -> None:
    """It is assigned, and nothing of it is ever held."""
    wanted, other = await topics_with(5, 5)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        fetching = Fetching(consumer._fetcher, lambda: 50, lambda topic: topic != other)
        consumer.assign([TopicPartition(topic, partition) for topic in (wanted, other) for partition in (0, 1)])
        found = await take(consumer, fetching, 10)
        assert {topic for topic, _ in found} == {wanted}
        assert not [tp for tp in consumer._fetcher._records if tp.topic == other]
    finally:
        await consumer.stop()

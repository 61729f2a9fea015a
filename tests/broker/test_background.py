"""A client that has lost one of its tasks is told from one that lives, and closed whatever it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata

from broker.background import commit_as_member, discard, ended
from broker.publisher import Publisher
from tests.broker.conftest import Topics

Task = Callable[[Any], Any]
OF_A_CONSUMER: dict[str, Task] = {
    "metadata": lambda consumer: consumer._client._sync_task,
    "fetcher": lambda consumer: consumer._fetcher._fetch_task,
    "coordination": lambda consumer: consumer._coordinator._coordination_task,
    "heartbeat": lambda consumer: consumer._coordinator._heartbeat_task,
    "commit refresh": lambda consumer: consumer._coordinator._commit_refresh_task,
}
OF_A_PRODUCER: dict[str, Task] = {
    "metadata": lambda producer: producer.client._sync_task,
    "sender": lambda producer: producer._sender._sender_task,
}


@pytest.fixture
async def consumer(bootstrap: str, new_topics: Topics) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group of one, with a partition."""
    [topic] = await new_topics()
    made = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await made.start()
    async with asyncio.timeout(30):
        while not made.assignment():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.02)
        await made.committed(TopicPartition(topic, 0))
    yield made
    await discard(made)


@pytest.mark.parametrize("name", OF_A_CONSUMER)
async def test_each_task_of_a_consumer_is_missed(consumer: AIOKafkaConsumer, name: str) -> None:
    """Whichever it is; closing such a consumer neither waits nor raises."""
    assert ended(consumer) is None
    OF_A_CONSUMER[name](consumer).cancel()
    await asyncio.sleep(0.05)
    said = ended(consumer)
    if name == "commit refresh":  # it takes being cancelled for a rebalance, which makes a new one
        return
    assert said is not None
    assert name in said
    async with asyncio.timeout(10):
        await discard(consumer)


@pytest.mark.parametrize("name", OF_A_PRODUCER)
async def test_each_task_of_a_producer_is_missed(bootstrap: str, name: str) -> None:
    """Likewise."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        assert ended(producer) is None
        OF_A_PRODUCER[name](producer).cancel()
        await asyncio.sleep(0.05)
        assert name in str(ended(producer))
    finally:
        async with asyncio.timeout(10):
            await discard(producer)


@pytest.mark.parametrize("name", OF_A_PRODUCER)
async def test_a_publisher_that_lost_a_task_of_its_clients_makes_it_anew(
    bootstrap: str, new_topics: Topics, name: str
) -> None:
    """Within seconds, not after the deadline of a batch; what was added meanwhile arrives."""
    [topic] = await new_topics()
    publisher = Publisher(bootstrap, client_id="test", deadline=60.0)
    await publisher.start(topic)
    try:
        queue = publisher.queue(topic, 0)
        queue.add(None, b"before", 1)
        await queue.delivered()
        OF_A_PRODUCER[name](publisher._client).cancel()
        await asyncio.sleep(0)
        assert publisher._client is not None
        for connection in list(publisher._client.client._conns.values()):
            connection.close()
        publisher._client.client.cluster._partitions.clear()
        queue.add(None, b"after", 1)
        async with asyncio.timeout(20):
            await queue.delivered()
        assert publisher.rebuilt == 1
    finally:
        await publisher.stop()


async def test_nothing_is_committed_without_a_generation(consumer: AIOKafkaConsumer) -> None:
    """A coordinator would take it for any group without members, and so for every group of a cluster that is new."""
    commit_as_member(consumer)
    [tp] = consumer.assignment()
    await consumer.commit({tp: OffsetAndMetadata(3, "")})
    coordinator = consumer._coordinator
    generation, member = coordinator.generation, coordinator.member_id
    coordinator.generation = -1
    with pytest.raises(CommitFailedError):
        await consumer.commit({tp: OffsetAndMetadata(4, "")})
    coordinator.generation, coordinator.member_id = generation, ""
    with pytest.raises(CommitFailedError):
        await consumer.commit({tp: OffsetAndMetadata(5, "")})
    coordinator.member_id = member
    assert await consumer.committed(tp) == 3

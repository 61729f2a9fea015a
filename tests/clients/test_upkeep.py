"""A reader whose Kafka client lost one of its tasks, or whose connections break under a write, reads and commits on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from ashare_client import PriceChanges, upkeep
from ashare_client.upkeep import close, commit_as_member, ended, guard
from broker import boundary  # its connections are guarded from the import on
from tests.clients.topics import change, written

TASKS: dict[str, Callable[[Any], Any]] = {
    "metadata": lambda consumer: consumer._client._sync_task,
    "fetcher": lambda consumer: consumer._fetcher._fetch_task,
    "coordination": lambda consumer: consumer._coordinator._coordination_task,
    "heartbeat": lambda consumer: consumer._coordinator._heartbeat_task,
}


@pytest.mark.parametrize("name", TASKS)
async def test_a_reader_that_lost_a_task_reads_and_commits_on(bootstrap: str, name: str) -> None:
    """Each task in turn: the consumer is made anew within seconds, nothing is missing, and commits go on."""
    topic = await written(bootstrap)
    reader = PriceChanges(bootstrap, topic=topic.name, start="earliest", group=topic.name)
    got: list[int] = []
    async with asyncio.timeout(60), reader:
        await topic.put([change("600519", n) for n in range(5)])
        async for one in reader:
            got.append(one.origin.offset)
            if len(got) == 5:
                break
        await reader.commit()
        assert reader._log is not None
        TASKS[name](reader._log.consumer).cancel()
        await asyncio.sleep(0)
        await topic.put([change("600519", n) for n in range(5, 10)])
        async for one in reader:
            got.append(one.origin.offset)
            if one.origin.offset == 9:
                break
        await reader.commit()
        assert reader.stats.reconnected == 1
        assert sorted(set(got)) == list(range(10))
        assert await reader.lag() == dict.fromkeys(await reader.lag(), 0)
    await topic.close()


class Raising:
    """A stream that was closed a moment ago, as uvloop has it."""

    def __init__(self, stream: Any) -> None:
        """In the place of a stream."""
        self._stream = stream

    def write(self, _data: bytes) -> None:
        """Raise what aiokafka takes for no broken connection."""
        raise RuntimeError("unable to perform operation; the handler is closed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


async def test_connections_that_break_under_a_write_are_only_made_anew(bootstrap: str) -> None:
    """No task of the client ends, and the reader does not even reconnect."""
    topic = await written(bootstrap)
    reader = PriceChanges(bootstrap, topic=topic.name, start="earliest", group=topic.name)
    async with asyncio.timeout(60), reader:
        for n in range(6):
            await topic.put([change("600519", n)])
            async for one in reader:
                assert one.origin.offset == n
                break
            assert reader._log is not None
            consumer = reader._log.consumer
            for connection in consumer._client._conns.values():
                connection._writer._stream = Raising(connection._writer._stream)
            await reader.commit()
            assert ended(consumer) is None
        assert reader.stats.reconnected == 0
    await topic.close()


async def test_nothing_is_committed_without_a_generation(bootstrap: str) -> None:
    """After the group has thrown the member out, a commit fails instead of reaching whatever group is there now."""
    topic = await written(bootstrap)
    consumer = AIOKafkaConsumer(topic.name, bootstrap_servers=bootstrap, group_id=topic.name, enable_auto_commit=False)
    await consumer.start()
    commit_as_member(consumer)
    try:
        async with asyncio.timeout(30):
            while not consumer.assignment():  # noqa: ASYNC110 - looked at, not told
                await asyncio.sleep(0.02)
        tp = TopicPartition(topic.name, 0)
        await consumer.commit({tp: OffsetAndMetadata(3, "")})
        coordinator = consumer._coordinator
        generation, coordinator.generation = coordinator.generation, -1
        with pytest.raises(Exception, match="rebalanced"):
            await consumer.commit({tp: OffsetAndMetadata(4, "")})
        coordinator.generation = generation
        assert await consumer.committed(tp) == 3
    finally:
        await close(consumer, 10.0)
    await topic.close()


async def test_a_writer_is_wrapped_once_where_two_libraries_guard_it(bootstrap: str) -> None:
    """The archive and replays have both in one process: wrapped at each request, a writer would end in recursion."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    guard(consumer._client)
    await consumer.start()
    try:
        for _ in range(20):
            await consumer._client.fetch_all_metadata()
        for connection in consumer._client._conns.values():
            assert not isinstance(connection._writer._stream, (boundary.Writer, upkeep._Writer))
    finally:
        await consumer.stop()

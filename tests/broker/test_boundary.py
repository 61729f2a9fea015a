"""Whatever a transport raises is a connection error behind one boundary, and ends none of aiokafka's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from broker.background import ended
from broker.boundary import Connection, Writer
from broker.wire import Pending, connection_to, send
from tests.broker.conftest import Topics

RAISED = [RuntimeError("unable to perform operation; the handler is closed"), OSError("reset"), ValueError("odd")]


class Breaking:
    """A stream whose every call raises."""

    def __init__(self, error: Exception) -> None:
        """Raise this."""
        self.error = error

    def write(self, _data: bytes) -> None:
        """As a transport's."""
        raise self.error

    async def drain(self) -> None:
        """As a transport's."""
        raise self.error

    def close(self) -> None:
        """As a transport's."""
        raise self.error


@pytest.mark.parametrize("error", RAISED)
async def test_a_writers_errors_are_connection_errors(error: Exception) -> None:
    """Of write and drain; closing what is closed is none."""
    writer = Writer(Breaking(error))
    with pytest.raises(OSError, match=r"reset|closed under"):
        writer.write(b"x")
    with pytest.raises(OSError, match=r"reset|closed under"):
        await writer.drain()
    writer.close()


@pytest.fixture
def broken(bootstrap: str) -> Iterator[Any]:
    """Breaks a client's connections as uvloop does: the next write to them raises."""

    def breaks(client: AIOKafkaClient, error: Exception) -> list[Connection]:
        connections = list(client._conns.values())
        for connection in connections:
            assert isinstance(connection, Connection)
            stream = connection._writer
            assert stream is not None
            stream._stream = _Raising(stream._stream, error)
        return connections

    yield breaks
    assert bootstrap


class _Raising:
    def __init__(self, stream: Any, error: Exception) -> None:
        self._stream, self._error = stream, error

    def write(self, _data: bytes) -> None:
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.mark.parametrize("error", RAISED)
async def test_aiokafka_and_our_own_requests_find_a_broken_connection(
    bootstrap: str, broken: Any, error: Exception
) -> None:
    """Theirs raise a connection error, ours fail by what waits for the answer; the next ones go over a new one."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        node = client.get_random_node()
        for ours in (False, True):
            assert await client.ready(node)
            connection = connection_to(client, node)
            assert connection is not None
            broken(client, error)
            if ours:
                failed: list[Exception] = []
                pending = Pending(lambda _: None, failed.append)
                send(connection, 3, 1, b"\0\0\0\0", pending)
                assert isinstance(failed[0], KafkaConnectionError)
                late: list[Exception] = []
                send(connection, 3, 1, b"\0\0\0\0", Pending(lambda _: None, late.append))
                assert isinstance(late[0], KafkaConnectionError)
            else:
                with pytest.raises(KafkaConnectionError):
                    connection.send(MetadataRequest([]))
            assert not connection.connected()
            assert await client.force_metadata_update()
        assert client._sync_task is not None
        assert not client._sync_task.done()
    finally:
        await client.close()


def test_a_write_to_what_uvloop_has_just_closed_is_a_connection_error(bootstrap: str) -> None:
    """The real thing: a reset that the loop knows of, and the reader does not yet."""

    async def trial() -> None:
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        await client.bootstrap()
        try:
            node = client.get_random_node()
            assert await client.ready(node)
            connection = connection_to(client, node)
            assert connection is not None
            assert connection._writer is not None
            connection._writer.transport.abort()
            wrote: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

            def write() -> None:
                """Behind the transport's end, and before the task that reads hears of it."""
                try:
                    connection.send(MetadataRequest([]))
                except Exception as caught:  # noqa: BLE001 - what it is, is looked at
                    wrote.set_result(caught)
                else:
                    wrote.set_result(None)

            asyncio.get_running_loop().call_soon(write)
            error = await wrote
            assert isinstance(error, KafkaConnectionError)
            assert "closed under a write" in str(error)
            assert await client.force_metadata_update()
        finally:
            await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(trial())


async def test_a_group_commits_on_through_connections_that_break_under_every_kind_of_write(
    bootstrap: str, new_topics: Topics, broken: Any
) -> None:
    """Fetching, beating, committing, metadata: each finds its connection broken, and none of their tasks ends."""
    [topic] = await new_topics()
    tp = TopicPartition(topic, 0)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False,
            auto_offset_reset="earliest", heartbeat_interval_ms=100, session_timeout_ms=6_000, metadata_max_age_ms=150,
        )  # fmt: skip
        await consumer.start()
        try:
            async with asyncio.timeout(60):
                for turn in range(12):
                    await producer.send_and_wait(topic, b"%d" % turn)
                    record = await consumer.getone()
                    broken(consumer._client, RAISED[turn % len(RAISED)])
                    await asyncio.sleep(0.02 * turn)
                    await consumer.commit({tp: record.offset + 1})
                    assert await consumer.committed(tp) == record.offset + 1
                    assert ended(consumer) is None
        finally:
            await consumer.stop()

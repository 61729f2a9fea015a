"""What the brokers say of logs, asked over sockets of its own, is what aiokafka's admin client and consumer say."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import given
from hypothesis import strategies as st

from broker import admin
from broker.probe import Probe, ProbeError, Reader, _found
from deploy.embedded.server import free_port
from tests.broker.conftest import Topics


async def test_logs_are_found_with_their_ids_and_ends(bootstrap: str, new_topics: Topics) -> None:
    """By topic; one that does not exist is left out, and none is made. A topic made anew is another log."""
    name, other = await new_topics(2, 3)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for n in range(5):
            await producer.send_and_wait(name, b"x", partition=1 if n < 4 else 2)

    def asked() -> None:
        with Probe(bootstrap) as probe:
            found = probe.find([name, other, "ashare.no-such-topic"])
            assert set(found.logs) == {name, other}
            assert found.logs[name].topic != found.logs[other].topic
            assert all(log.cluster == found.cluster and len(log.topic) == 22 for log in found.logs.values())
            assert probe.find([name]).logs[name] == found.logs[name]
            assert probe.ends(found, [name]) == {(name, 0): 0, (name, 1): 4, (name, 2): 1}

    await asyncio.to_thread(asked)
    with Probe(bootstrap) as probe:
        before = (await asyncio.to_thread(probe.find, [name])).logs[name]
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    await client.delete_topics([name])
    async with asyncio.timeout(20):
        while name in await admin.describe(bootstrap, [name]):  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.1)
    await client.create_topics([NewTopic(name, 1, 1)])
    await client.close()
    with Probe(bootstrap) as probe:
        now = None
        for _ in range(200):
            now = (await asyncio.to_thread(probe.find, [name])).logs.get(name)
            if now is not None:
                break
            await asyncio.sleep(0.1)
    assert now is not None
    assert now.cluster == before.cluster
    assert now.topic != before.topic


def test_a_broker_that_does_not_answer_is_named_within_bounds() -> None:
    """Nobody there; somebody who hangs up; somebody who says nothing."""
    with Probe(f"127.0.0.1:{free_port()}") as probe, pytest.raises(ProbeError, match="refused"):
        probe.find(["t"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hanging_up = threading.Thread(target=_hang_up, args=(server,), daemon=True)
        hanging_up.start()
        with Probe(f"127.0.0.1:{port}", timeout=0.3) as probe, pytest.raises(ProbeError):
            probe.find(["t"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with Probe(f"127.0.0.1:{port}", timeout=0.3) as probe, pytest.raises(ProbeError, match="timed out"):
            probe.find(["t"])


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


@given(st.binary(max_size=200))
def test_whatever_answers_is_read_or_refused(data: bytes) -> None:
    """With the errors that asking takes for a broker that does not answer."""
    try:
        _found(Reader(data))
    except Exception as error:  # noqa: BLE001 - its kind is what is tested
        assert type(error).__name__ in {"error", "IndexError", "ValueError", "UnicodeDecodeError"}  # noqa: PT017

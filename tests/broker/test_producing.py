"""Batches that are packed here are what aiokafka would send, and what fails goes on as its own retry."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from broker.mode import plain
from broker.producing import errors_of, request_of
from broker.publisher import Publisher
from tests.broker.conftest import Topics


def test_a_request_is_the_one_that_aiokafka_would_pack() -> None:
    """Byte for byte, with several topics and partitions."""
    batches = {"changes-é": [(0, b"one"), (11, b"two")], "snapshots": [(3, b"")]}
    expected = ProduceRequest_v7(None, -1, 30_000, list(batches.items())).encode()
    assert request_of(batches, acks=-1, timeout_ms=30_000) == expected


def test_an_answer_gives_each_partitions_error() -> None:
    """By topic and partition, whatever their order."""
    topics = [("changes", [(11, 0, 5, -1, 0), (0, 6, -1, -1, -1)]), ("snapshots", [(3, 46, -1, -1, -1)])]
    answer = ProduceResponse_v7(topics, 0).encode()
    assert errors_of(b"corr" + answer) == {("changes", 11): 0, ("changes", 0): 6, ("snapshots", 3): 46}


async def records(bootstrap: str, topic: str) -> list[bytes]:
    """Every value in the topic's partition."""
    tp = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([tp])
        end, found = (await consumer.end_offsets([tp]))[tp], []
        while await consumer.position(tp) < end:
            found += [record.value for some in (await consumer.getmany(timeout_ms=500)).values() for record in some]
        return found


@pytest.mark.parametrize("when", ["on its way", "unknown leader"])
async def test_what_gets_no_answer_is_sent_again_once_and_in_order(
    bootstrap: str, new_topics: Topics, when: str
) -> None:
    """A connection that closes under a batch: the same sequence numbers, so no record twice, and no new client."""
    [topic] = await new_topics()
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(topic)
    try:
        queue = publisher.queue(topic, 0)
        sent = []
        for turn in range(20):
            queue.add(None, b"%d" % turn, 1_000 + turn)
            sent.append(b"%d" % turn)
            if turn % 5 == 4:
                publisher._send_ready()  # it is on its way
                client = publisher._client
                assert client is not None
                if when == "unknown leader":
                    client.client.cluster._partitions.pop(topic, None)
                for connection in list(client.client._conns.values()):
                    connection.close()
            await queue.delivered()
        assert publisher.rebuilt == 0
        assert publisher._producing is not None
        assert plain() or publisher._producing.node(queue) is not None, "batches leave from here again"
    finally:
        await publisher.stop()
    assert await records(bootstrap, topic) == sent

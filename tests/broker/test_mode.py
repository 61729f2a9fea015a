"""With ``ASHARE_KAFKA_CLIENT=plain`` aiokafka asks and sends; what is published and read is the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import fetching, producing
from broker.chunk import drain
from broker.fetching import Fetching
from broker.mode import DIRECT, PLAIN, VARIABLE, plain
from broker.publisher import Publisher
from schemas import UsageError
from tests.broker.conftest import Topics


@pytest.mark.parametrize("mode", [DIRECT, PLAIN])
async def test_both_modes_carry_the_same_records_and_only_one_packs_requests(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """In order, in both partitions, while records come; ``plain`` packs no request of its own."""
    monkeypatch.setenv(VARIABLE, mode)
    packed: list[int] = []
    for module in (fetching, producing):
        send: Any = module.send

        def counted(connection: Any, key: int, *rest: Any, send: Any = send) -> None:
            packed.append(key)
            send(connection, key, *rest)

        monkeypatch.setattr(module, "send", counted)
    [topic] = await new_topics(1, 2)
    parts = [TopicPartition(topic, number) for number in (0, 1)]
    publisher = Publisher(bootstrap, client_id="test")
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await asyncio.gather(publisher.start(topic), consumer.start())
    found: dict[int, list[bytes | None]] = {0: [], 1: []}
    sent = [b"%d" % n for n in range(60)]

    async def read() -> None:
        while min(map(len, found.values())) < len(sent):
            for chunk in drain(consumer._fetcher, None):
                found[chunk.partition] += chunk.values
            asking.ask()
            await asyncio.sleep(0.01)

    try:
        consumer.assign(parts)
        asking = Fetching(consumer._fetcher, lambda: 50)
        reading = asyncio.create_task(read())
        for n, value in enumerate(sent):
            for number in (0, 1):
                publisher.queue(topic, number).add(None, value, 1_000 + n)
            if n % 7 == 0:
                await publisher.flush()
        async with asyncio.timeout(60):
            await reading
    finally:
        await publisher.stop()
        await consumer.stop()
    assert found == {0: sent, 1: sent}
    assert set(packed) == ({0, 1} if mode == DIRECT else set())


def test_a_mode_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable, the flag and the modes that there are."""
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(UsageError, match=r"ASHARE_KAFKA_CLIENT .* 'fast': set it to direct or plain"):
        plain()

"""Records arrive in order, once where nothing goes wrong, and at least once where the broker dies under them."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import admin
from broker.publisher import DeliveryError, Publisher, RecordTooLargeError
from deploy.embedded import KafkaBroker, free_port
from schemas import DeadLetter, UsageError
from schemas.dead_letters import to_kafka
from schemas.topics import DEAD_LETTERS, TICKS, Topic, topics

HOUR_MS = 3_600_000


def topic(partitions: int = 1) -> Topic:
    """A topic of a test's own."""
    return Topic(f"publisher-{uuid.uuid4().hex}", "none", "none", "test", partitions, 1, {"cleanup.policy": "delete"})


async def values(bootstrap: str, name: str, partition: int = 0) -> list[bytes]:
    """Everything that a partition holds."""
    tp = TopicPartition(name, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    found: list[bytes] = []
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        async with asyncio.timeout(30):
            while await consumer.position(tp) < end:
                found += [r.value for r in (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])]
    finally:
        await consumer.stop()
    return found


async def test_records_arrive_in_order_with_key_time_and_headers(bootstrap: str) -> None:
    """Through many batches of one queue."""
    declared = topic()
    await admin.apply(bootstrap, {declared.name: declared})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(declared.name)
    queue = publisher.queue(declared.name, 0)
    sent = [b"%d" % n + b"." * 300 for n in range(5_000)]
    for n, value in enumerate(sent):
        queue.add(b"key", value, 1_000 + n, [("h", b"1")] if n == 0 else [])
        if n % 500 == 0:
            await asyncio.sleep(0)
    await queue.delivered()
    assert queue.unacknowledged == 0
    assert publisher.unacknowledged_bytes == 0
    assert publisher.acknowledged == len(sent)
    await publisher.stop()
    assert await values(bootstrap, declared.name) == sent


async def test_an_oversize_record_is_refused_before_it_is_sent(bootstrap: str) -> None:
    """The broker would only say so after the send, and the partition would be wedged."""
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(TICKS)
    with pytest.raises(RecordTooLargeError, match="bytes"):
        publisher.queue(TICKS, 0).add(b"k", b"x" * 1_100_000, 1)
    large = publisher.queue(DEAD_LETTERS, 0)
    value, headers = to_kafka(
        DeadLetter(b"x" * 16_000_000, reason="large", part="frame", source="test", run=1, received=1)
    )
    large.add(None, value, 1, headers)
    await large.delivered()
    await publisher.stop()


async def test_a_missing_broker_and_a_missing_topic_are_named(bootstrap: str) -> None:
    """With what to do."""
    with pytest.raises(UsageError, match="no Kafka broker answers"):
        await Publisher(f"127.0.0.1:{free_port()}", client_id="test").start()
    with pytest.raises(UsageError, match="topics apply"):
        await Publisher(bootstrap, client_id="test").start("ashare.no-such-topic")


async def test_a_full_publisher_makes_its_caller_wait(bootstrap: str) -> None:
    """Memory is bounded by the caller's waiting, and it wakes when there is room."""
    declared = topic()
    await admin.apply(bootstrap, {declared.name: declared})
    publisher = Publisher(bootstrap, client_id="test", limit_bytes=10_000)
    await publisher.start()
    queue = publisher.queue(declared.name, 0)
    for n in range(200):
        queue.add(None, b"%03d" % n + b"." * 200, 1)
    assert publisher.full
    async with asyncio.timeout(20):
        await publisher.room()
    assert not publisher.full
    await publisher.stop()


async def test_a_broker_killed_under_load_loses_and_reorders_nothing(tmp_path: Path) -> None:
    """What was added before, while and after the broker was down arrives; what comes twice comes in order."""
    broker = KafkaBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    declared = topic(2)
    publisher = Publisher(broker.bootstrap, client_id="test", deadline=3.0)
    try:
        await admin.apply(broker.bootstrap, {declared.name: declared})
        await publisher.start()
        queues = [publisher.queue(declared.name, p) for p in range(2)]
        down: asyncio.Task[None] | None = None
        for n in range(3_000):
            for queue in queues:
                queue.add(None, b"%d" % n, 1)
            if n == 1_000:
                broker.kill()
                down = asyncio.create_task(asyncio.to_thread(_start_again, broker))
            await asyncio.sleep(0.002)
        assert down is not None
        await down
        async with asyncio.timeout(60):
            await publisher.flush()
        for partition in range(2):
            found = [int(value) for value in await values(broker.bootstrap, declared.name, partition)]
            assert sorted(set(found)) == list(range(3_000))
            highest = -1
            for n in found:
                assert n <= highest + 1, "a record overtook an earlier one"
                highest = max(highest, n)
    finally:
        await publisher.stop()
        await asyncio.to_thread(broker.stop)


def _start_again(broker: KafkaBroker) -> None:
    broker.wait()
    broker.start()


async def test_stopping_without_a_broker_says_how_much_was_not_delivered(tmp_path: Path) -> None:
    """It does not hang, and it does not pretend."""
    broker = KafkaBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    publisher = Publisher(broker.bootstrap, client_id="test", deadline=1.0)
    try:
        await admin.apply(broker.bootstrap)
        await publisher.start()
        broker.kill()
        publisher.queue(TICKS, 0).add(b"k", b"v", 1)
        with pytest.raises(DeliveryError, match="1 records"):
            await publisher.stop(patience=2.0)
    finally:
        await asyncio.to_thread(broker.stop)


async def test_records_dated_too_far_ahead_end_the_publisher_in_plain_words(bootstrap: str) -> None:
    """The broker would refuse them for ever: nothing is sent again, and whoever waits or stops hears why."""
    declared = topic()
    await admin.apply(bootstrap, {declared.name: declared})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(declared.name)
    queue = publisher.queue(declared.name, 0)
    queue.add(b"key", b"right", time.time_ns() // 1_000_000)
    await queue.delivered()
    for n in range(3):
        queue.add(b"key", b"%d" % n, time.time_ns() // 1_000_000 + 2 * HOUR_MS)
    async with asyncio.timeout(60):
        with pytest.raises(
            DeliveryError, match=r"refuses 3 records of .*, dated up to 20.* in Shanghai.*set the clocks"
        ):
            await queue.delivered()
        with pytest.raises(DeliveryError, match="set the clocks"):
            publisher.check()
        with pytest.raises(DeliveryError, match="set the clocks"):
            await publisher.stop()
    assert publisher.rebuilt == 0
    assert await values(bootstrap, declared.name) == [b"right"]


async def test_what_is_made_of_a_tick_may_be_dated_ahead_of_the_broker(bootstrap: str) -> None:
    """A usable tick was received up to an hour after its date, which is up to an hour ahead: no job ends over it."""
    # As declared, under names of the test's own.
    own = {(name := f"dated.{one.name}.{uuid.uuid4().hex}"): replace(one, name=name) for one in topics().values()}
    await admin.apply(bootstrap, own)
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start()
    ahead = time.time_ns() // 1_000_000 + 2 * HOUR_MS - 60_000
    async with asyncio.timeout(60):
        for name in sorted(own, key=lambda name: TICKS in name):  # the ticks are the last
            publisher.queue(name, 0).add(b"key", b"", ahead)
            if TICKS not in name:
                await publisher.queue(name, 0).delivered()
        with pytest.raises(DeliveryError, match=TICKS):
            await publisher.stop()

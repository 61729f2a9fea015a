"""What becomes of a batch that the broker refuses: decided by its code, in one table, and the same by every way."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, for_code

from broker import admin
from broker.publisher import DeliveryError, Publisher
from broker.refusals import REFUSALS, Verdict, pause, refusal_of
from schemas.topics import Topic

HEALS = {5, 6, 7, 8, 9, 13, 19, 20, 45, 47, 49, 56, 59, 74, 75, 90, 100, 103}
"""Kafka's own producer sends these again, or begins a new sequence."""
OF_AN_OPERATOR = {-1, 2, 3, 29, 31, 44, 53, 89}
NEVER = {10, 17, 18, 21, 32, 35, 42, 43, 76, 87}


def declared(**config: str) -> Topic:
    """A topic of a test's own."""
    return Topic(f"refused-{uuid.uuid4().hex}", "none", "none", "test", 1, 1, {"cleanup.policy": "delete", **config})


@pytest.mark.parametrize("code", [-2, *REFUSALS])
def test_each_code_has_its_verdict(code: int) -> None:
    """As Kafka's documentation says of it; one that nobody knows may heal. aiokafka's error of it keeps its code."""
    refusal = refusal_of(for_code(code)())
    assert refusal is not None
    expected = {**dict.fromkeys(HEALS, Verdict.AGAIN), **dict.fromkeys(NEVER, Verdict.NEVER)}
    assert refusal.verdict is expected.get(code, Verdict.LATER)
    assert bool(refusal.words) == (refusal.verdict is not Verdict.AGAIN)
    assert REFUSALS.keys() == HEALS | OF_AN_OPERATOR | NEVER


def test_what_is_no_refusal_has_no_verdict() -> None:
    """A connection that broke, a cancellation: the batch is sent again."""
    assert refusal_of(KafkaConnectionError("gone")) is None
    assert refusal_of(None) is None


def test_pauses_grow_up_to_a_bound() -> None:
    """From a second to half a minute."""
    pauses = [pause(refused) for refused in range(1, 50)]
    assert pauses[0] == 1.0
    assert pauses[-1] == 30.0
    assert all(before <= after for before, after in itertools.pairwise(pauses))


@pytest.mark.parametrize("code", [-2, *REFUSALS])
async def test_the_publisher_does_as_the_table_says(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """It ends, or it makes its client anew, at once or after a pause of that topic's partitions, which is said."""
    publisher = Publisher("127.0.0.1:1", client_id="test")
    queue, sibling, other = (publisher.queue(topic, n) for topic, n in (("a", 0), ("a", 1), ("b", 0)))
    queue.add(None, b"1", 1)
    refusal = refusal_of(for_code(code)())
    assert refusal is not None
    publisher._turned_down(queue, for_code(code)())
    match refusal.verdict:
        case Verdict.NEVER:
            with pytest.raises(DeliveryError, match=refusal.name):
                publisher.check()
            with pytest.raises(DeliveryError, match=refusal.name):
                await queue.delivered()
            assert publisher._broken is None
        case Verdict.LATER:
            assert "are sent again in 1 s" in caplog.text
            assert queue.resting > 0
            assert sibling.resting > 0
        case Verdict.AGAIN:
            assert queue.resting <= 0
    if refusal.verdict is not Verdict.NEVER:
        publisher.check()
        assert publisher._broken
    assert other.resting <= 0


@pytest.mark.parametrize(
    ("config", "key", "size", "said"),
    [
        ({"cleanup.policy": "compact"}, None, 10, r"as invalid.*without a key.*INVALID_RECORD"),
        ({"max.message.bytes": "1000"}, b"key", 5_000, r"topics apply` sets its max.message.bytes"),
    ],
)
async def test_what_never_heals_ends_the_publisher_in_plain_words(
    bootstrap: str, config: dict[str, str], key: bytes | None, size: int, said: str
) -> None:
    """Nothing is sent again: on a connection's first batch, which aiokafka sends, and on a later one."""
    for later in (False, True):
        topic, other = declared(**config), declared()
        await admin.apply(bootstrap, {topic.name: topic, other.name: other})
        publisher = Publisher(bootstrap, client_id="test")
        await publisher.start(topic.name)
        queue = publisher.queue(topic.name, 0)
        async with asyncio.timeout(60):
            if later:
                queue.add(b"key", b"right", 1)
                await queue.delivered()
            queue.add(key, b"x" * size, 2)
            with pytest.raises(DeliveryError, match=rf"refuses 1 records of {topic.name}.*{said}"):
                await queue.delivered()
            with pytest.raises(DeliveryError, match="refuses"):
                await publisher.stop()
        assert publisher.rebuilt == 0


async def test_what_somebody_may_mend_is_sent_again_and_said(bootstrap: str, caplog: pytest.LogCaptureFixture) -> None:
    """A topic that was deleted: the others' records go on meanwhile; when it is there again, so do its own."""
    topic, other = declared(), declared()
    await admin.apply(bootstrap, {topic.name: topic, other.name: other})
    publisher = Publisher(bootstrap, client_id="test", deadline=2.0)
    await publisher.start()
    gone, there = publisher.queue(topic.name, 0), publisher.queue(other.name, 0)
    async with asyncio.timeout(90):
        for queue in (gone, there):
            queue.add(None, b"1", 1)
            await queue.delivered()
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await client.start()
        await client.delete_topics([topic.name])
        await client.close()
        gone.add(None, b"2", 2)
        while "UNKNOWN_TOPIC_OR_PARTITION" not in caplog.text:
            there.add(None, b"2", 2)
            await there.delivered()
            await asyncio.sleep(0.1)
        assert f"records of {topic.name}" in caplog.text
        assert "`ashare topics apply` makes it" in caplog.text
        await admin.apply(bootstrap, {topic.name: topic})
        await gone.delivered()
        await publisher.stop()


async def test_a_user_without_the_right_is_waited_for(bootstrap: str, caplog: pytest.LogCaptureFixture) -> None:
    """With growing pauses, in which nothing of the partition leaves; the rest is sent again at once."""
    topic = declared()
    await admin.apply(bootstrap, {topic.name: topic})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start()
    queue = publisher.queue(topic.name, 0)
    queue.add(None, b"1", 1)
    sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    sent.set_exception(for_code(29)(topic.name))
    publisher._completed(publisher._generation, queue, sent)
    async with asyncio.timeout(60):
        queue.add(None, b"2", 2)
        await queue.delivered()
        await publisher.stop()
    assert "grant WRITE on it (TOPIC_AUTHORIZATION_FAILED); they are sent again in 1 s" in caplog.text
    assert publisher.rebuilt == 1

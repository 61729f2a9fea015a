"""The broker refuses what an earlier owner of a partition still sends, and takes all that the next one does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest

from broker import admin, fencing
from broker.errors import FencedError
from broker.identity import Identity
from broker.mode import DIRECT, PLAIN, VARIABLE
from broker.publisher import PartitionQueue, Publisher
from deploy.embedded import KafkaBroker
from schemas.topics import Topic
from tests.broker.conftest import Topics
from tests.broker.test_abandoning import until
from tests.broker.test_producing import records
from tests.processors.rebalance.gate import GatedBroker

pytestmark = pytest.mark.timeout(120)
modes = pytest.mark.parametrize("mode", [DIRECT, PLAIN])


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedBroker]:
    """A broker whose produce requests can be held back on their way."""
    made = GatedBroker(tmp_path_factory.mktemp("kafka"))
    try:
        made.start()
        yield made
    finally:
        made.gate.close()
        made.stop()


@pytest.fixture
def bootstrap(gated: GatedBroker) -> str:
    """The way to it that nothing holds back."""
    return gated.bootstrap


@contextlib.asynccontextmanager
async def publisher(bootstrap: str) -> AsyncIterator[Publisher]:
    """One that is started, and ends without what it still holds."""
    made = Publisher(bootstrap, client_id="test")
    await made.start()
    try:
        yield made
    finally:
        made.abandon()
        await made.stop()


async def owned(made: Publisher, *places: tuple[str, int]) -> list[PartitionQueue]:
    """The queues of partitions that the publisher has taken over."""
    queues = [made.queue(*place) for place in places]
    await made.fences.take_over(queues, "test", lambda: True)
    return queues


async def deliver(queue: PartitionQueue, *values: bytes) -> None:
    """Send values, each in a batch of its own."""
    for value in values:
        queue.add(b"key", value, 1)
        await queue.delivered()


@modes
async def test_what_an_earlier_owner_had_on_its_way_is_refused_and_so_is_what_it_sends_later(
    gated: GatedBroker, new_topics: Topics, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """It leaves nothing in the log, whoever waits for it learns why, and the publisher's other queues go on."""
    monkeypatch.setenv(VARIABLE, mode)
    topic, other = await new_topics(2)
    async with publisher(gated.gated) as old, publisher(gated.bootstrap) as new:
        [mine] = await owned(old, (topic, 0))
        await deliver(mine, b"0", b"1")
        gated.gate.hold("produces")
        try:
            mine.add(b"key", b"late", 1)
            late = asyncio.ensure_future(mine.delivered())
            await until(lambda: mine.in_flight)
            await asyncio.sleep(0.2)
            mine.add(b"key", b"behind it", 1)
            [theirs] = await owned(new, (topic, 0))
            await deliver(theirs, b"2")
        finally:
            gated.gate.hold()
        with pytest.raises(FencedError):
            await late
        mine.add(b"key", b"later", 1)
        with pytest.raises(FencedError):
            await mine.delivered()
        await deliver(old.queue(other, 0), b"of no owner")
        await deliver(theirs, b"3")
        await asyncio.sleep(0.2)
        assert old.rebuilt == new.rebuilt == 0
        assert old.unacknowledged_bytes == 0
    assert await records(gated.bootstrap, topic) == [b"0", b"1", b"2", b"3"]
    assert await records(gated.bootstrap, other) == [b"of no owner"]


async def test_an_earlier_owner_that_stood_still_is_refused(bootstrap: str, new_topics: Topics) -> None:
    """Nothing of it was on its way when the next owner came; it sends afterwards, with no other word of it."""
    [topic] = await new_topics()
    async with publisher(bootstrap) as old, publisher(bootstrap) as new:
        [mine] = await owned(old, (topic, 0))
        [theirs] = await owned(new, (topic, 0))
        mine.add(b"key", b"late", 1)
        with pytest.raises(FencedError):
            await mine.delivered()
        await deliver(theirs, b"0")
    assert await records(bootstrap, topic) == [b"0"]


@modes
async def test_owners_one_after_the_other_lose_and_reorder_nothing(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """In many batches, of several partitions at once, by two processes in turn and by one twice running."""
    monkeypatch.setenv(VARIABLE, mode)
    [topic] = await new_topics(partitions=4)
    places = [(topic, number) for number in range(4)]
    sent: list[bytes] = []
    async with publisher(bootstrap) as first, publisher(bootstrap) as second:
        for made in (first, second, second, first):
            queues = await owned(made, *places)
            for _ in range(20):
                some = [b"%d" % n for n in range(len(sent), len(sent) + 50)]
                sent += some
                for queue in queues:
                    for value in some:
                        queue.add(b"key", value, 1)
                await asyncio.sleep(0.005)
            await made.flush()
        assert first.rebuilt == second.rebuilt == 0
    assert await records(bootstrap, topic) == sent


@modes
async def test_a_client_that_is_made_anew_keeps_what_it_owns(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A batch that was lost on its way is sent again, once, under a new epoch; what waits follows it."""
    monkeypatch.setenv(VARIABLE, mode)
    [topic] = await new_topics()
    async with publisher(bootstrap) as made:
        [queue] = await owned(made, (topic, 0))
        await deliver(queue, b"0", b"1")
        lose(made, monkeypatch)
        for value in (b"2", b"3"):
            queue.add(b"key", value, 1)
            await asyncio.sleep(0.1)
        assert len(queue.in_flight) == 1
        made._break("a test")
        await queue.delivered()
        await deliver(queue, b"4")
        assert made.rebuilt == 1
    assert await records(bootstrap, topic) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_client_that_is_made_anew_does_not_take_back_what_another_owns(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new epoch would have to follow the one that it had."""
    [topic] = await new_topics()
    async with publisher(bootstrap) as old, publisher(bootstrap) as new:
        [mine] = await owned(old, (topic, 0))
        await deliver(mine, b"0")
        lose(old, monkeypatch)
        mine.add(b"key", b"late", 1)
        await until(lambda: mine.in_flight)
        [theirs] = await owned(new, (topic, 0))
        old._break("a test")
        with pytest.raises(FencedError):
            await mine.delivered()
        assert old.rebuilt == 1
        await deliver(theirs, b"1")
    assert await records(bootstrap, topic) == [b"0", b"1"]


def lose(made: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the publisher's client writes from here on is lost."""
    assert made.client is not None
    for connection in list(made.client._conns.values()):
        monkeypatch.setattr(connection._writer, "write", lambda _data: None)


async def test_an_identity_that_is_kept_goes_on_in_its_count(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markers that come in between change neither epoch nor sequence."""
    monkeypatch.setattr(fencing, "KEEP_SECONDS", 0.05)
    [topic] = await new_topics()
    async with publisher(bootstrap) as made:
        [queue] = await owned(made, (topic, 0))
        assert queue.identity is not None
        epoch = queue.identity.epoch
        sent = [b"%d" % n for n in range(50)]
        for value in sent:
            await deliver(queue, value)
            await asyncio.sleep(0.01)
        assert queue.identity.epoch == epoch
        assert made.rebuilt == 0
    assert await records(bootstrap, topic) == sent


async def test_a_takeover_that_was_killed_half_way_holds_up_nobody(bootstrap: str, new_topics: Topics) -> None:
    """The transaction that it left open is ended by the next."""
    [topic] = await new_topics()
    async with publisher(bootstrap) as killed, publisher(bootstrap) as made:
        half = Identity(f"test-{topic}-0")
        await killed.fences._init(half)
        await killed.fences._asked(
            half.transactional_id,
            lambda: AddPartitionsToTxnRequest(half.transactional_id, half.producer_id, half.epoch, [(topic, [0])]),
            fencing._codes,
        )
        async with asyncio.timeout(5.0):
            [queue] = await owned(made, (topic, 0))
        await deliver(queue, b"0")
    assert await records(bootstrap, topic) == [b"0"]


async def test_a_process_that_owns_a_partition_no_longer_takes_nothing_over(bootstrap: str, new_topics: Topics) -> None:
    """Its owner goes on."""
    [topic] = await new_topics()
    async with publisher(bootstrap) as owner, publisher(bootstrap) as other:
        [queue] = await owned(owner, (topic, 0))
        with pytest.raises(FencedError):
            await other.fences.take_over([other.queue(topic, 0)], "test", lambda: False)
        await deliver(queue, b"0")
    assert await records(bootstrap, topic) == [b"0"]


async def test_where_the_broker_cannot_fence_a_warning_says_why_and_records_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is alone and is to keep three copies of its transactions' state, or this user may not use the id."""

    class Alone(KafkaBroker):
        """Set up as if there were three."""

        extra = {  # noqa: RUF012 - as in its base
            **KafkaBroker.extra,
            "transaction.state.log.replication.factor": "3",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
        }

    monkeypatch.setattr(fencing, "COORDINATOR_SECONDS", 1.0)
    with Alone(tmp_path) as broker:
        await make_topic(broker.bootstrap, "alone")
        async with publisher(broker.bootstrap) as made:
            for turn, words in enumerate(("transaction.state.log.replication.factor", "grant WRITE and DESCRIBE")):
                caplog.clear()
                [queue] = await owned(made, ("alone", 0))
                assert [record.levelname for record in caplog.records if words in record.getMessage()] == ["WARNING"]
                assert not made.fences.available
                await deliver(queue, b"%d" % turn)
                await let_another_alone_use(made, "test-alone-0")
        assert await records(broker.bootstrap, "alone") == [b"0", b"1"]


async def let_another_alone_use(made: Publisher, transactional_id: str) -> None:
    """Grant a transactional id to another user, and so to nobody else."""
    assert made.client is not None
    any_host, identifier, literal, write, allow = "*", 5, 3, 4, 3
    request = CreateAclsRequest(identifier, transactional_id, literal, "User:another", any_host, write, allow)
    answer = await made.client.send(1, request)
    assert answer.creation_responses[0][0] == 0
    await asyncio.sleep(1.0)  # it is in force when the broker has heard of it from its controller


async def make_topic(bootstrap: str, name: str) -> None:
    """Make a topic of one partition."""
    await admin.apply(bootstrap, {name: Topic(name, "none", "none", "test", 1, 1, {"cleanup.policy": "delete"})})

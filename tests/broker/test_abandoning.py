"""A publisher that may not send holds what it has, and what is abandoned never leaves, nor is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from broker import publisher
from broker.errors import BrokerError
from broker.mode import DIRECT, PLAIN, VARIABLE
from broker.publisher import AbandonedError, Publisher
from tests.broker.conftest import Topics
from tests.broker.test_producing import records


class Requests:
    """Stands for ``broker.producing``: keeps what would leave."""

    def __init__(self, _client: Any, completed: Callable[[Any, Any], None]) -> None:
        """Nothing was sent yet."""
        self.busy: set[int] = set()
        self.sent: list[list[tuple[Any, list[bytes | None]]]] = []
        self.closed = False
        self._completed = completed

    def node(self, _place: Any) -> int:
        """One node leads everything."""
        return 0

    def send(self, _node: int, boarded: list[tuple[Any, Any]]) -> None:
        """Keep the values that each place has in flight."""
        self.sent.append([(place, [value for _, value, *_ in place._in_flight]) for place, _ in boarded])

    def acknowledge(self) -> None:
        """Answer the oldest request."""
        for place, _ in self.sent.pop(0):
            self._completed(place, None)

    def close(self) -> None:
        """Nothing is awaited any more."""
        self.closed = True


class Client:
    """As much of an aiokafka producer as a publisher needs that sends by ``Requests``."""

    class client:  # noqa: N801 - as aiokafka calls it
        """Its client."""

        _conns: dict[Any, Any] = {}  # noqa: RUF012 - never filled

        class cluster:  # noqa: N801 - as aiokafka calls it
            """What it knows of the cluster."""

            @staticmethod
            def partitions_for_topic(_topic: str) -> set[int]:
                """Every topic is there."""
                return {0}

        @staticmethod
        async def send(*_: Any, **__: Any) -> None:
            """Sends nothing."""

    def __init__(self, **_: Any) -> None:
        """It takes whatever settings."""

    async def start(self) -> None:
        """Connects to nothing."""

    def create_batch(self) -> BatchBuilder:
        """A real one."""
        return BatchBuilder(1 << 20, 0)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Requests]:
    """The requests of each client that a publisher makes, no broker behind them."""
    made: list[Requests] = []

    def make(client: Any, completed: Any) -> Requests:
        made.append(Requests(client, completed))
        return made[-1]

    async def discard(_client: Any) -> None: ...

    monkeypatch.setattr(publisher, "AIOKafkaProducer", Client)
    monkeypatch.setattr(publisher, "Producing", make)
    monkeypatch.setattr(publisher, "discard", discard)
    monkeypatch.setattr(publisher, "ended", lambda _client: None)
    return made


async def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_nothing_leaves_while_sending_is_not_allowed(requests: list[Requests]) -> None:
    """Neither what waits nor what would follow a batch in flight; all of it leaves when it is allowed again."""
    allowed = True
    out = Publisher("nowhere:1", client_id="test", may_send=lambda: allowed)
    await out.start()
    queue = out.queue("t", 0)
    queue.add(None, b"1", 1)
    await until(lambda: requests[0].sent)
    allowed = False
    queue.add(None, b"2", 1)
    out.queue("t", 1).add(None, b"3", 1)
    requests[0].acknowledge()
    await asyncio.sleep(0.2)
    assert requests[0].sent == []
    allowed = True
    await until(lambda: requests[0].sent)
    assert sorted(values for _, values in requests[0].sent[0]) == [[b"2"], [b"3"]]
    requests[0].acknowledge()
    await out.stop()


async def test_a_client_that_is_made_anew_sends_nothing_again_while_it_may_not(requests: list[Requests]) -> None:
    """A batch whose answer stayed away for the deadline is held like any other."""
    allowed = True
    out = Publisher("nowhere:1", client_id="test", deadline=0.1, may_send=lambda: allowed)
    await out.start()
    queue = out.queue("t", 0)
    queue.add(None, b"1", 1)
    await until(lambda: requests[0].sent)
    allowed = False
    await until(lambda: len(requests) == 2)
    await asyncio.sleep(0.2)
    assert requests[1].sent == []
    assert queue.unacknowledged == 1
    allowed = True
    await until(lambda: requests[1].sent)
    requests[1].acknowledge()
    await out.stop()


async def test_what_is_abandoned_is_gone_and_what_comes_after_is_sent(requests: list[Requests]) -> None:
    """In all partitions, in flight or waiting; a late answer to it counts for nothing."""
    out = Publisher("nowhere:1", client_id="test", limit_bytes=1)
    await out.start()
    first, second = out.queue("t", 0), out.queue("t", 1)
    first.add(None, b"in flight", 1)
    await until(lambda: requests[0].sent)
    first.add(None, b"behind it", 1)
    second.add(None, b"waits", 1)
    waiting = [asyncio.ensure_future(some) for some in (first.delivered(), second.delivered(), out.flush(), out.room())]
    await asyncio.sleep(0)
    before = first.added

    assert out.abandon() == 3
    assert out.unacknowledged_bytes == first.unacknowledged == second.unacknowledged == 0
    assert requests[0].closed
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, AbandonedError)
        assert isinstance(outcome, BrokerError)
    with pytest.raises(AbandonedError):
        await first.delivered(before)
    await first.delivered()  # nothing was added since

    first.add(None, b"after", 1)
    requests[0].acknowledge()
    assert first.unacknowledged == 1
    await until(lambda: len(requests) == 2 and requests[1].sent)
    assert requests[1].sent == [[(first, [b"after"])]]
    requests[1].acknowledge()
    await first.delivered(first.added)
    assert out.acknowledged == 1
    await out.stop()


async def test_abandoning_what_only_waits_keeps_the_client(requests: list[Requests]) -> None:
    """Nothing has left that could be sent again."""
    allowed = False
    out = Publisher("nowhere:1", client_id="test", may_send=lambda: allowed)
    await out.start()
    queue = out.queue("t", 0)
    queue.add(None, b"1", 1)
    await asyncio.sleep(0.1)
    out.abandon()
    allowed = True
    queue.add(None, b"2", 1)
    await until(lambda: requests[0].sent)
    assert requests[0].sent == [[(queue, [b"2"])]]
    requests[0].acknowledge()
    await out.stop()
    assert len(requests) == 1


@pytest.mark.parametrize("mode", [DIRECT, PLAIN])
@pytest.mark.parametrize("abandoned", [True, False])
async def test_a_batch_that_was_lost_on_its_way_is_not_sent_again_behind_a_closed_gate(
    bootstrap: str, new_topics: Topics, monkeypatch: pytest.MonkeyPatch, *, abandoned: bool, mode: str
) -> None:
    """On a real broker: aiokafka's own retry is held, and after ``abandon`` only what was added since arrives."""
    [topic] = await new_topics()
    monkeypatch.setenv(VARIABLE, mode)
    allowed = True
    out = Publisher(bootstrap, client_id="test", may_send=lambda: allowed)
    await out.start(topic)
    try:
        queue = out.queue(topic, 0)
        queue.add(None, b"0", 1)
        await queue.delivered()
        client = out._client
        assert client is not None
        # From here on what is written is lost.
        for connection in list(client.client._conns.values()):
            monkeypatch.setattr(connection._writer, "write", lambda _data: None)
        queue.add(None, b"1", 1)
        await until(lambda: queue.in_flight_since is not None)
        await asyncio.sleep(0.05)
        allowed = False
        for connection in list(client.client._conns.values()):
            connection.close()
        queue.add(None, b"2", 1)
        await asyncio.sleep(0.5)
        assert await records(bootstrap, topic) == [b"0"]
        if abandoned:
            assert out.abandon() == 2
        allowed = True
        queue.add(None, b"3", 1)
        await queue.delivered()
        await asyncio.sleep(0.3)
        assert await records(bootstrap, topic) == ([b"0", b"3"] if abandoned else [b"0", b"1", b"2", b"3"])
        assert out.rebuilt == (1 if abandoned else 0)
    finally:
        await out.stop()

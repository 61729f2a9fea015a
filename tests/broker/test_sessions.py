"""A broker that wants a new login every few seconds: nothing is lost or doubled by that, and nobody is alarmed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from broker import admin, boundary, security
from broker.fetching import Fetching
from broker.mode import DIRECT, PLAIN, VARIABLE
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from schemas.topics import Topic

pytestmark = pytest.mark.timeout(240)
SESSION_SECONDS, SECONDS = 6.0, 14.0
MARGIN = 0.5
"""A loop that stands still for longer may miss the end of a session, and is then cut: that is told as what it is."""


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaBroker]:
    """With logins over TLS that hold for seconds."""

    class Broker(KafkaBroker):
        """With short sessions."""

        extra = {  # noqa: RUF012 - as in its base
            **KafkaBroker.extra,
            "listener.name.clients.scram-sha-512.connections.max.reauth.ms": str(int(SESSION_SECONDS * 1000)),
        }

    with Broker(tmp_path / "kafka", secure=True) as made:
        assert made.secrets is not None
        monkeypatch.setenv(security.SECURITY, "sasl-tls")
        monkeypatch.setenv(security.USER, "admin")
        monkeypatch.setenv(f"{security.PASSWORD}_FILE", str(made.secrets.password_file("admin")))
        monkeypatch.setenv(security.CA, str(made.secrets.ca))
        yield made


class Way:
    """A publisher and a member of a group, by one of the two clients."""

    def __init__(self, bootstrap: str, mode: str) -> None:
        """Nothing connects."""
        self.topic = f"sessions-{mode}"
        self.sent = 0
        self.found: list[int] = []
        self.publisher = Publisher(bootstrap, client_id=mode)
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=mode,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **security.options(),
        )

    async def start(self) -> None:
        """Connect and join."""
        await self.publisher.start(self.topic)
        await self.consumer.start()
        self.consumer.subscribe([self.topic])
        self.fetching = Fetching(self.consumer._fetcher, lambda: 100)
        while not self.consumer.assignment():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.05)

    async def read(self) -> None:
        """For ever, and commit."""
        while True:
            came = await self.consumer.getmany(timeout_ms=200)
            self.fetching.ask()
            for records in came.values():
                self.found += [int(record.value) for record in records]
            if came:
                await self.consumer.commit()

    async def write(self) -> None:
        """Some seconds long."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self.publisher.queue(self.topic, self.sent % 3).add(None, b"%d" % self.sent, 1)
            self.sent += 1
            await asyncio.sleep(0.02)
        await self.publisher.flush()


async def _stalls(longest: list[float]) -> None:
    """Keep the longest time that the loop stood still."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest[0] = max(longest[0], time.monotonic() - before)


async def test_sessions_that_end_lose_nothing_and_alarm_nobody(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections are made anew before the broker cuts them; with either client."""
    made: list[boundary.Connection] = []
    connect = boundary.Connection.connect

    async def counted(self: boundary.Connection) -> object:
        made.append(self)
        return await connect(self)

    monkeypatch.setattr(boundary.Connection, "connect", counted)
    names = ("sessions-direct", "sessions-plain")
    await admin.apply(broker.bootstrap, {n: Topic(n, "k", "r", "a", 3, 1, {"cleanup.policy": "delete"}) for n in names})
    ways = []
    for mode in (DIRECT, PLAIN):
        monkeypatch.setenv(VARIABLE, mode)
        ways.append(Way(broker.bootstrap, mode))
        await ways[-1].start()
    first, longest = len(made), [0.0]
    caplog.set_level(logging.WARNING)
    caplog.clear()
    beside = [asyncio.create_task(one) for one in (*(way.read() for way in ways), _stalls(longest))]
    try:
        async with asyncio.timeout(120):
            await asyncio.gather(*(way.write() for way in ways))
            while any(len(way.found) < way.sent for way in ways):
                assert not any(task.done() for task in beside)
                await asyncio.sleep(0.05)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        for way in ways:
            await way.publisher.stop()
            await way.consumer.stop()
    for way in ways:
        assert sorted(way.found) == list(range(way.sent))
        assert way.publisher.rebuilt == 0
    assert len(made) - first >= 2 * len(ways), "connections were made anew"
    if longest[0] < MARGIN:
        assert [record.getMessage() for record in caplog.records] == []

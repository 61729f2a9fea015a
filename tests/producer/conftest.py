"""A server that speaks the post's protocol and nothing more, and what Kafka holds of one line."""

from __future__ import annotations

import asyncio
import contextlib
import http
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from schemas import DeadLetter, FeedEvent, Tick, decode
from schemas.dead_letters import from_kafka
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS, partition_of, topics

Act = Callable[[ServerConnection], Awaitable[None]]


class PostServer:
    """Accepts, reads one subscription, and does the next of its acts; the last act serves all later connections."""

    def __init__(self, *acts: Act, token: str | None = None, statuses: tuple[int, ...] = ()) -> None:
        """Refuse handshakes without the token; answer the first with ``statuses`` instead."""
        self.requests: list[Any] = []
        self.paths: list[str] = []
        self._acts = acts
        self._token = token
        self._statuses = list(statuses)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._check, max_size=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        if self._statuses:
            response = connection.respond(self._statuses.pop(0), "later\n")
            response.headers["Retry-After"] = "0"
            return response
        if self._token is not None and f"token={self._token}" not in request.path:
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong token\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            self.requests.append(orjson.loads(await connection.recv()))
            await self._acts[min(len(self.requests), len(self._acts)) - 1](connection)


def frame(*ticks: dict[str, Any] | bytes) -> str:
    """A text frame of ticks, given as objects or as raw JSON."""
    return (
        '{"ticks":[' + ",".join(t.decode() if isinstance(t, bytes) else orjson.dumps(t).decode() for t in ticks) + "]}"
    )


async def stay(connection: ServerConnection) -> None:
    """Keep the connection open until the client ends it."""
    await connection.wait_closed()


@dataclass
class Held:
    """What Kafka holds of one source."""

    ticks: list[Tick] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    events: list[FeedEvent] = field(default_factory=list)
    last: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def happenings(self) -> list[str]:
        """The kinds of the events, in order."""
        return [event.event for event in self.events]


async def _held(bootstrap: str, source: str) -> Held:
    held = Held()
    places = [TopicPartition(t, p) for t in (TICKS, DEAD_LETTERS, FEED_EVENTS) for p in range(topics()[t].partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=20 << 20
    )
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for _ in range(1_000):
            if all([await consumer.position(place) >= ends[place] for place in places]):
                break
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    _sort(held, place, record, source)
    finally:
        await consumer.stop()
    held.ticks.sort(key=lambda tick: tick.n)
    return held


def _sort(held: Held, place: TopicPartition, record: Any, source: str) -> None:
    if place.topic == DEAD_LETTERS:
        letter = from_kafka(record.value, record.headers)
        if letter.source == source:
            held.letters.append(letter)
    elif place.topic == FEED_EVENTS:
        event = decode(FeedEvent, record.value)
        if event.source == source:
            assert record.key == source.encode()
            held.events.append(event)
    else:
        tick = decode(Tick, record.value)
        if tick.source == source:
            assert record.key == tick.code.encode()
            assert place.partition == partition_of(tick.code, topics()[TICKS].partitions)
            assert record.timestamp == tick.received // 1000
            assert held.last.get(tick.code, (0, 0)) < (tick.run, tick.n), "order within a code"
            held.last[tick.code] = tick.run, tick.n
            held.ticks.append(tick)


@pytest.fixture
def source() -> str:
    """A line id of the test's own, since tests share the broker."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def held(bootstrap: str, source: str) -> Callable[..., Awaitable[Held]]:
    """Reads what Kafka holds of the test's line now, or of another, ticks by number."""
    return lambda line=source: _held(bootstrap, line)


@pytest.fixture
def post() -> Any:
    """The protocol's helpers: ``post.Server``, ``post.frame``, ``post.stay``, ``post.until``."""

    class Post:
        Server = PostServer
        frame = staticmethod(frame)
        stay = staticmethod(stay)
        until = staticmethod(until)

    return Post


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition of this process, at most so long."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about in time")

"""Whatever a frame, an answer or a connection brings into Kafka waits for room: memory is bounded with Kafka away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from broker.publisher import Publisher
from producer.feeds import provider
from producer.feeds.decoded import Decoded, Frame
from producer.feeds.provider import Options
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.effects import DeadLetters, Effect
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.line.protocol import LineProtocol
from producer.pipeline.events import Events
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Pipeline
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS

NOON = 1_795_138_201_000
LIMIT = 200_000
BEYOND = 600_000
"""What may be beyond the limit when that is noticed: a slice of ticks, or the letters of a frame."""

Pour = Callable[[ServerConnection, Any], Awaitable[None]]


def tick(i: int, **fields: Any) -> dict[str, Any]:
    return {"code": "600519", "price": 10 + i / 100, "time": NOON + i} | fields


async def ticks(server: ServerConnection, post: Any) -> None:
    await server.send(post.frame(*(tick(i) for i in range(50))))


async def unreadable_frames(server: ServerConnection, post: Any) -> None:
    await server.send("no JSON " * 500)


async def unreadable_binary(server: ServerConnection, post: Any) -> None:
    await server.send(b"\x00" * 5_000)


async def unreadable_ticks(server: ServerConnection, post: Any) -> None:
    await server.send(post.frame(*(tick(i, price="?") for i in range(50))))


async def one_bad_tick_in_many(server: ServerConnection, post: Any) -> None:
    await server.send(post.frame(*(tick(i) for i in range(20)), tick(0, code="x")))


async def connections(server: ServerConnection, post: Any) -> None:
    await server.send(post.frame(tick(1)))
    await asyncio.sleep(0.01)
    server.transport.abort()


EVERYTHING = [
    ticks,
    unreadable_frames,
    unreadable_binary,
    unreadable_ticks,
    one_bad_tick_in_many,
    connections,
]


@pytest.mark.parametrize("pour", EVERYTHING)
async def test_with_kafka_away_no_effect_of_a_frame_goes_beyond_the_limit(
    post: Any, pour: Pour, caplog: pytest.LogCaptureFixture
) -> None:
    """And none is lost: when there is room again, the line goes on where it was."""
    caplog.set_level(logging.ERROR)
    sent = 0
    served: list[ServerConnection] = []

    async def act(server: ServerConnection) -> None:
        nonlocal sent
        served.append(server)
        for _ in range(5_000):
            await pour(server, post)
            sent += 1
        await post.stay(server)

    publisher = Publisher("127.0.0.1:1", client_id="nobody", limit_bytes=LIMIT)  # never started: Kafka is away
    feed = provider("post").make(Options())
    pipeline = Pipeline(publisher, Events(publisher, Numbering("post-1", 1)), trades_only=False)
    async with post.Server(act) as server:
        codes = [f"{i}" for i in range(600_000, 600_400)] if pour is connections else None
        line = Line(Endpoint(feed, server.url), codes, pipeline, Pace(backoff=Backoff(0.001, 0.001), heartbeat=0))
        running = asyncio.create_task(line.run(asyncio.Event()))
        for _ in range(3):
            await post.until(lambda: publisher.full and pipeline.counters.held_back > 0, seconds=60)
            before, frames = publisher.unacknowledged_bytes, line.frames
            await asyncio.sleep(0.3)
            assert line.frames == frames
            assert publisher.unacknowledged_bytes - before < 2_000, "but for news of the line, once"
            assert publisher.unacknowledged_bytes <= LIMIT + (BEYOND if pour is ticks else 20_000)
            assert not running.done()
            waits = pipeline.counters.held_back
            for topic in (TICKS, DEAD_LETTERS, FEED_EVENTS):
                for partition in range(12):
                    queue = publisher.queue(topic, partition)
                    assert queue.unacknowledged == len(queue._backlog)
                    queue._backlog.clear()
                    queue._acknowledged = queue._added
            publisher.unacknowledged_bytes = 0
            publisher._drained.set()
            await post.until(lambda waits=waits: pipeline.counters.held_back > waits, seconds=60)
        publisher.unacknowledged_bytes = 0
        publisher._drained.set()
        for connection in served:
            connection.transport.abort()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_decoder_that_fails_costs_the_frame(caplog: pytest.LogCaptureFixture) -> None:
    """It is a dead letter, loudly; the frames after it are read."""
    feed: Any = provider("post").make(Options())

    def decode(frame: Frame) -> Decoded:
        return 1 / 0 if frame.payload[:1] == b"x" else feed.decode(frame)  # type: ignore[return-value]

    line = LineProtocol(Endpoint(feed, "ws://127.0.0.1:1"), None, Pace(), decode=decode)
    effects: list[Effect] = []
    for payload in (b"x" * 2_000, b'{"ticks":[]}'):
        effects += line.receive([Frame(payload, binary=False, received=NOON * 1000)])
    (dead_letters,) = effects
    assert isinstance(dead_letters, DeadLetters)
    assert [letter.payload for letter in dead_letters.letters] == [b"x" * 2_000]
    assert dead_letters.letters[0].reason.startswith("decoder: ZeroDivisionError")
    assert "the decoder failed over a frame of 2000 bytes" in caplog.text

"""Whatever a frame, an answer or a connection brings into Kafka waits for room: memory is bounded with Kafka away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from broker.publisher import Publisher
from producer.backoff import Backoff
from producer.feeds import provider
from producer.feeds.decoded import Frame
from producer.feeds.provider import Options
from producer.intake import Intake
from producer.line import Line
from producer.numbering import Numbering
from producer.outlet import Single
from producer.speaking import Pace
from producer.upstream import Upstream
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
    intake = Intake(publisher, Numbering("post-1", 1), feed, trades_only=False)
    async with post.Server(act) as server:
        codes = [f"{i}" for i in range(600_000, 600_400)] if pour is connections else None
        line = Line(Upstream(feed, server.url), codes, Single(intake), Pace(backoff=Backoff(0.001, 0.001), heartbeat=0))
        running = asyncio.create_task(line.run(asyncio.Event()))
        for _ in range(3):
            await post.until(lambda: publisher.full and intake.counters.held_back > 0, seconds=60)
            before, frames = publisher.unacknowledged_bytes, intake.counters.frames
            await asyncio.sleep(0.3)
            assert intake.counters.frames == frames
            assert publisher.unacknowledged_bytes - before < 2_000, "but for news of the line, once"
            assert publisher.unacknowledged_bytes <= LIMIT + (BEYOND if pour is ticks else 20_000)
            assert not running.done()
            waits = intake.counters.held_back
            for topic in (TICKS, DEAD_LETTERS, FEED_EVENTS):
                for partition in range(12):
                    queue = publisher.queue(topic, partition)
                    assert queue.unacknowledged == len(queue._backlog)
                    queue._backlog.clear()
                    queue._acknowledged = queue._added
            publisher.unacknowledged_bytes = 0
            publisher._drained.set()
            await post.until(lambda waits=waits: intake.counters.held_back > waits, seconds=60)
        publisher.unacknowledged_bytes = 0
        publisher._drained.set()
        for connection in served:
            connection.transport.abort()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_decoder_that_fails_costs_the_frame(caplog: pytest.LogCaptureFixture) -> None:
    """It is a dead letter, loudly; the frames after it are read."""
    publisher = Publisher("127.0.0.1:1", client_id="nobody")
    feed: Any = provider("post").make(Options())
    real, feed.decode = feed.decode, lambda _: 1 / 0
    intake = Intake(publisher, Numbering("post-1", 1), feed, trades_only=False)
    for payload in (b"x" * 2_000, b'{"ticks":[]}'):
        await intake.take(Frame(payload, binary=False, received=NOON * 1000))
        feed.decode = real
    assert publisher.queue(DEAD_LETTERS, 0).unacknowledged == 1
    assert "the decoder failed over a frame of 2000 bytes" in caplog.text
    assert intake.counters.causes == {"decoder": 1}

"""One line against a server of the post's protocol that is not the simulator, into a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection

from broker.publisher import Publisher
from producer.feeds import provider
from producer.feeds.provider import Options
from producer.line.backoff import Backoff
from producer.line.connection import MAX_MESSAGE_BYTES
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.pipeline.events import Events
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Pipeline
from producer.watchlist import symbols
from schemas import UsageError

RUN = 1_795_138_000_000
NOON = 1_795_138_201_000


class Producer:
    """A line with its pipeline on a publisher, running in this process until stopped."""

    def __init__(self, publisher: Publisher, source: str, url: str, asked: str, **options: Any) -> None:
        """Start at once."""
        trades_only = options.pop("trades_only", False)
        given = symbols.read(asked)
        feed = provider("post").make(Options(trades_only=trades_only, as_string=isinstance(given, str)))
        self.pipeline = Pipeline(publisher, Events(publisher, Numbering(source, RUN)), trades_only=trades_only)
        self.stop = asyncio.Event()
        self.line = Line(
            Endpoint(feed, url, options.pop("token", None)),
            symbols.codes(given),
            self.pipeline,
            Pace(backoff=Backoff(0.01, 0.05), **options),
        )
        self.running = asyncio.create_task(self.line.run(self.stop))
        self._publisher = publisher

    async def finish(self) -> None:
        """Tell it to stop, and wait until Kafka has everything."""
        self.stop.set()
        await asyncio.wait_for(self.running, 20)
        await self._publisher.flush()


@pytest.fixture
async def start(bootstrap: str, source: str) -> AsyncIterator[Callable[..., Producer]]:
    """Starts the test's producer; what it left running is ended."""
    publisher = Publisher(bootstrap, client_id=source)
    await publisher.start()
    made: list[Producer] = []

    def begin(url: str, asked: str = "*", **options: Any) -> Producer:
        made.append(Producer(publisher, source, url, asked, **options))
        return made[-1]

    yield begin
    for producer in made:
        producer.running.cancel()
        await asyncio.gather(producer.running, return_exceptions=True)
    await publisher.stop()


def tick(code: str, i: int, **fields: Any) -> dict[str, Any]:
    return {"code": code, "price": 10 + i / 100, "time": NOON + i} | fields


async def test_good_ticks_among_bad_frames_arrive_in_order(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """Every bad thing of the list ends in the dead letters byte for byte; the good ticks beside it arrive, numbered."""
    codes = ["600519", "000001", "300750", "688981", "920002"]
    bad_ticks = [
        b'{"price":1,"time":1}',
        b'{"code":"600519","price":"abc","time":1795138201}',
        b'{"code":"600519","price":NaN,"time":1795138201}',
        b'{"code":"600519","price":-1,"time":1795138201}',
        b'{"code":"999999","price":1,"time":1795138201}',
    ]
    huge = b'{"no":"' + b"x" * (MAX_MESSAGE_BYTES - 9) + b'"}'
    many = [tick("601318", i) for i in range(5_000)]
    bad_frames: list[bytes] = [b"not JSON", b'{"no":"ticks"}', b"\x00\x01\xff\xfe", huge]
    sent: list[tuple[str, int]] = []

    async def act(server: ServerConnection) -> None:
        i = 0
        for bad in [*bad_ticks, None, *bad_frames]:
            for _ in range(20):
                good = [tick(code, i) for code in codes]
                sent.extend((t["code"], t["time"]) for t in good)
                middle = [bad] if bad in bad_ticks else []
                await server.send(post.frame(*good[:2], *middle, *good[2:]))
                i += 1
            if bad in bad_frames:
                await server.send(bad if bad[0] == 0 else bad.decode())
        await server.send([post.frame(*many[:2_500])[:-2] + ",", post.frame(*many[2_500:])[10:]])
        sent.extend((t["code"], t["time"]) for t in many)
        await post.stay(server)

    async with post.Server(act) as server:
        producer = start(server.url, '["600519","*"]')
        await post.until(lambda: producer.pipeline.counters.ticks >= 6_000)
        await producer.finish()

    found = await held()
    assert [(t.code, t.time) for t in found.ticks] == sent
    assert [t.n for t in found.ticks] == list(range(1, len(sent) + 1))
    assert {t.run for t in found.ticks} == {RUN}
    assert {t.exchange for t in found.ticks} == {"SSE", "SZSE", "BSE"}
    assert [x.payload for x in found.letters if x.part == "tick"] == [bad for bad in bad_ticks for _ in range(20)]
    assert [x.payload for x in found.letters if x.part == "frame"] == bad_frames
    assert server.requests == [{"action": "subscribe", "symbols": ["600519", "*"]}]
    assert found.happenings == ["started", "connected", "subscribed", "stopped"]
    assert found.events[-1].n == len(sent)


async def test_a_slow_kafka_holds_the_line_back_and_nothing_is_dropped(
    bootstrap: str, source: str, post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """The socket is not read while the publisher is full; order and numbers stay whole, in large frames as well."""

    async def act(server: ServerConnection) -> None:
        for i in range(100):
            await server.send(post.frame(*(tick("600519", i * 50 + j) for j in range(50))))
        await server.send(post.frame(*(tick("600519", 5_000 + j) for j in range(30_000))))
        await post.stay(server)

    publisher = Publisher(bootstrap, client_id=source, limit_bytes=10_000)
    await publisher.start()
    async with post.Server(act) as feed:
        producer = Producer(publisher, source, feed.url, "*")
        await post.until(lambda: producer.pipeline.counters.ticks >= 35_000)
        await producer.finish()
    await publisher.stop()
    found = await held()
    assert [t.time - NOON for t in found.ticks] == list(range(35_000))
    assert [t.n for t in found.ticks] == list(range(1, 35_001))
    assert producer.pipeline.counters.held_back > 10


async def test_a_lost_connection_is_resubscribed_and_its_gap_announced(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """With the symbols as they were given; the gap says from when to when, and numbers go on without a hole."""

    async def push_and_drop(server: ServerConnection) -> None:
        await server.send(post.frame(tick("600519", len(feed.requests))))
        if len(feed.requests) == 3:
            await server.send('{"type":"subscribed"}')
            await post.stay(server)
        server.transport.abort()

    async with post.Server(push_and_drop, statuses=(503, 429)) as feed:
        producer = start(feed.url, "600519,000001")
        await post.until(lambda: len(feed.requests) >= 3 and producer.pipeline.counters.ticks >= 1)
        await post.until(lambda: producer.line.frames >= 2)
        await producer.finish()

    found = await held()
    assert feed.requests == [{"action": "subscribe", "symbols": "600519,000001"}] * 3
    assert [t.n for t in found.ticks] == list(range(1, len(found.ticks) + 1))
    assert found.ticks[-1].time == NOON + 3
    kinds = [kind for kind in found.happenings if kind not in ("connected", "disconnected")]
    assert kinds[0] == "started"
    assert kinds[-3:] == ["resubscribed", "gap", "stopped"]
    gap = [event for event in found.events if event.event == "gap"][-1]
    lost = [event for event in found.events if event.event == "disconnected"]
    assert gap.codes == ["600519", "000001"]
    assert gap.start is not None
    assert gap.end is not None
    assert gap.start <= lost[-1].at <= gap.end
    assert gap.n == len(found.ticks) - 1, "the number before the gap"
    assert producer.pipeline.counters.reconnects == 2


async def test_a_message_beyond_the_limit_costs_the_connection_and_is_announced(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """The line comes back; what was lost with the message lies in an announced gap."""

    async def too_much(server: ServerConnection) -> None:
        await server.send(post.frame(tick("600519", len(feed.requests))))
        if len(feed.requests) == 1:
            await server.send("x" * (MAX_MESSAGE_BYTES + 1))
        await post.stay(server)

    async with post.Server(too_much) as feed:
        producer = start(feed.url)
        await post.until(lambda: producer.pipeline.counters.ticks >= 2)
        await producer.finish()

    found = await held()
    assert [t.time for t in found.ticks] == [NOON + 1, NOON + 2]
    assert "gap" in found.happenings
    assert any("1009" in (event.reason or "") for event in found.events if event.event == "disconnected")


@pytest.mark.parametrize("server_filters", [True, False])
async def test_trades_only_is_asked_of_the_server_and_done_here_where_it_does_not(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]], server_filters: bool
) -> None:
    """Volume 0 is dropped and counted, a tick without a volume stays; numbers have no hole for what was dropped."""

    async def act(server: ServerConnection) -> None:
        if server_filters:
            await server.send('{"type":"subscribed","symbols":"*","trades_only":true}')
        await server.send(post.frame(tick("600519", 1, volume=100), tick("600519", 2, volume=0), tick("600519", 3)))
        await server.send(post.frame(tick("600519", 4, volume="0"), tick("600519", 5, volume=200)))
        await post.stay(server)

    async with post.Server(act) as feed:
        producer = start(feed.url, trades_only=True)
        await post.until(lambda: producer.pipeline.counters.ticks >= (5 if server_filters else 3))
        await producer.finish()

    found = await held()
    expected = [1, 2, 3, 4, 5] if server_filters else [1, 3, 5]
    assert [t.time - NOON for t in found.ticks] == expected
    assert [t.n for t in found.ticks] == list(range(1, len(expected) + 1))
    assert producer.pipeline.counters.no_trade == 5 - len(expected)
    assert feed.requests == [{"action": "subscribe", "symbols": "*", "trades_only": True}]


async def test_a_refused_subscription_ends_the_line_in_the_servers_words(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """When the server closes after it; an echoed token is not repeated."""

    async def refuse(server: ServerConnection) -> None:
        await server.send(orjson.dumps({"type": "error", "message": "tier of s3cret has no wildcard"}).decode())

    async with post.Server(refuse) as feed:
        producer = start(feed.url, token="s3cret")
        with pytest.raises(UsageError, match=r"tier of \*\*\* has no wildcard"):
            await asyncio.wait_for(producer.running, 20)
    with contextlib.suppress(UsageError):
        await producer.finish()
    assert (await held()).happenings == ["started", "connected", "refused", "disconnected", "stopped"]


async def test_a_refusal_in_part_leaves_the_rest_subscribed(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """An unknown code among others is said and does no harm."""

    async def act(server: ServerConnection) -> None:
        await server.send('{"type":"error","code":"unknown_symbol","symbols":["999999"]}')
        await server.send(post.frame(tick("600519", 1)))
        await post.stay(server)

    async with post.Server(act) as feed:
        producer = start(feed.url, "600519,999999")
        await post.until(lambda: producer.pipeline.counters.ticks >= 1)
        await producer.finish()
    assert (await held()).happenings == ["started", "connected", "refused", "subscribed", "stopped"]


async def test_a_silent_connection_is_given_up_and_dialled_again(start: Callable[..., Producer], post: Any) -> None:
    """A server that is frozen answers no ping; its socket alone would stay open for hours."""

    async def freeze(server: ServerConnection) -> None:
        await server.send(post.frame(tick("600519", 1)))
        if len(feed.requests) == 1:
            server.transport.pause_reading()
            await post.until(lambda: len(feed.requests) > 1)
            server.transport.abort()
        await post.stay(server)

    async with post.Server(freeze) as feed:
        producer = start(feed.url, heartbeat=0.1, heartbeat_message='{"action":"ping"}')
        await post.until(lambda: producer.pipeline.counters.ticks >= 2)
        await producer.finish()
    assert len(feed.requests) >= 2


async def test_the_line_stops_while_no_server_is_there(
    start: Callable[..., Producer], post: Any, held: Callable[[], Awaitable[Any]]
) -> None:
    """Told to stop between two attempts, it does so at once."""
    async with post.Server(post.stay) as feed:
        url = feed.url
    producer = start(url)
    await asyncio.sleep(0.2)
    await producer.finish()
    assert (await held()).happenings == ["started", "stopped"]

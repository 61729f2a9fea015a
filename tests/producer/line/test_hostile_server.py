"""Servers that send what no feed sends: memory stays bounded, and the bound that was reached is told of."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from market.times import parse_time
from producer.line import attempts
from producer.line import connection as connections
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from schemas import UsageError
from tests.producer.scripted import Provider, Remembered, ScriptedFeed, says

NOON = parse_time("2026-11-20 10:00:00")
ACK = {"kind": "subscribed"}
PIECE = 1 << 16
MiB = 1 << 20


class Running:
    """A line that runs in this process."""

    def __init__(self, url: str, **capabilities: Any) -> None:
        """Start at once."""
        feed = ScriptedFeed(**capabilities)
        self.pipeline = Remembered()
        self.stop = asyncio.Event()
        pace = Pace(backoff=Backoff(0.01, 0.02), heartbeat=0.0)
        self.line = Line(Endpoint(feed, url, "s3cret"), ["a"], self.pipeline, pace, name="x")
        self.task = asyncio.create_task(self.line.run(self.stop))


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Running]]:
    """Starts lines, and ends them."""
    made: list[Running] = []

    def begin(url: str, **capabilities: Any) -> Running:
        made.append(Running(url, **capabilities))
        return made[-1]

    yield begin
    for running in made:
        running.stop.set()
        await asyncio.wait({running.task}, timeout=5)
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)


async def pour(server: ServerConnection, piece: bytes, total: int) -> None:
    """Raw bytes, as fast as the client takes them."""
    for _ in range(0, total, len(piece)):
        server.transport.write(piece)
        for _ in range(10_000):
            await asyncio.sleep(0)
            if server.transport.get_write_buffer_size() <= MiB:
                break
            await asyncio.sleep(0.001)


async def empty_fragments(server: ServerConnection) -> None:
    server.transport.write(b"\x01\x00")
    await pour(server, b"\x00\x00" * (PIECE // 2), MiB // 4)


async def small_fragments(server: ServerConnection) -> None:
    server.transport.write(b"\x01\x01{")
    await pour(server, b"\x00\x01 " * (PIECE // 3), MiB // 4)


async def fragments_among_pings(server: ServerConnection) -> None:
    server.transport.write(b"\x02\x00")
    await pour(server, b"\x89\x00\x00\x00" * (PIECE // 4), MiB // 4)


@pytest.mark.parametrize("pouring", [empty_fragments, small_fragments, fragments_among_pings])
async def test_a_message_without_end_costs_the_connection(
    start: Callable[..., Running], post: Any, pouring: Callable[[ServerConnection], Awaitable[None]]
) -> None:
    """However small its pieces are: the bound is named, the gap is told, and the next connection is as good as any."""

    async def first(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await pouring(server)
        await server.wait_closed()

    async def second(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await server.wait_closed()

    async with Provider(first, second) as provider:
        tracemalloc.start()
        try:
            running = start(provider.url)
            await post.until(lambda: running.pipeline.gaps)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    lost, *_ = running.pipeline.of("disconnected")
    assert lost["reason"] == f"a message of more than {connections.MAX_FRAGMENTS:,} fragments"
    assert peak < 64 * MiB


async def test_a_message_in_many_fragments_is_whole(start: Callable[..., Running], post: Any) -> None:
    """As servers send that write in pieces; some of them empty, with pings between."""

    async def script(server: ServerConnection) -> None:
        text = b'{"ticks":[["a",1,null,null]],"answers":[{"kind":"subscribed"}]}'
        server.transport.write(b"\x01\x01" + text[:1] + b"".join(b"\x00\x00\x89\x00\x00\x01%c" % c for c in text[1:]))
        server.transport.write(b"\x80\x00")
        await server.wait_closed()

    async with Provider(script) as provider:
        running = start(provider.url)
        await post.until(lambda: running.pipeline.received)
    assert [tick.code for tick in running.pipeline.received] == ["a"]


async def test_a_server_that_asks_and_does_not_listen_is_left(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pings are answered into a buffer of ours, for as long as it is bounded."""
    monkeypatch.setattr(connections, "MAX_UNREAD_BYTES", 100_000)
    served: list[ServerConnection] = []

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        server.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        server.transport.pause_reading()
        served.append(server)
        await pour(server, (b"\x89\x7d" + b"p" * 125) * 500, 64 * MiB)

    async with Provider(script) as provider:
        running = start(provider.url)
        await post.until(lambda: running.pipeline.of("disconnected"))
        running.stop.set()
        for server in served:
            server.transport.abort()
    assert running.pipeline.of("disconnected")[0]["reason"] == "the server leaves more than 100,000 bytes unread"


async def test_a_flood_of_empty_messages_takes_little_memory(start: Callable[..., Running], post: Any) -> None:
    """The socket is read no faster than the frames are taken in."""

    async def script(server: ServerConnection) -> None:
        await says(server, answers=[ACK])
        await pour(server, b"\x81\x02{}" * (PIECE // 4), MiB // 8)
        await says(server, ticks=[("a", NOON)])
        await server.wait_closed()

    async with Provider(script) as provider:
        running = start(provider.url)
        tracemalloc.start()
        try:
            await post.until(lambda: running.pipeline.received, seconds=60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 50 * MiB


async def test_no_answer_of_a_handshake_ends_a_line_that_had_one(post: Any, start: Callable[..., Running]) -> None:
    """Headers given twice, dates of no calendar, statuses of no standard: the next attempt may be better."""
    answers = [
        b"HTTP/1.1 503 Later\r\nRetry-After: 0\r\nRetry-After: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: a\r\nLocation: b\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ws://[::1\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: Fri, 99 Foo 99999999999 00:00:00 GMT\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"",
    ]

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await asyncio.sleep(0.05)

    async with Provider(script) as good:
        port = int(good.url.rpartition(":")[2])
        seen = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            seen += 1
            if seen == 1:
                theirs, ours = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.wait(
                    {asyncio.create_task(_copy(reader, ours)), asyncio.create_task(_copy(theirs, writer))},
                    return_when=asyncio.FIRST_COMPLETED,
                )
                ours.close()
            else:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answers[(seen - 2) % len(answers)])
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            running = start(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            running.line.protocol.state.attempts.refused_again.cap = 0.02
            await post.until(lambda: seen > len(answers) + 1)
            assert not running.task.done()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)


async def test_a_server_that_refuses_without_end_is_told_of_in_sum(
    start: Callable[..., Running], post: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With the codes of all refusals, and how many they were; the log does not grow with them either."""
    most = 300

    async def script(server: ServerConnection) -> None:
        await says(server, answers=[ACK])
        for i in range(most):
            await says(server, answers=[{"kind": "refused", "codes": [f"c{i}"]}, {"kind": "throttled"}])
        await asyncio.sleep(0.3)

    async def stay(server: ServerConnection) -> None:
        await server.wait_closed()

    async with Provider(script, stay) as provider:
        running = start(provider.url)
        await post.until(lambda: running.pipeline.of("disconnected"))
    refused = running.pipeline.of("refused")
    assert sum(event.get("count", 1) for event in refused) == most
    assert len(refused) < 30
    assert set().union(*(event["codes"] for event in refused)) == {f"c{i}" for i in range(most)}
    assert len(caplog.messages) < 100


async def test_a_server_that_asks_to_wait_for_ever_is_asked_again(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within reason, as for Retry-After."""
    monkeypatch.setattr(attempts, "LONGEST_WAIT", 0.1)

    async def script(server: ServerConnection) -> None:
        await says(server, answers=[{"kind": "throttled", "wait": 1e12}])
        await asyncio.sleep(0.02)

    async with Provider(script) as provider:
        start(provider.url)
        await post.until(lambda: len(provider.heard) >= 2)


# Redirects.


def redirecting(statuses: list[int], location: Callable[[], str]) -> Any:
    """What answers handshakes with redirects."""

    def process(connection: ServerConnection, _request: Any) -> Any:
        if not statuses:
            return None
        response = connection.respond(statuses.pop(0), "elsewhere\n")
        response.headers["Location"] = location()
        return response

    return process


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("login", ["header", "query", "frame"])
async def test_no_credential_follows_a_redirect_to_another_origin(
    start: Callable[..., Running], status: int, login: str
) -> None:
    """Neither in header, query nor message: the other is not even dialled; the words name both, and no secret."""

    async def stay(server: ServerConnection) -> None:
        await server.wait_closed()

    async with (
        Provider(stay) as other,
        Provider(stay, process_request=redirecting([status] * 9, lambda: f"{other.url}/x?token=s3cret")) as asked,
    ):
        running = start(asked.url, login=login, logged_in_by_answer=login == "frame")
        with pytest.raises(UsageError) as caught:
            await asyncio.wait_for(running.task, 10)
        assert not other.heard
        assert f"{asked.url} redirects to {other.url}, another origin" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "elsewhere", ["http://h.example/a", "https://h.example:99", "//h.example/x", "wss://127.0.0.1"]
)
async def test_every_way_to_write_another_origin_is_one(start: Callable[..., Running], elsewhere: str) -> None:
    """Other schemes, without one, another port."""

    async def stay(server: ServerConnection) -> None:
        await server.wait_closed()

    async with Provider(stay, process_request=redirecting([302] * 9, lambda: elsewhere)) as asked:
        running = start(asked.url)
        with pytest.raises(UsageError, match="another origin"):
            await asyncio.wait_for(running.task, 10)


async def test_a_redirect_within_the_origin_is_followed(start: Callable[..., Running], post: Any) -> None:
    """With the token in its header."""

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await server.wait_closed()

    async with Provider(script, process_request=redirecting([302, 307], lambda: "/new")) as asked:
        running = start(asked.url, login="header")
        await post.until(lambda: running.pipeline.received)
        assert asked.paths == ["/new"]
        assert asked.headers[0]["token"] == "s3cret"


async def test_a_redirect_in_mid_session_is_said_and_tried_again(
    start: Callable[..., Running], post: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The address worked before: whoever sends it elsewhere for a while does not end the line."""
    statuses: list[int] = []

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        statuses.extend([302] * (len(asked.heard) == 1))
        await asyncio.sleep(0.1)

    async with Provider(script, process_request=redirecting(statuses, lambda: "ws://h.example")) as asked:
        running = start(asked.url)
        await post.until(lambda: len(asked.heard) >= 2)
    assert any("another origin" in event["reason"] for event in running.pipeline.of("refused"))
    assert any(record.levelname == "ERROR" and "another origin" in record.message for record in caplog.records)

"""The gateway on a real pipeline: what it serves is the worker's, and what is wrong shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consumers.gateway.run import Gateway, Settings
from consumers.gateway.tokens import read_tokens
from deploy.embedded.server import free_port
from deploy.local.stack import Plan, Stack

PATIENCE = 90.0
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A pipeline with logins, its producer running."""
    market = ("--rate", "150", "--port", str(free_port()), "--codes", "150")
    with Stack(Plan(tmp_path_factory.mktemp("stack"), market, gateway=True, secure=True)) as running:
        running.start()
        running.feed()
        yield running


@asynccontextmanager
async def stream(url: str, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}v1/stream", headers=headers, max_msg_size=0) as socket,
    ):
        yield socket


async def until(socket: aiohttp.ClientWebSocketResponse, wanted: Callable[[Any], bool]) -> Any:
    """The first message that is wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = json.loads(await socket.receive_str())
            if wanted(message):
                return message


def well(message: Any) -> bool:
    return message["type"] == "status" and not message["stale"] and message["ticks_per_s"] > 0


async def get(url: str, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answered:
        return answered.status, await answered.json()


async def test_a_subscriber_has_the_workers_snapshots_when_the_burst_is_over(stack: Stack) -> None:
    async with stream(stack.page_url) as socket:
        hello = json.loads(await socket.receive_str())
        assert (hello["type"], hello["protocol"]) == ("hello", 1)
        await until(socket, well)
        await socket.send_json({"type": "subscribe", "threshold": {"bp": 100}, "fields": ["price", "time", "ticks"]})
        first = await until(socket, lambda message: message["type"] == "snapshot")
        shown = {row["code"]: row for row in first["rows"]}
        assert len(shown) > 20
        seq = first["seq"]
        stack.end("producer")
        try:
            deadline = time.monotonic() + 3.0
            while time.monotonic() < deadline:
                message = json.loads(await socket.receive_str())
                if message["type"] == "delta":
                    seq += 1
                    assert message["seq"] == seq
                    shown |= {row["code"]: row for row in message["rows"]}
            _, served = await get(f"{stack.workers[0]}/snapshots")
            theirs = {row["code"]: row for row in served["snapshots"]}
            assert shown == {
                code: {name: row[name] for name in ("code", "price", "time", "ticks")} for code, row in theirs.items()
            }
            _, ours = await get(f"{stack.page_url}v1/snapshots")
            for row in ours["snapshots"]:
                assert {name: row[name] for name in row.keys() & theirs[row["code"]].keys()}.items() <= theirs[
                    row["code"]
                ].items()
            # The producer was stopped, which is a gap for as long as it lasts: it shows.
            status = await until(socket, lambda message: message["type"] == "status" and message["stale"])
            assert status["gaps"] > 0
        finally:
            stack.feed()
        await until(socket, well)


async def test_a_feed_that_is_gone_shows_and_comes_back_without_a_new_connection(stack: Stack) -> None:
    async with stream(stack.page_url) as socket:
        await until(socket, well)
        await asyncio.to_thread(stack.kill, "market")
        status = await until(socket, lambda message: message["type"] == "status" and message["stale"])
        assert status["problems"]
        market = ("simulate", "--port", stack.feed_url.rpartition(":")[2], "--rate", "150", "--codes", "150")
        stack._begin("market", *market)
        await until(socket, well)


async def test_a_worker_that_is_killed_shows_and_the_snapshots_go_on_meanwhile(stack: Stack) -> None:
    async with stream(stack.page_url) as socket:
        await until(socket, well)
        await socket.send_json({"type": "subscribe", "max_hz": 20})
        await until(socket, lambda message: message["type"] == "snapshot")
        await asyncio.to_thread(stack.kill_worker, 0)
        status = await until(socket, lambda message: message["type"] == "status" and message["stale"])
        assert any("snapshots agent" in problem for problem in status["problems"])
        await until(socket, lambda message: message["type"] == "delta")
        stack.start_worker(0)
        await until(socket, well)


async def test_the_same_rows_come_by_http(stack: Stack) -> None:
    url = stack.page_url
    async with stream(url) as socket:
        await until(socket, well)
    status, found = await get(f"{url}v1/snapshots?fields=price,board")
    assert status == 200
    code = found["snapshots"][0]["code"]
    assert (await get(f"{url}v1/snapshots/{code}?fields=price"))[1].keys() == {"code", "price"}
    assert (await get(f"{url}v1/snapshots/999999"))[0] in {400, 404}
    ticks = (await get(f"{url}v1/ticks/{code}?limit=3"))[1]["ticks"]
    assert 0 < len(ticks) <= 3
    assert {tick["code"] for tick in ticks} == {code}
    bars = (await get(f"{url}v1/bars/{code}?minutes=5"))[1]["bars"]
    assert {bar["code"] for bar in bars} <= {code}
    changes = (await get(f"{url}v1/changes?since=1"))[1]["changes"]
    assert changes
    assert (await get(f"{url}v1/events"))[1]["events"]
    assert (await get(f"{url}v1/session"))[1]["state"]
    assert (await get(f"{url}v1/changes?since=x"))[0] == 400
    async with aiohttp.ClientSession() as session, session.get(f"{url}metrics") as answered:
        assert "ashare_gateway_clients" in await answered.text()
    async with aiohttp.ClientSession() as session, session.get(f"{url}v1/changes/stream") as answered:
        async with asyncio.timeout(PATIENCE):
            async for line in answered.content:
                if line.startswith(b"data: "):
                    assert json.loads(line[6:])["price"] > 0
                    break


@pytest.mark.parametrize(
    ("headers", "error"),
    [({"Host": "evil.example"}, "unknown_host"), ({"Origin": "http://evil.example"}, "other_origin")],
)
async def test_a_page_of_another_origin_gets_nothing(stack: Stack, headers: dict[str, str], error: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with stream(stack.page_url, **headers):
            pass
    assert refused.value.status == 403
    if "Host" in headers:
        assert (await get(f"{stack.page_url}v1/status", **headers))[1]["error"] == error


async def test_a_client_that_does_not_read_is_closed_and_the_others_go_on(stack: Stack) -> None:
    host, port = stack.page_url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    writer.write(
        f"GET /v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    begun = time.monotonic()
    try:
        async with stream(stack.page_url) as socket:
            while time.monotonic() - begun < PATIENCE:
                for _ in range(10):
                    # Masked with zeros: as it stands.
                    body = b'{"type":"subscribe","id":"x"}'
                    writer.write(b"\x81" + bytes((0x80 | len(body),)) + bytes(4) + body)
                await until(socket, lambda message: message["type"] == "status")
                async with aiohttp.ClientSession() as session, session.get(f"{stack.page_url}metrics") as answered:
                    if "slow_clients_closed_total 1.0" in await answered.text():
                        break
            else:
                pytest.fail("it was not closed")
    finally:
        writer.transport.abort()


async def test_a_token_has_what_it_is_entitled_to(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.login("gateway").items():
        monkeypatch.setenv(name, value)
    tokens = tmp_path / "tokens.json"
    secret = "0123456789abcdef"
    entry = {"name": "desk", "token": secret, "boards": ["STAR"], "wildcard": False, "max_hz": 2}
    tokens.write_text(json.dumps([entry]), "utf-8")
    gateway = Gateway(Settings(stack.bootstrap, port=0, tokens=read_tokens(tokens)))
    await gateway.start()
    url = f"http://127.0.0.1:{gateway.port}/"
    try:
        assert (await get(f"{url}v1/status"))[0] == 401
        assert (await get(f"{url}v1/status", Authorization=f"Bearer {secret}"))[0] == 200
        async with stream(url) as socket:
            await socket.send_json({"type": "auth", "token": "wrong"})
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4001
        async with stream(url, Authorization=f"Bearer {secret}") as socket:
            hello = json.loads(await socket.receive_str())
            assert hello["limits"]["max_hz"] == 2
            await socket.send_json({"type": "subscribe", "codes": "688001", "max_hz": 2})
            await until(socket, lambda message: message["type"] == "snapshot")
            await socket.send_json({"type": "subscribe", "codes": "*", "max_hz": 2})
            await until(socket, lambda message: message["type"] == "error" and message["code"] == "not_entitled")
            async with asyncio.timeout(PATIENCE):
                while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    pass
            assert socket.close_code == 4003
    finally:
        await gateway.stop()

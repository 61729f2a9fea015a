"""What a stranger gets from any HTTP server of ours, on real servers."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from broker import http_guard
from broker.http_guard import GuardedRunner, Rules, body, guard, host_names


@asynccontextmanager
async def served(rules: Rules, **bounds: Any) -> AsyncIterator[int]:
    """A server with one path that reads, and one that changes."""

    async def read(request: web.Request) -> web.Response:
        return web.json_response({"read": request.query.get("x", "")[:5]})

    async def change(request: web.Request) -> web.Response:
        return web.json_response({"took": len(await body(request))})

    async def fail(_request: web.Request) -> web.Response:
        raise ValueError("inside")

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(bytes(1_000))
            await asyncio.sleep(0)
        return response

    async def wait(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.json_response({})

    async def break_off(_request: web.Request) -> web.Response:
        raise ConnectionResetError("inside: the store hung up")

    application = web.Application(middlewares=[guard(rules)])
    application.router.add_get("/streams", stream)
    application.router.add_get("/waits", wait)
    application.router.add_get("/breaks", break_off)
    application.router.add_get("/it", read)
    application.router.add_post("/it", change)
    application.router.add_get("/fails", fail)
    runner = GuardedRunner(application, **bounds)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def ask(port: int, method: str, path: str = "/it", data: bytes = b"", **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"http://127.0.0.1:{port}{path}", data=io.BytesIO(data) if data else None, headers=headers
        ) as got,
    ):
        text = await got.read()
        return got.status, json.loads(text) if text else None


RULES = Rules(host_names(["http://worker-1:6066", "Prices.Internal", "worker-2:1"]), addresses=True, setting="--hosts")


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:1", True),
        ("localhost", True),
        ("[::1]:6066", True),
        ("10.1.2.3", True),
        ("worker-1:6066", True),
        ("WORKER-2", True),
        ("prices.internal.", True),
        ("evil.example", False),
        ("evil.example:6066", False),
        ("127.0.0.1.evil.example", False),
        ("worker-1.evil.example", False),
        ("evil.example@127.0.0.1", True),  # a user, and the name of this machine
        ("127.0.0.1@evil.example", False),
        ("localhost:x:y", False),
        ("[::1", False),
    ],
)
async def test_only_its_own_names_are_answered(host: str, *, known: bool) -> None:
    """A page whose name was bound to this address is refused, with the setting that adds a name."""
    async with served(RULES) as port:
        for method in ("GET", "HEAD", "POST"):
            status, said = await ask(port, method, Host=host)
            assert status == (200 if known else 403)
            if not known and said is not None:
                assert said["error"] == "unknown_host"
                assert "--hosts" in said["message"]


async def test_addresses_are_names_of_this_machine_only_where_the_rules_say_so() -> None:
    """The producer's server is for this machine."""
    async with served(Rules()) as port:
        assert (await ask(port, "GET", Host="10.1.2.3"))[0] == 403
        assert (await ask(port, "GET", Host="127.0.0.1"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_no_page_of_another_origin_changes_anything(headers: dict[str, str], status: int) -> None:
    """Whatever content type it sends."""
    async with served(RULES) as port:
        for kind in ("application/json", "text/plain"):
            got, said = await ask(port, "POST", "/it", b"{}", **headers, **{"Content-Type": kind})
            assert got == status
            assert status == 200 or said["error"] == "other_origin"
        assert (await ask(port, "POST", data=b"{}", Origin=f"http://127.0.0.1:{port}"))[0] == 200
        assert (await ask(port, "GET", "/it", b"", **headers))[0] == 200


async def test_changes_need_the_token() -> None:
    """Where there is one; reading does not. The answer says how it is given, and not what it is."""
    async with served(Rules(token="hunter2", secret="--http-token")) as port:
        for given in ("", "Bearer", "Bearer hunter", "Bearer hunter22", "Basic hunter2", "hunter2", "Bearer \u00e9"):
            status, said = await ask(port, "POST", data=b"{}", Authorization=given)
            assert (status, said["error"]) == (401, "token")
            assert "--http-token" in said["message"]
            assert "hunter2" not in str(said)
        assert (await ask(port, "POST", data=b"{}", Authorization="Bearer hunter2"))[0] == 200
        assert (await ask(port, "GET"))[0] == 200
    assert "hunter2" not in repr(Rules(token="hunter2"))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip"])
async def test_no_body_is_unpacked(coding: str) -> None:
    """4 MB that would become 4 GB cost nothing: they are refused as they are."""
    packed = gzip.compress(bytes(4 << 20), 9)
    async with served(RULES) as port:
        for method in ("POST", "GET"):
            status, said = await ask(port, method, data=packed, **{"Content-Encoding": coding})
            assert (status, said["error"]) == (415, "compressed")


async def test_every_error_is_small_json() -> None:
    """With what to do; a fault of ours shows nothing of its inside."""
    async with served(RULES) as port:
        for method, path, status, says in [
            ("GET", "/nowhere", 404, "/it"),
            ("DELETE", "/it", 405, "GET, HEAD, POST"),
            ("GET", "/fails", 500, "log"),
        ]:
            got, said = await ask(port, method, path)
            assert got == status
            assert says in said["message"]
            assert "inside" not in str(said)
        status, said = await ask(port, "POST", data=bytes(2 << 20))
        assert (status, said["message"]) == (413, "the body is too large: send less")


async def test_ten_thousand_codes_fit_into_a_line() -> None:
    """As many as are promised."""
    async with served(RULES) as port:
        assert await ask(port, "GET", f"/it?x={','.join(['600519.SH'] * 10_000)}") == (200, {"read": "60051"})


async def test_idle_connections_are_cut() -> None:
    """Those that say nothing, half a request, or nothing more after one."""
    async with served(RULES, idle=0.3) as port:
        for said in (b"", b"GET /it HT", b"GET /it HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(20):
                await reader.read()
            writer.close()


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is free again."""
    monkeypatch.setattr(http_guard, "BODY_SECONDS", 0.2)
    async with served(RULES) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /it HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{")
        async with asyncio.timeout(20):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_connections_are_bounded_and_the_oldest_idle_one_makes_room() -> None:
    """However many strangers hold one, who asks is answered."""
    async with served(RULES, connections=8) as port:
        there = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        for _ in range(3):
            assert (await ask(port, "GET"))[0] == 200
        cut = 0
        for reader, writer in there:
            try:
                async with asyncio.timeout(0.05):
                    await reader.read()
                cut += 1
            except TimeoutError:
                pass
            except ConnectionError:
                cut += 1
            writer.close()
        assert cut >= 32


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        (b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", True),
        (b"GET /waits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", False),
        (b"GET /it HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50, False),
        (b"GET /it HTTP/1.1\r\nHost: 127.0.0.1\r\n", False),
        (b"POST /it HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{", False),
        (b"POST /it HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n{", True),
        (b"POST /it HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", False),
        (b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", True),
    ],
    ids=["written", "waited", "many", "half", "body", "refused", "chunked", "nowhere"],
)
async def test_who_hangs_up_leaves_nothing_in_the_log(
    caplog: pytest.LogCaptureFixture, said: bytes, *, waits: bool
) -> None:
    """At whatever moment, whether by a reset or a plain end: it is not a fault of the server's, which goes on."""
    async with served(RULES) as port:
        with caplog.at_level(logging.INFO):
            for reset in (True, False):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(said)
                await writer.drain()
                await (reader.read(1) if waits else asyncio.sleep(0.02))
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                else:
                    writer.close()
            await asyncio.sleep(0.5)
            assert (await ask(port, "GET"))[0] == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_connection_that_fails_behind_the_server_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Who asked is there and is told; the log says why."""
    async with served(RULES) as port:
        assert (await ask(port, "GET", "/breaks"))[0] == 500
    assert "the store hung up" in caplog.text

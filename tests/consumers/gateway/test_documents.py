"""The gateway's documents say what it does: every answer is one that they describe."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jsonschema
import pytest

from consumers.gateway import asyncapi
from consumers.gateway.openapi import document
from consumers.gateway.rows import FIELDS
from consumers.gateway.run import Gateway, Settings
from consumers.gateway.tokens import read_tokens
from deploy.embedded.server import free_port
from tests.consumers.gateway.test_groups import row


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway whose broker is away, with a table of its own."""
    running = Gateway(Settings(f"127.0.0.1:{free_port()}", port=0))
    await running.start()
    running._connections.renew([row("600519", 1_000, 1), row("688001", 2_000, 3)])
    running._source.loaded.set()
    yield running
    await running.stop()


VALUES: dict[str, list[str]] = {
    "codes": ["*", "600519", "600519,688001", "sz000001", "", "nonsense", "600519,,", "☃", "1" * 300],
    "boards": ["STAR", "star,BSE", "", "NOPE"],
    "fields": ["price", "code,price", "nope", ""],
    "since": ["0", "1796088882909", "-1", "x", "9" * 40],
    "limit": ["0", "1", "5000", "5001", "1e3", ""],
    "minutes": ["1", "5", "240", "0", "241", "x"],
    "min_change": ["0", "0.05", "-1", "nan", "inf", "x"],
    "code": ["600519", "688001", "000001", "nonsense", "999999", "%00", "..%2f..", "☃"],
}


@pytest.mark.timeout(240)
async def test_every_answer_is_a_described_one(gateway: Gateway) -> None:
    """Parameters right and wrong, against each path of the OpenAPI document."""
    described, draw = document(), random.Random(7)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}") as session:
        assert await (await session.get("/openapi.json")).json() == json.loads(json.dumps(described))
        for path, operations in described["paths"].items():
            operation = operations["get"]
            if path == "/v1/changes/stream":
                continue
            # Of a broker that is away nothing is learnt but that, after some seconds.
            for _ in range(1 if "ticks" in path or "bars" in path else 25):
                names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
                query = {name: draw.choice(VALUES[name]) for name in names if draw.random() < 0.7}
                where = path.replace("{code}", draw.choice(VALUES["code"]))
                async with session.get(where, params=query) as answered:
                    known = operation["responses"].get(str(answered.status))
                    assert known is not None, (where, query, answered.status)
                    body = await answered.json()
                    content = known.get("content", {}).get("application/json")
                    if content is not None:
                        schema = content["schema"] | {"components": described["components"]}
                        jsonschema.validate(body, schema)


async def test_a_page_that_is_not_built_says_how_it_is(gateway: Gateway, tmp_path: Any) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}") as session:
        async with session.get("/v1/nothing") as answered:
            assert answered.status == 404
        async with session.get("/health") as answered:
            assert answered.status == 503
            assert (await answered.json())["problems"]
    page = tmp_path / "dist"
    page.mkdir()
    (page / "index.html").write_text("<p>page</p>", "utf-8")
    (page / "app.js").write_text("1", "utf-8")
    (tmp_path / "secret").write_text("secret", "utf-8")
    other = Gateway(Settings(f"127.0.0.1:{free_port()}", port=0, page=page))
    await other.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{other.port}") as session:
            async with session.get("/") as answered:
                assert "default-src 'self'" in answered.headers["Content-Security-Policy"]
                assert await answered.text() == "<p>page</p>"
            async with session.get("/app.js") as answered:
                assert answered.status == 200
            async with session.get("/..%2fsecret") as answered:
                assert answered.status == 404
    finally:
        await other.stop()


def test_the_stream_is_described_with_all_its_messages_and_close_codes() -> None:
    described = asyncapi.document()
    names = set(described["components"]["messages"])
    assert names == {
        "hello", "snapshot", "delta", "status", "event", "error", "pong", "auth", "subscribe", "unsubscribe", "ping",
    }  # fmt: skip
    assert list(described["components"]["schemas"]["Row"]["properties"]) == list(FIELDS)
    for code in (4000, 4001, 4003, 4008):
        assert str(code) in described["info"]["description"]


def test_tokens_are_never_shown(tmp_path: Any) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps([{"name": "desk", "token": "0123456789abcdef"}]), "utf-8")
    settings = Settings("127.0.0.1:9092", tokens=read_tokens(file))
    assert "0123456789abcdef" not in repr(settings)

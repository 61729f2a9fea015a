"""A feed over TLS whose authority is a company's own: known by a file, or refused in one line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from schemas import UsageError
from tests.certificates import Authority
from tests.producer.scripted import Provider, Remembered, ScriptedFeed, says


async def script(server: Any) -> None:
    """A subscription that stands."""
    await says(server, answers=[{"kind": "subscribed"}])
    await server.wait_closed()


def line(url: str, ca: Path | None) -> Line:
    """To a feed with a token."""
    pace = Pace(backoff=Backoff(0.01, 0.02), heartbeat=0.0)
    return Line(Endpoint(ScriptedFeed(), url, "s3cret-of-the-feed", ca), ["a"], Remembered(), pace, name="x")


async def test_a_feed_of_a_private_authority_is_known_by_its_file(tmp_path: Path) -> None:
    """The host is checked, and the token goes over TLS."""
    authority = Authority(tmp_path)
    async with Provider(script, tls=authority.context()) as provider:
        one, stop = line(provider.url, authority.ca), asyncio.Event()
        task = asyncio.create_task(one.run(stop))
        try:
            async with asyncio.timeout(30):
                while one.state != "subscribed":  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.01)
        finally:
            stop.set()
            await task
    assert len(provider.opened) == 1


@pytest.mark.parametrize(
    ("host", "days", "said"),
    [
        ("unknown", (-1, 30), "set ASHARE_FEED_CA to the certificate of the authority that signed it"),
        ("feed.example", (-1, 30), "it is of another host than 127.0.0.1: use the name that it is made for"),
        ("127.0.0.1", (-9, -1), "it has expired: have whoever runs the server renew it"),
        ("127.0.0.1", (3, 30), "it is not valid yet: look at this machine's clock"),
    ],
)
async def test_a_server_that_is_not_the_feed_ends_the_line_in_one(
    tmp_path: Path, host: str, days: tuple[int, int], said: str
) -> None:
    """With what to change; nothing was sent to it, the token above all."""
    authority = Authority(tmp_path)
    tls = authority.context("127.0.0.1" if host == "unknown" else host, days)
    async with Provider(script, tls=tls) as provider:
        one = line(provider.url, None if host == "unknown" else authority.ca)
        with pytest.raises(UsageError) as refused:
            async with asyncio.timeout(30):
                await one.run(asyncio.Event())
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret-of-the-feed" not in str(refused.value)
    assert provider.opened == []


@pytest.mark.parametrize(
    ("scheme", "answer", "said"),
    [
        ("wss", b"HTTP/1.1 400 Bad Request\r\n\r\n", "has no TLS: is it ws:// instead of wss://?"),
        ("wss", b"", "(is it ws:// instead of wss://?)"),
        ("ws", b"\x15\x03\x01\x00\x02\x02\x46", "(is it wss:// instead of ws://?)"),
    ],
)
async def test_tls_to_a_plain_port_and_the_reverse_are_told(scheme: str, answer: bytes, said: str) -> None:
    """A server that only hangs up may be starting: it is tried again, and what else may be wrong is said."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if not answer:
            writer.transport.abort()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        one = line(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        task = asyncio.create_task(one.run(asyncio.Event()))
        async with asyncio.timeout(30):
            while not task.done() and said not in (one.problem or ""):  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert said in (str(ended) if isinstance(ended, UsageError) else one.problem or "")


def test_a_file_without_a_certificate_is_refused_at_once(tmp_path: Path) -> None:
    """Whatever it holds."""
    for content, said in ((None, "No such file"), ("nothing", "no certificate or crl found")):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(UsageError, match=rf"ASHARE_FEED_CA: .*ca\.pem holds no certificate in PEM.*{said}"):
            line("wss://127.0.0.1:1", path)

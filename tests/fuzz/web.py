"""Requests for the HTTP of worker and producer: nearly right, and nothing like it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fuzz.records import shown
from tests.fuzz.values import TOKENS

PATIENCE = 10.0
_PATHS = [
    b"/", b"/health", b"/status", b"/metrics", b"/snapshots", b"/snapshots/", b"/snapshots/600519", b"/snapshots/%00",
    b"/snapshots/%ff%fe", b"/snapshots/..%2f..%2fetc", b"/snapshots/" + b"6" * 7_000, b"/snapshots?codes=",
    b"/snapshots?codes=" + b",".join(b"%06d" % n for n in range(1_000)), b"/snapshots?codes=%1b[2J,%00,600519",
    b"/snapshots?codes=600519&codes=000001&routed=x", b"/watchlist", b"//", b"/%", b"*", b"http://example.com/health",
]  # fmt: skip
_METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"\x00", b"G" * 300]
_HOSTS = [b"127.0.0.1", b"localhost", b"evil.example", b"", b"127.0.0.1:1:2", b"[::1", b"\xff"]


@dataclass(frozen=True)
class Answered:
    """A server's status line, ``None`` where it hung up without one, and the request."""

    status: int | None
    request: bytes


def requests(draw: random.Random) -> list[bytes]:
    """Each path, method and host with the usual others, some bodies, and bytes that are not a request."""
    found = [_request(b"GET", path) for path in _PATHS]
    found += [_request(method, path) for method in _METHODS for path in (b"/snapshots", b"/watchlist", b"/health")]
    found += [_request(b"GET", b"/health", host=host) for host in _HOSTS]
    bodies = [b'{"add":%s}' % token for token in TOKENS] + [b'{"%s":[]}' % (b"x" * 300), b"", b"[" * 50_000]
    for path in (b"/watchlist", b"/snapshots"):
        found += [_request(b"POST", path, body=body) for body in bodies]
        packed = gzip.compress(b" " * (4 << 20))
        found.append(_request(b"POST", path, body=packed, more=b"Content-Encoding: gzip\r\n"))
        found.append(_request(b"POST", path, body=b"{}", more=b"Content-Encoding: gzip\r\n"))
    found += [
        b"\x00" * 64, b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1_000,
        b"GET /" + b"a" * 100_000,
        b"POST /watchlist HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /watchlist HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /watchlist HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 2_000 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"z" * 200_000 + b"\r\n\r\n",
        b"GET /snapshots HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=-1\r\nAccept-Encoding: \x1b\r\n\r\n",
    ]  # fmt: skip
    draw.shuffle(found)
    return found


def _request(method: bytes, path: bytes, *, host: bytes = b"127.0.0.1", body: bytes = b"", more: bytes = b"") -> bytes:
    length = (
        b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body or method == b"POST" else b""
    )
    return b"%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s\r\n%s" % (method, path, host, length, more, body)


async def ask(port: int, request: bytes) -> Answered:
    """Send the bytes and wait for the first line of an answer, or the end.

    Raises:
        OSError: nobody listens.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = b""
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(request)
            if writer.can_write_eof():
                writer.write_eof()
            line = await reader.readline()
            while await reader.read(1 << 16):
                pass
    except (TimeoutError, OSError, ValueError):
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await writer.wait_closed()
    words = line.split()
    return Answered(int(words[1]) if len(words) > 1 and words[1].isdigit() else None, request)


def wrong(answers: Sequence[Answered]) -> list[str]:
    """Answers that say that a handler raised."""
    return [f"HTTP {one.status} to {shown(one.request)}" for one in answers if one.status == 500]

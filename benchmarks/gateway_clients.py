"""Clients of a WebSocket by the thousand, in a process of their own: most count bytes, some read what they get.

``python -m benchmarks.gateway_clients``: takes one JSON object on standard input, ``port``, ``wild``, ``narrow``,
``silent``, ``max_hz`` and ``seconds``; prints one with how old rows were when they came, in ms.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

import uvloop

READ = 20
"""Clients of each kind that read what they get."""
_CODES_EACH = 50
_SETTLE_SECONDS = 4.0
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_AT_ONCE = 50
_RECEIVED = b'"received":'


class Client(asyncio.Protocol):
    """One client.

    Attributes:
        bytes: that came.
        ages: of rows when they came, ms; filled where it reads.
    """

    def __init__(self, subscription: dict[str, Any] | None, *, reads: bool, silent: bool) -> None:
        """Nothing is asked for yet."""
        self._subscription, self._reads, self._silent = subscription, reads, silent
        self._open = False
        self._rest = b""
        self.bytes = 0
        self.closed = False
        self.ages: list[float] | None = None
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Shake hands."""
        self.transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, _error: Exception | None) -> None:
        """The server has closed."""
        self.closed = True

    def data_received(self, data: bytes) -> None:
        """Count, and read where it is to be read."""
        self.bytes += len(data)
        if not self._open:
            self._open = True
            if self._subscription is not None:
                body = json.dumps(self._subscription).encode()
                size = bytes((0x80 | len(body),)) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
                self.transport.write(b"\x81" + size + bytes(4) + body)
            if self._silent:
                self.transport.pause_reading()
            return
        if self._reads and self.ages is not None:
            now = time.time_ns() // 1000
            # Where rows are cut in two by the packet, one is passed over.
            for part in (self._rest[-64:] + data).split(_RECEIVED)[1:]:
                digits = part[:16]
                if digits.isdigit():
                    self.ages.append((now - int(digits)) / 1000)
            self._rest = b""


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Connect all, wait, and look for so many seconds."""
    loop = asyncio.get_running_loop()
    draw = random.Random(1)
    codes = [f"{600_000 + number}" for number in range(given["codes"])]
    common = {"type": "subscribe", "max_hz": given["max_hz"], "fields": ["price", "received"]}
    kinds = ["wild"] * given["wild"] + ["narrow"] * given["narrow"] + ["silent"] * given["silent"]
    found: list[tuple[str, Client]] = []
    reading = dict.fromkeys(("wild", "narrow"), 0)
    for number, kind in enumerate(kinds):
        asked = common if kind != "narrow" else common | {"codes": draw.sample(codes, min(_CODES_EACH, len(codes)))}
        reads = kind != "silent" and reading[kind] < READ
        if reads:
            reading[kind] += 1
        client = Client(asked if given["subscribe"] else None, reads=reads, silent=kind == "silent")
        await loop.create_connection(lambda client=client: client, "127.0.0.1", given["port"])  # type: ignore[misc]
        found.append((kind, client))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0.02)
    await asyncio.sleep(_SETTLE_SECONDS)
    begun, before = time.monotonic(), sum(client.bytes for _, client in found)
    for _, client in found:
        client.ages = []
    await asyncio.sleep(given["seconds"])
    passed = time.monotonic() - begun
    ages = sorted(age for _, client in found for age in client.ages or ())
    return {
        "p50 ms": _at(ages, 0.5),
        "p99 ms": _at(ages, 0.99),
        "MB/s": (sum(client.bytes for _, client in found) - before) / passed / 1e6,
        "rows read": len(ages),
        "closed": sum(client.closed for _, client in found),
    }


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(run(json.loads(sys.stdin.readline())))) + "\n")

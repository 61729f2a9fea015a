"""A feed read as market-data recorders read it: websockets, orjson, one record a tick; and the records of this project.

The records are those that ``ashare produce`` writes, so that all write the same bytes; nothing is checked or refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from websockets.asyncio.client import connect

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "127.0.0.1:9092")
TOPIC = os.environ.get("BENCH_OUTPUT", "ashare.ticks.v1")
_EXCHANGES = {"6": "SSE", "0": "SZSE", "3": "SZSE"}  # of A shares; what is left is Beijing's

Record = tuple[bytes, bytes, int]
"""Key, value and timestamp (ms)."""


def record(tick: dict[str, Any], received: int, run: int, n: int) -> dict[str, Any]:
    """A pushed tick as the project's record of it; ``received`` is µs since the epoch."""
    code = tick["code"]
    return {
        "code": code,
        "exchange": _EXCHANGES.get(code[0], "BSE"),
        "price": tick["price"],
        "time": tick["time"],
        "received": received,
        "source": "post-1",
        "run": run,
        "n": n,
        "volume": tick["volume"],
        "turnover": tick["turnover"],
        "side": tick["side"],
        "seq": None,
        "previous_close": tick["previous_close"],
        "quality": None,
    }


async def records() -> AsyncIterator[list[Record]]:
    """The records of each frame."""
    run, n = time.time_ns() // 1_000_000, 0
    feed = os.environ.get("BENCH_FEED", "ws://127.0.0.1:8765")
    async with connect(feed, max_size=None, compression=None, ping_interval=None) as socket:
        await socket.send('{"action":"subscribe","symbols":"*"}')
        async for message in socket:
            received = time.time_ns() // 1000
            made: list[Record] = []
            for tick in orjson.loads(message).get("ticks", ()):
                n += 1
                value = orjson.dumps(record(tick, received, run, n))
                made.append((tick["code"].encode(), value, received // 1000))
            yield made

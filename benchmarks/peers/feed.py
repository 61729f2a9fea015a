"""A feed read as market-data recorders read it: websockets, orjson, one record a tick; and the records of this project.

The records are those that ``ashare produce`` writes, so that all write the same bytes; nothing is checked or refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

import orjson
from websockets.asyncio.client import connect

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "127.0.0.1:9092")
TOPIC = os.environ.get("BENCH_OUTPUT", "ashare.ticks.v1")
_EXCHANGES = {"6": "SSE", "0": "SZSE", "3": "SZSE"}

Record = tuple[bytes, bytes, int]
"""Key, value and timestamp (ms)."""


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
                code = tick["code"]
                record = {
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
                }
                made.append((code.encode(), orjson.dumps(record), received // 1000))
            yield made

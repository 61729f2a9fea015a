"""The changes job on Faust as its documentation shows it: an agent, a table, one event a tick."""

from __future__ import annotations

import os
import sys

import faust
import orjson

THRESHOLD = 500

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    value_serializer="raw",
    store="memory://",
    topic_partitions=12,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    producer_linger=5,
    web_enabled=False,
)
ticks = app.topic(os.environ["BENCH_INPUT"], key_type=bytes, value_type=bytes)
changes = app.topic(os.environ["BENCH_OUTPUT"], key_type=bytes, value_type=bytes)
last = app.Table("last", key_type=str, value_type=int, partitions=12)


@app.agent(ticks)
async def emit(stream: faust.StreamT[bytes]) -> None:
    """Send each move that is larger than the threshold."""
    async for value in stream:
        tick = orjson.loads(value)
        code, price = tick["code"], round(tick["price"] * 10_000)
        previous = last.get(code)
        if previous is None or abs(price - previous) > THRESHOLD:
            last[code] = price
            change = {"code": code, "price": price, "previous": previous, "time": tick["time"]}
            await changes.send(key=code.encode(), value=orjson.dumps(change))  # type: ignore[unused-awaitable]


if __name__ == "__main__":
    sys.argv = ["bench-faust", "worker", "--without-web", "-l", "warn"]
    app.main()

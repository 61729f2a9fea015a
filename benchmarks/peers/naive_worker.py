"""The three jobs as a first version has them: a plain Faust agent; of each tick one INSERT with its commit, one event.

Run as ``python -m benchmarks.peers.naive_worker DIRECTORY``; ticks lie in ``DIRECTORY/ticks.sqlite`` then.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import faust
import orjson

THRESHOLD = 500
DIRECTORY = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

app = faust.App(
    os.environ.get("BENCH_GROUP", "bench-naive"),
    broker=f"kafka://{os.environ.get('BENCH_BOOTSTRAP', '127.0.0.1:9092')}",
    value_serializer="raw",
    store="memory://",
    topic_partitions=12,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    producer_linger=5,
    web_enabled=False,
    datadir=str(DIRECTORY),
)
ticks = app.topic("ashare.ticks.v1", key_type=bytes, value_type=bytes)
changes = app.topic("bench.naive-changes", key_type=bytes, value_type=bytes)
last = app.Table("last", key_type=str, value_type=int, partitions=12)
snapshots = app.Table("snapshots", key_type=str, value_type=dict, partitions=12)


def database() -> sqlite3.Connection:
    """A table of ticks; each INSERT is a transaction, durable as the project's store is."""
    connection = sqlite3.connect(DIRECTORY / "ticks.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS ticks (code, price, time, volume, turnover, side, n)")
    return connection


connection = database() if __name__ == "__main__" else sqlite3.connect(":memory:")


@app.agent(ticks)
async def handle(stream: faust.StreamT[bytes]) -> None:
    """Store the tick, keep the snapshot, send a move that is larger than the threshold."""
    async for value in stream:
        tick = orjson.loads(value)
        code, price = tick["code"], round(tick["price"] * 10_000)
        connection.execute(
            "INSERT INTO ticks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (code, tick["price"], tick["time"], tick["volume"], tick["turnover"], tick["side"], tick["n"]),
        )
        snapshots[code] = {"price": tick["price"], "time": tick["time"]}
        previous = last.get(code)
        if previous is None or abs(price - previous) > THRESHOLD:
            last[code] = price
            change = {"code": code, "price": price, "previous": previous, "time": tick["time"]}
            await changes.send(key=code.encode(), value=orjson.dumps(change))  # type: ignore[unused-awaitable]


if __name__ == "__main__":
    sys.argv = ["bench-naive", "worker", "--without-web", "-l", "warn"]
    app.main()

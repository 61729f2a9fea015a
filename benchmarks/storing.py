"""Each store alone: batches of ticks as the storage agent writes them, and SQLite with nothing around it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import Load
from schemas import encode
from schemas.topics import TICKS
from stores import open_store
from stores.apart import StoreApart
from stores.base import TickBatch, TickStore
from stores.columns import KEY, PLAIN, rows


def batches(ticks: int, width: int) -> list[TickBatch]:
    """Ticks of one partition, so many a batch."""
    made: list[TickBatch] = []
    some = list(Load(ticks).draw())
    for at in range(0, ticks, width):
        part = some[at : at + width]
        offsets = list(range(at, at + len(part)))
        made.append(
            TickBatch(TICKS, 0, offsets, [t.received // 1000 for t in part], part, [encode(tick) for tick in part])
        )
    return made


async def _write(store: TickStore, load: Sequence[TickBatch]) -> float:
    """Ticks/s that a store takes."""
    await store.open()
    try:
        begun = time.perf_counter()
        for batch in load:
            await store.write([batch])
        return sum(len(batch.ticks) for batch in load) / (time.perf_counter() - begun)
    finally:
        await store.close()


async def inside(url: str, load: Sequence[TickBatch]) -> float:
    """Ticks/s of a store in this process."""
    return await _write(open_store(url), load)


async def apart(url: str, load: Sequence[TickBatch]) -> float:
    """Ticks/s of a store in a process of its own, as workers have it."""
    return await _write(StoreApart(url), load)


def raw(path: Path, load: Sequence[TickBatch]) -> float:
    """Ticks/s of the same rows into the same table by ``executemany`` and a commit a batch, WAL, synchronous=FULL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    columns = ", ".join(f"{column.name} {column.sqlite}" for column in PLAIN)
    connection.execute(f"CREATE TABLE ticks ({columns}, PRIMARY KEY ({', '.join(KEY)})) WITHOUT ROWID")
    insert = f"INSERT OR IGNORE INTO ticks VALUES ({', '.join('?' * len(PLAIN))})"  # noqa: S608 - our own names
    begun = time.perf_counter()
    for batch in load:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows(batch)[0])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - begun
    connection.close()
    return sum(len(batch.ticks) for batch in load) / seconds


def one_by_one(path: Path, load: Sequence[TickBatch], seconds: float) -> float:
    """Ticks/s of one INSERT and one commit a tick, for so long at most."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"CREATE TABLE ticks ({', '.join(f'{c.name} {c.sqlite}' for c in PLAIN)})")
    insert = f"INSERT INTO ticks VALUES ({', '.join('?' * len(PLAIN))})"  # noqa: S608 - our own names
    begun, done = time.perf_counter(), 0
    for row in (row for batch in load for row in rows(batch)[0]):
        connection.execute(insert, row)
        done += 1
        if time.perf_counter() - begun > seconds:
            break
    passed = time.perf_counter() - begun
    connection.close()
    return done / passed

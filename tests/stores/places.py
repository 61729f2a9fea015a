"""Real places for ticks, read back by code of their own, and ticks to put there."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from schemas import Level, Tick
from stores import TickBatch, TickReader, TickStore
from stores.apart import StoreApart
from stores.columns import NAMES
from stores.questdb import QuestDbStore
from stores.sqlite import SqliteStore
from stores.urls import QuestDbUrl, parse

Row = dict[str, Any]
NOON = 1_795_147_200_000  # 2026-11-20 12:00 in Shanghai, ms since the epoch
TOPIC = "ashare.ticks.v1"


def tick(number: int, **other: Any) -> Tick:
    """A plausible tick, by default of that number in run 1."""
    n = number
    fields: dict[str, Any] = {
        "code": f"{600_000 + n % 7}",
        "exchange": "SSE",
        "price": 10 + n / 100,
        "time": NOON + n,
        "received": (NOON + n) * 1000,
        "source": "post-1",
        "run": 1,
        "n": n,
        "volume": 100 * n,
    }
    return Tick(**(fields | other))


def book(number: int, **other: Any) -> Tick:
    """A plausible tick with a book and the day's figures."""
    bids = [Level(10.01 - level / 100, 100 * number + level) for level in range(5)]
    beside: dict[str, Any] = {
        "bids": bids,
        "asks": [Level(10.02, 300), Level(10.03, 0.5)],
        "day_open": 10.0,
        "day_high": 10.5,
        "day_low": 9.98,
        "day_volume": 812_300 + number,
        "day_turnover": 8_123_000.25,
        "average": 10.0025,
    }
    return tick(number, **(beside | other))


def batch(ticks: Iterable[Tick], *, partition: int = 0, offset: int = 0, topic: str = TOPIC) -> TickBatch:
    """Ticks at successive offsets."""
    ticks = list(ticks)
    return TickBatch(
        topic, partition, range(offset, offset + len(ticks)), [t.received // 1000 + 5 for t in ticks], ticks
    )


def expected(batches: Iterable[TickBatch]) -> list[Row]:
    """What a store must hold after the batches, of which no two have a tick in common."""
    rows = [
        {name: getattr(tick, name) for name in Tick.__struct_fields__}
        | {side: _text(getattr(tick, side)) for side in ("bids", "asks")}
        | {
            "kafka_topic": batch.topic,
            "kafka_partition": batch.partition,
            "kafka_offset": offset,
            "kafka_timestamp": timestamp,
        }
        for batch in batches
        for tick, offset, timestamp in zip(batch.ticks, batch.offsets, batch.timestamps, strict=True)
    ]
    return in_order(rows)


def _text(levels: Sequence[Level] | None) -> str | None:
    if levels is None:
        return None
    return json.dumps([[level.price, level.volume] for level in levels], separators=(",", ":"))


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["source"], row["run"], row["n"]))


class Place(Protocol):
    """Somewhere that a store can be opened, any number of times."""

    counts: bool  # whether `write` tells new ticks from those that are there

    def store(self) -> TickStore:
        """A store on this place, not opened."""

    def reader(self) -> TickReader:
        """What reads this place."""

    async def rows(self) -> list[Row]:
        """What is there, by source, run and n; a column that a table lacks is null."""


@dataclass
class SqlitePlace:
    """A directory."""

    directory: Path
    counts = True

    def store(self) -> TickStore:
        """See ``Place``."""
        return SqliteStore(self.directory, busy_timeout=5.0)

    def reader(self) -> SqliteStore:
        """See ``Place``."""
        return SqliteStore(self.directory)

    async def rows(self) -> list[Row]:
        """Also makes sure that the files are sound."""
        found: list[Row] = []
        for path in sorted(self.directory.glob("ticks-*.sqlite")):
            with closing(sqlite3.connect(path)) as connection:
                connection.row_factory = sqlite3.Row
                found += [dict.fromkeys(NAMES) | dict(row) for row in connection.execute("SELECT * FROM ticks")]
                assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return in_order(found)


@dataclass
class SqliteApartPlace(SqlitePlace):
    """A directory that a child process writes."""

    def store(self) -> TickStore:
        """See ``Place``."""
        return StoreApart(f"sqlite:///{self.directory}")


@dataclass
class QuestDbPlace:
    """A table of its own."""

    url: QuestDbUrl
    table: str
    address: str = ""  # what `url` was read from
    counts = False

    def store(self) -> TickStore:
        """See ``Place``."""
        return self.reader()

    def reader(self) -> QuestDbStore:
        """See ``Place``."""
        return QuestDbStore(self.url, table=self.table)

    async def rows(self) -> list[Row]:
        """Waits until the server has applied what it took."""
        applied = f"SELECT sequencerTxn = writerTxn FROM wal_tables() WHERE name = '{self.table}'"
        for _ in range(300):
            if self.sql(applied)["dataset"] == [[True]]:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("QuestDB did not apply its log within 15 s")
        answer = self.sql(f"SELECT * FROM {self.table}")
        names = [column["name"] for column in answer["columns"]]
        rows = [dict.fromkeys(NAMES) | dict(zip(names, row, strict=True)) for row in answer["dataset"]]
        for row in rows:
            assert row.pop("timestamp")
        return in_order(rows)

    def sql(self, query: str) -> dict[str, Any]:
        """The server's answer to a query."""
        connection = http.client.HTTPConnection(self.url.host, self.url.port, timeout=30)
        try:
            connection.request("GET", "/exec?" + urlencode({"query": query}), headers=dict(self.url.headers))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


@contextmanager
def fresh_table(url: str) -> Iterator[QuestDbPlace]:
    """A place on a shared server, ``questdb://…``, its table dropped at the end."""
    address = parse(url)
    assert isinstance(address, QuestDbUrl)
    place = QuestDbPlace(address, f"ticks_{uuid.uuid4().hex}", url)
    yield place
    place.sql(f"DROP TABLE IF EXISTS {place.table}")


async def write(place: Place, *writes: Sequence[TickBatch]) -> list[int]:
    """Open, write one after the other, close; what each write returned."""
    store = place.store()
    await store.open()
    try:
        return [await store.write(batches) for batches in writes]
    finally:
        await store.close()

"""The book and the figures of the day in an archive: byte for byte, beside parts without, in SQL and to readers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest

from ashare_client.archive import BESIDE, FIELDS, Archive, values
from consumers.archive.check import faults
from consumers.archive.kinds import kinds
from consumers.archive.run import Request, from_store
from consumers.archive.sql import query
from schemas import BareTick, Level, bounds, decode
from schemas.topics import TICKS
from tests.consumers.archive.records import (
    DAY,
    LATER,
    MIDNIGHT,
    Raw,
    as_archived,
    book,
    chunk,
    keep,
    raw,
    records,
    tick,
    written,
)
from tests.stores.places import SqlitePlace, batch, write

MIXED = [
    book(0),
    tick(1),
    book(2, bids=[], asks=None, day_volume=0.5),
    tick(3, bids=[], asks=[]),
    tick(4, average=0.1 + 0.2),
    book(5, bids=[Level(bounds.MAX_PRICE, bounds.MAX_VOLUME)] * bounds.MAX_LEVELS, day_turnover=1e24),
    tick(6),
]
ODD = [
    Raw(written(MIXED[0]).replace(b"[10.0,", b"[10,")),
    Raw(written(MIXED[0]).replace(b',"average":10.0025', b"")),
    Raw(msgspec.json.encode(tick(7))),
    Raw(b'{"bids":[[[[[['),
    Raw(None),
]
"""As no producer of ours writes them: numbers and fields otherwise, nulls that it leaves out."""


def parts(directory: Path) -> list[Path]:
    return sorted((directory / "ticks").rglob("*.parquet"))


def test_byte_for_byte(tmp_path: Path) -> None:
    """Ticks with a book beside ticks without, and what is written otherwise; only that keeps its JSON."""
    given = [*map(raw, MIXED), *ODD]
    keep(tmp_path, [chunk(given)])
    assert records(tmp_path) == as_archived(given)
    assert list(faults(Archive(tmp_path))) == []
    kept = pq.read_table(parts(tmp_path)[0], partitioning=None).sort_by("kafka_offset")["kafka_value"].to_pylist()
    assert [value is not None for value in kept] == [False] * len(MIXED) + [True] * (len(ODD) - 1) + [False]


def test_a_part_without_books_has_no_column_for_them(tmp_path: Path) -> None:
    """It is what it was before there were any."""
    keep(tmp_path, [chunk([raw(tick(n)) for n in range(50)])])
    schema = pq.read_schema(parts(tmp_path)[0])
    assert schema.names[: len(BareTick.__struct_fields__)] == list(BareTick.__struct_fields__)
    assert schema.names[len(BareTick.__struct_fields__)] == "kafka_topic"
    assert BESIDE not in schema.metadata


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A part without books, one with, of one partition and day."""
    directory = tmp_path / "archive"
    keep(directory, [chunk([raw(tick(n)) for n in range(50)])])
    keep(directory, [chunk([raw(book(n)) for n in range(50, 80)], start=50)])
    return directory


def test_parts_with_and_without_are_read_together(both: Path) -> None:
    """By the client, by DuckDB and by Polars."""
    assert len(parts(both)) == 2
    assert [record.value for record in records(both)] == [
        *(written(tick(n)) for n in range(50)),
        *(written(book(n)) for n in range(50, 80)),
    ]
    assert list(faults(Archive(both))) == []
    files = f"{both}/ticks/*/*/*.parquet"
    best = f"SELECT n, bids[1].price, asks[1].volume, day_high FROM read_parquet('{files}', union_by_name = true)"
    found = duckdb.execute(f"{best} WHERE n IN (3, 60) ORDER BY n").fetchall()
    assert found == [(3, None, None, None), (60, 10.0, 300.0, 10.5)]
    lazy = pl.scan_parquet(parts(both)[1]).select("n", best=pl.col("bids").list.first().struct.field("price"))
    assert lazy.filter(pl.col("n") == 60).collect().rows() == [(60, 10.0)]
    frames = pl.concat([pl.read_parquet(path) for path in parts(both)], how="diagonal")
    assert frames["bids"].null_count() == 50


def test_a_reader_of_before_reads_a_part_with_books(both: Path) -> None:
    """It knows one list of fields, which has not changed, and gives each tick without the rest."""
    table = pq.read_table(parts(both)[1], partitioning=None).sort_by("kafka_offset")
    names = [name for name, *_ in msgspec.json.decode(table.schema.metadata[FIELDS])]
    assert names == list(BareTick.__struct_fields__)
    lean = table.replace_schema_metadata({FIELDS: table.schema.metadata[FIELDS]})
    (some,) = lean.combine_chunks().to_batches()
    found: list[Any] = values(some)
    assert [decode(BareTick, value).n for value in found] == list(range(50, 80))
    assert all(b"bids" not in value for value in found)


def test_a_store_and_an_archive_in_one_query(both: Path, tmp_path: Path) -> None:
    """The book has one form, wherever the tick is."""
    place = SqlitePlace(tmp_path / "store")
    later = [book(n, time=MIDNIGHT + n, bids=[] if n % 2 else None) for n in range(100, 110)]
    asyncio.run(write(place, [batch([*later, tick(110, time=MIDNIGHT + 110)], offset=80, topic=TICKS)]))
    sql = """
        SELECT count(*), count(bids), count(bids[1].price), max(asks[1].price), max(day_high)
        FROM ticks WHERE n >= 40"""
    with query(both, place.reader(), sql) as result:
        assert list(result.rows) == [(51, 35, 30, 10.02, 10.5)]


def test_from_a_store(tmp_path: Path) -> None:
    """What a store kept is what the log had of it."""
    place = SqlitePlace(tmp_path / "store")
    asyncio.run(write(place, [batch(MIXED, topic=TICKS)]))
    (added,) = from_store(Request(tmp_path / "archive", TICKS, kinds()["tick"], now=LATER), place.reader())
    assert (added.date, added.rows) == (DAY, len(MIXED))
    assert [record.value for record in records(tmp_path / "archive")] == [*map(written, MIXED)]

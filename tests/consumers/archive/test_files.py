"""An archive's files are read as they are by others: DuckDB, Polars, Arrow's own datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from schemas import BareTick
from schemas.topics import TICKS
from stores.columns import BESIDE
from tests.consumers.archive.records import DAY, MIDNIGHT, NEXT, Raw, chunk, keep, raw, tick, ticks
from tests.stores.places import batch, expected

TODAY = [tick(n, side="sell" if n % 3 else None, seq=n) for n in range(200)]
TOMORROW = [tick(n, time=MIDNIGHT + n, previous_close=9.5) for n in range(200, 300)]
PLACES = {3: TODAY[:150], 11: [*TODAY[150:], *TOMORROW]}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two days in two partitions."""
    keep(tmp_path, [chunk([raw(one) for one in some], partition=p) for p, some in PLACES.items()])
    return tmp_path


def rows() -> list[dict[str, object]]:
    """What a store would hold of them, which has had no tick with a book."""
    beside = [column.name for column in BESIDE]
    return [
        {name: value for name, value in row.items() if name not in beside}
        | {"kafka_timestamp": row["received"] // 1000}
        for row in expected([batch(some, partition=p, topic=TICKS) for p, some in PLACES.items()])
    ]


def test_layout(archive: Path) -> None:
    """A directory a day and bucket, and no file of another kind among them; rows by code, time and offset."""
    assert sorted(str(path.parent.relative_to(archive)) for path in archive.glob("ticks/**/*") if path.is_file()) == [
        f"ticks/date={DAY}/bucket=03",
        f"ticks/date={DAY}/bucket=11",
        f"ticks/date={NEXT}/bucket=11",
    ]
    for path in archive.glob("ticks/*/*/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        places = list(zip(*(table[name].to_pylist() for name in ("code", "time", "kafka_offset")), strict=True))
        assert places == sorted(places)
        assert {chunk.compression for chunk in _columns(path)} == {"ZSTD"}


def _columns(path: Path) -> list[Any]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    return [group.column(index) for index in range(group.num_columns)]


def test_duckdb(archive: Path) -> None:
    """The table that a store has, under the same names, with the same values; days and buckets by the path."""
    relation = duckdb.read_parquet(f"{archive}/ticks/*/*/*.parquet", hive_partitioning=True)
    names = [*BareTick.__struct_fields__, "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp"]
    found = relation.order("source, run, n").select(*names).fetchall()
    assert [dict(zip(names, row, strict=True)) for row in found] == rows()
    counts = relation.aggregate("date::text AS day, bucket::int AS bucket, count(*) AS rows").order("ALL").fetchall()
    assert counts == [
        (DAY, 3, 150),
        (DAY, 11, 50),
        (NEXT, 11, 100),
    ]


def test_polars_and_arrow(archive: Path) -> None:
    """The same in Polars, of the whole tree as well, and as a dataset."""
    frame = (
        pl.scan_parquet(f"{archive}/ticks/**/*.parquet", hive_partitioning=True).sort("source", "run", "n").collect()
    )
    assert frame.select(list(rows()[0])).to_dicts() == rows()
    assert pl.read_parquet(archive / "ticks", hive_partitioning=True).height == 300
    assert ds.dataset(archive / "ticks", partitioning="hive").count_rows() == 300


def test_what_is_no_tick(tmp_path: Path) -> None:
    """It has a row without fields, its bytes, and the day of its receipt."""
    keep(tmp_path, [chunk([*ticks(3), Raw(b"nothing", MIDNIGHT), Raw(b'{"code":"600519"}')])])
    files = f"{tmp_path}/ticks/*/*/*.parquet"
    found = duckdb.execute(f"SELECT date::text, kafka_offset, code, kafka_value FROM '{files}' ORDER BY 2").fetchall()
    assert [row[:2] for row in found] == [(DAY, 0), (DAY, 1), (DAY, 2), (NEXT, 3), (DAY, 4)]
    assert [row[2:] for row in found[3:]] == [(None, b"nothing"), (None, b'{"code":"600519"}')]
    assert [row[3] for row in found[:3]] == [None] * 3

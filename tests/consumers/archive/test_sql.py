"""SQL over archive and store as one table."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from consumers.archive.kinds import kinds
from consumers.archive.sql import query
from schemas import UsageError
from schemas.topics import TICKS
from stores import duckdb
from stores.columns import NAMES
from tests.consumers.archive.records import DAY, LATER, MIDNIGHT, NEXT, chunk, keep, raw, tick
from tests.stores.places import SqlitePlace, batch, write

TODAY = [tick(n) for n in range(100)]
TOMORROW = [tick(n, time=MIDNIGHT + n, volume=None) for n in range(100, 160)]
COUNT = "SELECT count(*), min(n), max(n), count(DISTINCT n) FROM ticks"


def ask(archive: Path, store: SqlitePlace | None, sql: str, days: Sequence[str] = ()) -> list[tuple[Any, ...]]:
    with query(archive, store.reader() if store else None, sql, days) as result:
        return [tuple(row) for row in result.rows]


def test_stored_and_archived_columns_are_of_one_type() -> None:
    """A store's rows and the archive's have the same columns in DuckDB, whichever a query reads."""
    schema = kinds()["tick"].schema
    assert list(duckdb.SCHEMA) == [schema.field(name) for name in NAMES]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The first day, closed, one of its ticks twice and one record that is not a tick."""
    directory = tmp_path / "an 'archive'"
    twice = [*map(raw, TODAY), raw(TODAY[7]), raw(TODAY[8], value=b"?")]
    keep(directory, [chunk(twice, partition=4)], now=MIDNIGHT)
    return directory


@pytest.fixture
def store(tmp_path: Path) -> SqlitePlace:
    """Both days, the second still growing."""
    place = SqlitePlace(tmp_path / "store")
    batches = [batch(TODAY, partition=4, topic=TICKS), batch(TOMORROW, partition=4, offset=102, topic=TICKS)]
    asyncio.run(write(place, batches))
    return place


def test_together(archive: Path, store: SqlitePlace) -> None:
    """Each tick once: a closed day's of the archive, the others of the store, however often the table is named."""
    assert ask(archive, store, COUNT) == [(160, 0, 159, 160)]
    assert ask(archive, None, COUNT) == [(100, 0, 99, 100)]
    both = "SELECT a.n FROM ticks a JOIN ticks b ON a.n = b.n + 60 WHERE b.time < {0} AND a.time >= {0} ORDER BY 1"
    assert ask(archive, store, both.format(MIDNIGHT)) == [(n,) for n in range(100, 160)]
    every = "SELECT * FROM ticks WHERE n IN (3, 103) ORDER BY n"
    assert [row[:9] for row in ask(archive, store, every)] == [
        (t.code, t.exchange, t.price, t.time, t.received, t.source, t.run, t.n, t.volume)
        for t in (TODAY[3], TOMORROW[3])
    ]


def test_parts_from_before_a_field_was_added(archive: Path, store: SqlitePlace) -> None:
    """Where no part has it, it is null in all of theirs."""
    for path in (archive / "ticks").rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.drop_columns("quality"), path)
    assert ask(archive, store, "SELECT count(*), count(quality) FROM ticks") == [(160, 0)]
    assert ask(archive, None, "SELECT count(*) FROM ticks WHERE quality IS NULL AND n < 50") == [(50,)]


def test_a_day_that_both_hold_in_part(archive: Path, store: SqlitePlace) -> None:
    """Of a day that was archived before it was over, the store gives what the archive does not have."""
    from consumers.archive.keeper import Keeper
    from consumers.archive.kinds import kinds
    from consumers.archive.run import Request, _commit
    from consumers.archive.sink import Sink

    request = Request(archive, TICKS, kinds()["tick"], unfinished=True, now=MIDNIGHT)
    with Keeper(archive) as keeper:
        from ashare_client.archive import Archive

        held = Archive(archive)
        sink = Sink(held, TICKS, request.kind, wanted=request.wanted, staging=keeper.staging, source="log")
        sink.add(chunk([raw(one) for one in TOMORROW[:40]], partition=4, start=102))
        sink.close()
        _commit(keeper, held, request, sink, lambda _: True)
    assert ask(archive, store, COUNT) == [(160, 0, 159, 160)]
    keep(archive, [chunk([raw(one) for one in TOMORROW[40:]], partition=4, start=142)], now=LATER)
    (store.directory / f"ticks-{NEXT}.sqlite").unlink()
    assert ask(archive, store, COUNT) == [(160, 0, 159, 160)]


def test_days(archive: Path, store: SqlitePlace) -> None:
    """Named days only; where they came from is said; one that nobody has is an error."""
    assert ask(archive, store, COUNT, [DAY])[0][0] == 100
    assert ask(archive, store, COUNT, [NEXT])[0][0] == 60
    with pytest.raises(UsageError, match="neither store nor archive has ticks of 2020-01-01"):
        ask(archive, store, COUNT, ["2020-01-01"])
    with query(archive, store.reader(), COUNT) as result:
        assert result.note == f"1 day from the archive {archive}, {NEXT} from the store"


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DELETE FROM ticks", "only read here"),
        ("CREATE TABLE x AS SELECT 1", "only read here"),
        ("COPY ticks TO '{0}/copy.csv'", "only read here"),
        ("SET enable_external_access = true", "only read here"),
        ("SELECT 1; DROP VIEW ticks", "one statement at a time"),
        ("SELECT * FROM read_text('{1}')", "DuckDB: Permission Error"),
        ("SELECT * FROM '{0}/x.csv'", "DuckDB: "),
        ("SELECT foo FROM ticks", 'DuckDB: .*"foo" not found'),
        ("SELEC", "DuckDB: Parser Error"),
        (" ", "there is no statement"),
    ],
)
def test_only_reading(archive: Path, store: SqlitePlace, tmp_path: Path, sql: str, why: str) -> None:
    """Nothing but reading, and nothing but these tables: what is elsewhere on the machine stays closed."""
    before = sorted(tmp_path.rglob("*.parquet")), sorted(tmp_path.rglob("*.csv"))
    with pytest.raises(UsageError, match=why):
        ask(archive, store, sql.format(tmp_path, Path(__file__)))
    assert (sorted(tmp_path.rglob("*.parquet")), sorted(tmp_path.rglob("*.csv"))) == before


ATTACKS = [
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{0}'",
    "explain /* x */ analyze copy (select 1) to '{0}'",
    "/* SELECT */ EXPLAIN -- SELECT 1\n ANALYZE COPY (SELECT 1) TO '{0}'",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{0}'",
    "EXPLAIN (FORMAT json, ANALYZE) COPY (SELECT 1) TO '{0}'",
    "EXPLAIN (ANALYZE true) COPY (SELECT 1) TO '{0}'",
    "EXPLAIN COPY (SELECT 1) TO '{0}'",
    "EXPLAIN ANALYZE EXPORT DATABASE '{1}'",
    "EXPLAIN ANALYZE ATTACH '{0}' AS x",
    "EXPLAIN ANALYZE WITH x AS (COPY ticks TO '{0}') SELECT * FROM x",
    "WITH x AS (COPY ticks TO '{0}') SELECT * FROM x",
    "SELECT (WITH x AS (COPY (SELECT 1) TO '{0}') SELECT * FROM x)",
    "SELECT 1 UNION ALL (WITH x AS (COPY (SELECT 1) TO '{0}') SELECT * FROM x)",
    "SELECT * FROM ticks WHERE n IN (WITH x AS (COPY (SELECT 1) TO '{0}') SELECT * FROM x)",
    "WITH x AS (INSERT INTO ticks SELECT * FROM ticks RETURNING n) SELECT * FROM x",
    "WITH x AS (DELETE FROM ticks RETURNING n) SELECT * FROM x",
    "SELECT 1; COPY (SELECT 1) TO '{0}'",
    "COPY (SELECT 1) TO '{0}'",
    "PREPARE x AS COPY (SELECT 1) TO '{0}'",
    "EXECUTE x",
    "CALL enable_logging(storage_path = '{1}')",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{1}')",
    "SELECT * FROM enable_profiling(format = 'json', save_location = '{0}')",
    "SELECT * FROM query('WITH x AS (COPY ticks TO ''{0}'') FROM x')",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "SELECT * FROM read_duckdb('{0}')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '/etc/hostname'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_csv('{1}/../../outside.csv')",
    "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/hostname')",
    "FROM files",
    "FROM connection",
    "FROM table",
    "INSTALL httpfs",
    "LOAD '{0}'",
    "PRAGMA enable_profiling",
    "SET allowed_directories = ['/']",
    "RESET lock_configuration",
    "CREATE SECRET (TYPE s3)",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "IMPORT DATABASE '{1}'",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_statement_writes_or_reads_elsewhere(archive: Path, store: SqlitePlace, attack: str) -> None:
    """Whatever is not a SELECT of these tables is refused, and every file is as it was."""

    def files() -> dict[str, bytes]:
        found = (path for path in archive.parent.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found if path.suffix in {".parquet", ".json", ".sqlite"}}

    part = next(archive.rglob("*.parquet"))
    before = files()
    with pytest.raises(UsageError):
        ask(archive, store, attack.format(part, archive))
    assert files() == before
    assert ask(archive, store, COUNT) == [(160, 0, 159, 160)]


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT * FROM ticks",
        "explain analyze select count(*) from ticks",
        "EXPLAIN (FORMAT json) SELECT 1",
        "-- how\nEXPLAIN (SELECT 1);",
        "FROM ticks LIMIT 1",
        "VALUES (1)",
        "DESCRIBE ticks",
        "SUMMARIZE ticks",
        "WITH x AS MATERIALIZED (SELECT n FROM ticks) SELECT max(n) FROM x",
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 3) SELECT x FROM a",
        "SELECT * FROM (PIVOT ticks ON side IN ('buy') USING count(*))",
        "SELECT 1 UNION SELECT 2 EXCEPT SELECT 3",
        "SELECT * FROM range(3)",
        "SELECT ';COPY ticks TO x' AS \"drop table\" -- ; DELETE FROM ticks",
        "SELECT avg(price) OVER (PARTITION BY code ORDER BY n) FROM ticks",
    ],
)
def test_what_reads_is_answered(archive: Path, store: SqlitePlace, sql: str) -> None:
    """Every form of a SELECT, and its plan."""
    assert ask(archive, store, sql)


def test_a_store_that_fails(archive: Path, store: SqlitePlace) -> None:
    """A damaged day of the store is named in its own words, not in DuckDB's; other days can be asked for."""
    (store.directory / f"ticks-{NEXT}.sqlite").write_text("no database " * 100)
    for suffix in ("-wal", "-shm"):
        (store.directory / f"ticks-{NEXT}.sqlite{suffix}").unlink(missing_ok=True)
    with pytest.raises(UsageError, match=rf"^{store.directory}/ticks-{NEXT}.sqlite: file is not a database"):
        ask(archive, store, COUNT)
    assert ask(archive, store, COUNT, [DAY])[0][0] == 100

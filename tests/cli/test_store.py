"""``ashare store …``: SQL on what was stored, and nothing but reading; a day written again."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from broker import admin
from cli.main import app
from deploy.embedded import QuestDB
from schemas import UsageError, encode
from schemas.topics import TICKS, topics
from stores.urls import QuestDbUrl, parse
from tests.stores.places import NOON, QuestDbPlace, SqlitePlace, batch, fresh_table, tick, write

DAY = 86_400_000
COUNT = "SELECT count(*) AS n FROM ticks"


def query(place: SqlitePlace | QuestDbPlace, *arguments: str) -> Result:
    url = f"sqlite:///{place.directory}" if isinstance(place, SqlitePlace) else place.address
    result = CliRunner().invoke(app, ["store", "query", *arguments, "--store", url], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def lines(result: Result) -> list[object]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def questdb_place(questdb: QuestDB) -> Iterator[QuestDbPlace]:
    with fresh_table(questdb.url) as place:
        yield place


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    """Three ticks of one day."""
    place = SqlitePlace(tmp_path / "a 100% ticks?#")
    asyncio.run(
        write(place, [batch([tick(1, price=1700.01), tick(2, volume=None, side="buy"), tick(3, source="行情")])])
    )
    return place


def test_json(place: SqlitePlace) -> None:
    """One object a row, numbers as numbers, null as null."""
    sql = "SELECT n, price, volume, side, source, kafka_offset FROM ticks ORDER BY n"
    assert lines(query(place, sql, "--json")) == [
        {"n": 1, "price": 1700.01, "volume": 100, "side": None, "source": "post-1", "kafka_offset": 0},
        {"n": 2, "price": 10.02, "volume": None, "side": "buy", "source": "post-1", "kafka_offset": 1},
        {"n": 3, "price": 10.03, "volume": 300, "side": None, "source": "行情", "kafka_offset": 2},
    ]


def test_csv(place: SqlitePlace) -> None:
    """A header, then the rows; null is empty."""
    printed = query(place, "SELECT n, volume, source FROM ticks ORDER BY n", "--csv").stdout
    assert list(csv.reader(io.StringIO(printed))) == [
        ["n", "volume", "source"],
        ["1", "100", "post-1"],
        ["2", "", "post-1"],
        ["3", "300", "行情"],
    ]


def test_a_table(place: SqlitePlace) -> None:
    """Nothing is cut where nobody has a terminal, and a long answer says that it is one."""
    table = query(place, "SELECT * FROM ticks").stdout
    assert "kafka_timestamp (Shanghai)" in table
    assert "2026-11-20 12:00:00.001" in table
    endless = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a"
    result = query(place, endless)
    assert "1000" in result.stdout
    assert "only the first 1000 rows" in result.stderr


def test_days(tmp_path: Path) -> None:
    """As many days as SQLite attaches: the newest, said aloud, or those that are named."""
    place = SqlitePlace(tmp_path)
    asyncio.run(write(place, [batch(tick(day, time=NOON + day * DAY) for day in range(12))]))
    result = query(place, COUNT, "--json")
    assert lines(result) == [{"n": 10}]
    assert "the newest 10 of 12 days, 2026-11-22 to 2026-12-01; --day chooses others" in result.stderr
    named = query(place, "SELECT n FROM ticks ORDER BY n", "--json", "--day", "2026-11-20", "--day", "2026-12-01")
    assert lines(named) == [{"n": 0}, {"n": 11}]
    assert named.stderr == ""
    with pytest.raises(UsageError, match=r"no ticks-2025-01-01.sqlite in .*: its days are 2026-11-20 to 2026-12-01"):
        query(place, COUNT, "--day", "2025-01-01")
    with pytest.raises(UsageError, match="at most 10 days"):
        query(place, COUNT, *["--day=2026-11-20"] * 11)


def test_while_ticks_come_in(place: SqlitePlace) -> None:
    """What a worker has just committed is there, its file still open; a file that it is just making is passed over."""

    async def live() -> list[object]:
        store = place.store()
        await store.open()
        await store.write([batch([tick(9)])])
        (place.directory / "ticks-2026-11-21.sqlite").touch()
        try:
            return lines(await asyncio.to_thread(query, place, COUNT, "--json"))
        finally:
            await store.close()

    assert asyncio.run(live()) == [{"n": 4}]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM ticks",
        "UPDATE ticks SET price = 1",
        "INSERT INTO day0.ticks SELECT * FROM ticks",
        "DROP VIEW ticks",
        "DROP TABLE day0.ticks",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x AS SELECT 1",
        "ATTACH '{0}/new.sqlite' AS new",
        "VACUUM INTO '{0}/copy.sqlite'",
        "PRAGMA query_only = OFF",
        "PRAGMA day0.user_version = 7",
        "BEGIN IMMEDIATE",
        "EXPLAIN DELETE FROM ticks",
        "WITH x AS (SELECT 1) DELETE FROM ticks",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DETACH day0",
        "REINDEX",
        "ANALYZE day0",
    ],
)
def test_only_reading(place: SqlitePlace, sql: str) -> None:
    """Whatever would change something is refused, and nothing changes."""

    def there() -> dict[str, bytes]:
        # A reader leaves an empty log and its shared memory, for the next one to find.
        return {path.name: path.read_bytes() for path in place.directory.iterdir() if path.suffix == ".sqlite"}

    before = there()
    with pytest.raises(UsageError, match="the store is only read here: write a SELECT"):
        query(place, sql.format(place.directory))
    assert there() == before


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT foo FROM ticks", "no such column: foo"),
        ("SELEC", 'near "SELEC": syntax error'),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT load_extension('x')", "not authorized"),
        (" ", "there is no statement"),
    ],
)
def test_wrong_sql(place: SqlitePlace, sql: str, why: str) -> None:
    """The database's own words, without a traceback."""
    with pytest.raises(UsageError, match=why):
        query(place, sql)


def test_nothing_to_read(place: SqlitePlace, tmp_path: Path) -> None:
    """No directory, no files in it, a file of somebody else: each is said."""
    with pytest.raises(UsageError, match="there is no store"):
        query(SqlitePlace(tmp_path / "none"), COUNT)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no ticks yet"):
        query(SqlitePlace(tmp_path / "empty"), COUNT)
    with closing(sqlite3.connect(place.directory / "ticks-2026-11-21.sqlite")) as other:
        other.execute("CREATE TABLE ticks (x)")
    with pytest.raises(UsageError, match="not a file of this store"):
        query(place, COUNT)
    (place.directory / "ticks-2026-11-21.sqlite").write_text("no database " * 100)
    with pytest.raises(UsageError, match=r"ticks-2026-11-21.sqlite: file is not a database"):
        query(place, COUNT)
    with pytest.raises(UsageError, match="exclude each other"):
        query(place, COUNT, "--json", "--csv")


def test_a_reader_that_has_enough(place: SqlitePlace) -> None:
    """`| head -1` ends the command quietly."""
    sql = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a"
    arguments = ["store", "query", sql, "--json", "--store", f"sqlite:///{place.directory}"]
    with subprocess.Popen(
        [sys.executable, "-c", "import cli.main; cli.main.main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'{"x":1}\n'
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_questdb(questdb_place: QuestDbPlace) -> None:
    """The same command, the server's SQL, and only reading there too."""
    asyncio.run(write(questdb_place, [batch([tick(1, price=1700.01), tick(2, volume=None)])]))
    asyncio.run(questdb_place.rows())
    table = questdb_place.table
    assert lines(query(questdb_place, f"SELECT n, price, volume FROM {table} ORDER BY n", "--json")) == [
        {"n": 1, "price": 1700.01, "volume": 100.0},
        {"n": 2, "price": 10.02, "volume": None},
    ]
    assert lines(
        query(
            questdb_place,
            f"with x as (select n from {table} where source <> 'update') select max(n) m from x",
            "--json",
        )
    ) == [{"m": 2}]
    for sql in [
        f"DROP TABLE {table}",
        f"TRUNCATE TABLE {table}",
        f"/* SELECT */ UPDATE {table} SET price = 1",
        f"WITH x AS (SELECT 1) UPDATE {table} SET price = 1",
        f"with x as (select 1) /* ' */ insert into {table} select * from x --'",
        "",
    ]:
        with pytest.raises(UsageError, match="the store is only read here"):
            query(questdb_place, sql)
    for sql, why in [
        (f"SELECT 1; DROP TABLE {table}", "one statement at a time"),
        (f"SELECT 1 FROM {table}; SELECT 2;", "one statement at a time"),
        (f"SELECT 'a;b' -- ; \n; DROP TABLE {table}", "one statement at a time"),
        (f"EXPLAIN UPDATE {table} SET price = 1", "only read here"),
        (f"EXPLAIN INSERT INTO {table} SELECT * FROM {table}", "only read here"),
        (f"EXPLAIN WITH x AS (SELECT 1) UPDATE {table} SET price = 1", "only read here"),
        (f"WITH x AS (SELECT 1) SELECT 1) ; DROP TABLE {table} --", "one statement at a time"),
        (f"ALTER TABLE {table} DROP COLUMN side", "only read here"),
        (f"COPY {table} TO 'x'", "only read here"),
        (f"VACUUM TABLE {table}", "only read here"),
        (f"BACKUP TABLE {table}", "only read here"),
        (f"CREATE TABLE {table}x AS (SELECT 1)", "only read here"),
        ("CHECKPOINT CREATE", "only read here"),
        ("SELECT * FROM files('/etc')", "the function files can't be called"),
        ("SELECT * FROM (SELECT * FROM FILES /* a */ ('/etc'))", "the function files can't be called"),
        ("/* /* */ ' */ SELECT * FROM files/**/('/etc') --'", "only read here|function files"),
        ("SELECT * FROM read_parquet('/etc/hostname')", "read_parquet can't be called"),
        ("EXPLAIN SELECT * FROM glob('/etc/*')", "glob can't be called"),
        ("SELECT reload_config()", "reload_config can't be called"),
        ("SELECT cancel_query(1)", "cancel_query can't be called"),
    ]:
        with pytest.raises(UsageError, match=why):
            query(questdb_place, sql)
    for sql in [
        f"SELECT * FROM {table} ORDER BY n LIMIT 1;",
        f"EXPLAIN SELECT * FROM {table}",
        f"EXPLAIN (FORMAT JSON) SELECT * FROM {table} -- it",
        "SELECT 'a;b' AS files FROM long_sequence(1)",
        f"SHOW COLUMNS FROM {table}",
        f"SELECT code, max(price) FROM {table} SAMPLE BY 1h",
        f"SELECT a.n, b.n FROM {table} a JOIN {table} b ON a.n = b.n",
        f"SELECT * FROM {table} LATEST ON timestamp PARTITION BY code",
    ]:
        assert lines(query(questdb_place, sql, "--json"))
    with pytest.raises(UsageError, match=r"QuestDB: Invalid column: foo \(at character 8\)"):
        query(questdb_place, f"SELECT foo FROM {table}")
    with pytest.raises(UsageError, match=r"QuestDB: Invalid column: foo \(at character 16\)"):
        query(questdb_place, f"EXPLAIN SELECT foo FROM {table}")
    with pytest.raises(UsageError, match="WHERE timestamp IN"):
        query(questdb_place, "SELECT 1", "--day", "2026-11-20")
    assert [row["price"] for row in asyncio.run(questdb_place.rows())] == [1700.01, 10.02]


def test_no_questdb() -> None:
    """Nobody at the address is said in one line."""
    arguments = ["store", "query", "SELECT 1", "--store", "questdb://127.0.0.1:1"]
    with pytest.raises(UsageError, match=r"no QuestDB answers at http://127.0.0.1:1 .*: start it"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def refill(place: SqlitePlace | QuestDbPlace, *arguments: object) -> Result:
    url = f"sqlite:///{place.directory}" if isinstance(place, SqlitePlace) else place.address
    given = ["store", "refill", "--store", url, *map(str, arguments)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_refill_from_the_archive(place: SqlitePlace, tmp_path: Path) -> None:
    """What is missing of a day comes back; the last line counts it."""
    archive, other = tmp_path / "archive", SqlitePlace(tmp_path / "other")
    archived = ["archive", "--dir", str(archive), "--from-store", f"sqlite:///{place.directory}"]
    CliRunner().invoke(app, archived, env={"ASHARE_KAFKA_BOOTSTRAP": "127.0.0.1:1"})  # not a demo that may be running
    arguments = ["--day", "2026-11-20", "--from", "archive", "--archive", archive]
    assert refill(place, *arguments).stdout == "2026-11-20: 3 from the archive read, 0 of them new to the store\n"
    result = refill(other, *arguments)
    assert result.stdout == "2026-11-20: 3 from the archive read, 3 of them new to the store\n"
    assert result.stderr == ""
    assert asyncio.run(other.rows()) == asyncio.run(place.rows())


def test_refill_of_questdb(place: SqlitePlace, questdb: QuestDB, tmp_path: Path) -> None:
    """A server can't tell what was new, and the line says so."""
    archive = tmp_path / "archive"
    archived = ["archive", "--dir", str(archive), "--from-store", f"sqlite:///{place.directory}"]
    CliRunner().invoke(app, archived, env={"ASHARE_KAFKA_BOOTSTRAP": "127.0.0.1:1"})  # not a demo that may be running
    address = parse(questdb.url)
    assert isinstance(address, QuestDbUrl)
    table = QuestDbPlace(address, "ticks", questdb.url)
    result = refill(table, "--day", "20261120", "--from", "archive", "--archive", archive)
    assert result.stdout == "2026-11-20: 3 from the archive read, 3 written, each of which the store keeps once\n"
    stored = asyncio.run(table.rows())
    assert all(row in stored for row in asyncio.run(place.rows()))


def test_refill_from_kafka(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick topic's records of the day, and no other day's; without an archive, Kafka is all there is."""
    place = SqlitePlace(tmp_path / "ticks")
    noon = NOON - 15 * DAY

    async def put() -> None:
        await admin.apply(bootstrap, topics())
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        for n in range(5):
            one = tick(n, time=noon + n // 4 * DAY, source="refill")
            await producer.send_and_wait(TICKS, encode(one), one.code.encode(), timestamp_ms=one.received // 1000)
        await producer.stop()

    asyncio.run(put())
    monkeypatch.chdir(tmp_path)  # no archive here
    result = refill(place, "--day", "2026-11-05", "--bootstrap", bootstrap)
    assert result.stdout == "2026-11-05: 4 from Kafka read, 4 of them new to the store\n"
    assert [row["n"] for row in asyncio.run(place.rows())] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--day", "20th"], "--day '20th' is not a date: write it YYYY-MM-DD"),
        (["--day", "2999-01-01"], "--day 2999-01-01 is in the future: in Shanghai it is 20"),
        (["--day", "2026-11-20", "--store", "mysql://x"], "'mysql://x' is not a store's address"),
        (["--day", "2026-11-20", "--archive", "no/such"], "--archive no/such: no such directory"),
        (["--day", "2026-11-20", "--bootstrap", "127.0.0.1:1"], "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_refill_with_wrong_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    """Said in one line that names the way out, before anything is written."""
    given = ["store", "refill", "--store", f"sqlite:///{tmp_path}/ticks", *arguments]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=why):
        CliRunner().invoke(app, given, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []

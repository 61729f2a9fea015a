"""Tables from before a column was added are written and read on; so are those without a tick that needed one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploy.embedded import QuestDB
from schemas.topics import TICKS
from stores.columns import ADDED, BESIDE, NAMES, PLAIN
from tests.stores.places import QuestDbPlace, SqlitePlace, batch, book, expected, fresh_table, tick, write

DAY = "2026-11-20"
NEXT_DAY = 86_400_000
OLD = [batch([tick(1), tick(2)], topic=TICKS)]
NEW = [batch([tick(3, quality="off_grid"), tick(4)], offset=2, topic=TICKS)]


@pytest.fixture
def older(tmp_path: Path) -> SqlitePlace:
    """A day's file without the columns that were added since."""
    place = SqlitePlace(tmp_path)
    asyncio.run(write(place, OLD))
    with closing(sqlite3.connect(tmp_path / f"ticks-{DAY}.sqlite")) as connection:
        for column in ADDED:
            connection.execute(f"ALTER TABLE ticks DROP COLUMN {column.name}")
    return place


def test_an_older_file_is_read(older: SqlitePlace) -> None:
    """The columns that it lacks are null, beside files that have them; nothing is written into it."""
    later = batch([tick(5, time=OLD[0].ticks[0].time + NEXT_DAY, quality="backwards")], topic=TICKS)
    path = older.directory / f"ticks-{DAY}.sqlite"
    before = path.read_bytes()
    other = SqlitePlace(older.directory / "other")
    asyncio.run(write(other, [later]))
    (other.directory / "ticks-2026-11-21.sqlite").rename(older.directory / "ticks-2026-11-21.sqlite")
    with older.reader().query("SELECT n, quality FROM ticks ORDER BY n") as result:
        assert list(result.rows) == [(1, None), (2, None), (5, "backwards")]
    stored = [row for some in older.reader().rows(DAY, TICKS) for row in some]
    assert [dict(zip(NAMES, row, strict=True)) for row in stored] == expected(OLD)
    assert path.read_bytes() == before


def test_an_older_file_is_written(older: SqlitePlace) -> None:
    """It gets the columns that it lacks; what was there stays, and is recognised."""
    assert asyncio.run(write(older, [*OLD, *NEW])) == [2]
    assert asyncio.run(older.rows()) == expected([*OLD, *NEW])


def columns(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / f"ticks-{DAY}.sqlite")) as connection:
        return [name for _, name, *_ in connection.execute("PRAGMA table_info(ticks)")]


def test_a_file_gets_the_columns_of_a_book_with_the_first_one(older: SqlitePlace) -> None:
    """Also one of an older layout, which another store has open meanwhile; SQL gives null before that."""
    assert asyncio.run(write(older, NEW)) == [2]
    plain = [column.name for column in PLAIN]
    assert sorted(columns(older.directory)) == sorted(plain)
    with older.reader().query("SELECT n, bids, day_high FROM ticks ORDER BY n LIMIT 1") as result:
        assert list(result.rows) == [(1, None, None)]
    later = [batch([book(5), tick(6)], offset=4, topic=TICKS)]
    last = [batch([tick(7), book(8)], offset=6, topic=TICKS)]

    async def two() -> list[int]:
        one, other = older.store(), older.store()
        for store in (one, other):
            await store.open()
            await store.write(OLD)
        written = [await one.write(later), await other.write([*later, *last]), await one.write(last)]
        for store in (one, other):
            await store.close()
        return written

    assert asyncio.run(two()) == [2, 2, 0]
    assert columns(older.directory)[-len(BESIDE) :] == [column.name for column in BESIDE]
    assert asyncio.run(older.rows()) == expected([*OLD, *NEW, *later, *last])
    with older.reader().query("SELECT n, bids ->> '$[0][0]' FROM ticks WHERE bids NOT NULL ORDER BY n") as result:
        assert list(result.rows) == [(5, 10.01), (8, 10.01)]


@pytest.fixture
def questdb_place(questdb: QuestDB) -> Iterator[QuestDbPlace]:
    with fresh_table(questdb.url) as place:
        yield place


async def test_an_older_questdb_table(questdb_place: QuestDbPlace) -> None:
    """It is read with nulls, and gets the columns when it is written."""
    await write(questdb_place, OLD)
    for column in ADDED:
        questdb_place.sql(f"ALTER TABLE {questdb_place.table} DROP COLUMN {column.name}")
    await questdb_place.rows()
    stored = questdb_place.reader()
    rows = [row for some in stored.rows(DAY, TICKS) for row in some]
    assert [row[NAMES.index("quality")] for row in rows] == [None, None]
    await write(questdb_place, NEW)
    assert await questdb_place.rows() == expected([*OLD, *NEW])
    rows = [row for some in stored.rows(DAY, TICKS) for row in some]
    assert [row[NAMES.index("quality")] for row in rows] == [None, None, "off_grid", None]


async def test_a_questdb_table_gets_the_columns_of_a_book_with_the_first_one(questdb_place: QuestDbPlace) -> None:
    """Also while another store writes the table; what was there stays."""
    one, other = questdb_place.store(), questdb_place.store()
    later = [batch([book(5), tick(6)], offset=4, topic=TICKS)]
    last = [batch([tick(7), book(8)], offset=6, topic=TICKS)]
    for store in (one, other):
        await store.open()
        await store.write(OLD)
    await questdb_place.rows()
    found = questdb_place.sql(f"SELECT \"column\" FROM table_columns('{questdb_place.table}')")["dataset"]
    assert {name for (name,) in found} == {"timestamp", *(column.name for column in PLAIN)}
    await one.write(later)
    await other.write(last)
    await one.write(last)
    await one.close()
    await other.close()
    assert await questdb_place.rows() == expected([*OLD, *later, *last])
    types = questdb_place.sql(f"SELECT \"column\", type FROM table_columns('{questdb_place.table}')")["dataset"]
    assert [tuple(row) for row in types[-len(BESIDE) :]] == [(column.name, column.questdb) for column in BESIDE]

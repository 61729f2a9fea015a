"""Tables from before a column was added are written and read on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploy.embedded import QuestDB
from schemas.topics import TICKS
from stores.columns import ADDED, NAMES
from tests.stores.places import QuestDbPlace, SqlitePlace, batch, expected, fresh_table, tick, write

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

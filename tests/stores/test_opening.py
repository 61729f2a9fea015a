"""A store that can't be opened at once: what is away is opened later, what can't be used says what is to be mended."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from deploy.embedded import QuestDB
from schemas import UsageError
from stores import StoreError, TickStore, sqlite
from stores.apart import StoreApart
from stores.day_file import DayFile
from stores.questdb import QuestDbStore
from stores.urls import QuestDbUrl, parse
from tests.stores.places import NOON, Place, QuestDbPlace, SqliteApartPlace, SqlitePlace, batch, expected, tick
from tests.stores.test_apart import Gate

TICKS = [batch([tick(1), tick(2)])]


@pytest.mark.parametrize("apart", [False, True])
async def test_a_server_that_is_away_at_start(questdb: QuestDB, apart: bool) -> None:
    """Each try fails as one to repeat, nothing is written meanwhile; the same object opens when the server is there."""
    url = parse(questdb.url)
    assert isinstance(url, QuestDbUrl)
    gate = Gate(questdb.url, url.host, url.port)
    behind = parse(gate.url)
    assert isinstance(behind, QuestDbUrl)
    store: TickStore = StoreApart(gate.url) if apart else QuestDbStore(behind)
    try:
        for _ in range(3):
            with pytest.raises(StoreError, match="can't be reached"):
                await store.open()
            with pytest.raises(StoreError, match="is not open"):
                await store.write(TICKS)
        await gate.open()
        await store.open()
        assert await store.write([batch([tick(1, source=f"away {apart}")])]) == 1
    finally:
        await store.close()
        await gate.shut()


@pytest.fixture(params=[SqlitePlace, SqliteApartPlace])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> SqlitePlace:
    """An empty place of SQLite's, in this process and in one of its own."""
    place: SqlitePlace = request.param(tmp_path / "ticks")
    return place


async def opened_later(store: TickStore, place: Place) -> None:
    """The same object, when what was in its way is gone."""
    await store.open()
    await store.write(TICKS)
    await store.close()
    assert await place.rows() == expected(TICKS)


async def test_a_directory_that_can_not_be_used(directory: SqlitePlace) -> None:
    """No try helps until somebody mends it, and then the same object opens."""
    directory.directory.write_text("a file")
    store = directory.store()
    for _ in range(2):
        with pytest.raises(UsageError, match="the store's directory can't be used"):
            await store.open()
    directory.directory.unlink()
    await opened_later(store, directory)


async def test_a_file_of_somebody_else(directory: SqlitePlace) -> None:
    """Likewise; what is there stays as it is."""
    directory.directory.mkdir()
    path = directory.directory / "ticks-2026-11-19.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE ticks (x)")
    before = path.read_bytes()
    store = directory.store()
    with pytest.raises(UsageError, match="is not a file of this store: move it away"):
        await store.open()
    assert path.read_bytes() == before
    path.unlink()
    await opened_later(store, directory)


async def test_a_disk_that_is_full_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have room later: a try to repeat."""
    place = SqlitePlace(tmp_path / "ticks")
    store = place.store()

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_make", full)
        for _ in range(2):
            with pytest.raises(StoreError, match="No space left on device"):
                await store.open()
    await opened_later(store, place)


async def test_a_file_that_is_locked_at_start(tmp_path: Path) -> None:
    """The lock may go: a try to repeat, which says who is in the way."""
    place = SqlitePlace(tmp_path / "ticks")
    first = place.store()
    await first.open()
    await first.write([batch([tick(3, time=NOON - 1)], offset=7)])
    await first.close()
    store = sqlite.SqliteStore(place.directory, busy_timeout=0.05)
    with closing(sqlite3.connect(place.directory / "ticks-2026-11-20.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another process is writing or keeps it locked"):
            await store.open()
    await store.open()
    await store.write(TICKS)
    await store.close()
    assert await place.rows() == expected([*TICKS, batch([tick(3, time=NOON - 1)], offset=7)])


async def test_a_table_of_somebody_else_at_start(questdb_place: QuestDbPlace) -> None:
    """The error says what to do; when that is done the same object opens."""
    questdb_place.sql(f"CREATE TABLE {questdb_place.table} (code STRING)")
    store = questdb_place.store()
    for _ in range(2):
        with pytest.raises(UsageError, match="rename that table"):
            await store.open()
    questdb_place.sql(f"DROP TABLE {questdb_place.table}")
    await opened_later(store, questdb_place)


async def test_a_server_that_refuses_for_now(questdb_place: QuestDbPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement of ours that the server does not take, busy as it is, is tried again."""
    store = questdb_place.store()
    with monkeypatch.context() as patched:
        patched.setattr("stores.questdb._ID", "SELECT * FROM tables_that_are_busy WHERE '{}' = ''")
        with pytest.raises(StoreError, match=r"refused .*tables_that_are_busy"):
            await store.open()
    await opened_later(store, questdb_place)


async def test_an_opening_that_is_given_up(directory: SqlitePlace) -> None:
    """Cancelled at any moment, it leaves nothing that is in the way of the next."""
    store = directory.store()
    for wait in (0.0, 0.0, 0.01, 0.1):
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(wait)
        opening.cancel()
        await asyncio.wait([opening])
    await opened_later(store, directory)


async def test_an_opening_that_is_given_up_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it still does in its thread ends before the next try begins, and what it opened is of use to that."""
    place = SqlitePlace(tmp_path / "ticks")
    first = place.store()
    await first.open()
    await first.write(TICKS)
    await first.close()
    store = place.store()
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path, busy_timeout: float) -> DayFile:
        begun.set()
        assert go_on.wait(30)
        return DayFile(path, busy_timeout)

    monkeypatch.setattr(sqlite, "DayFile", slow)
    opening = asyncio.ensure_future(store.open())
    await asyncio.to_thread(begun.wait, 30)
    opening.cancel()
    await asyncio.wait([opening])
    go_on.set()
    await opened_later(store, place)

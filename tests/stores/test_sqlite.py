"""What is SQLite's alone: its files, what can go wrong with a disk, and any history of writes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas import UsageError
from stores import StoreError, TickBatch
from stores.sqlite import SqliteStore
from tests.stores.places import NOON, SqlitePlace, batch, expected, tick, write

DAY = 86_400_000
FILE = "ticks-2026-11-20.sqlite"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "deep" / "er")


async def test_a_file_a_shanghai_day(place: SqlitePlace) -> None:
    """Midnight in Shanghai starts the next file; a clean close leaves nothing but the files."""
    await write(place, [batch([tick(0, time=NOON + DAY // 2 - 1), tick(1, time=NOON + DAY // 2), tick(2, time=NOON)])])
    assert sorted(path.name for path in place.directory.iterdir()) == [FILE, "ticks-2026-11-21.sqlite"]
    with closing(sqlite3.connect(place.directory / FILE)) as connection:
        assert [row[0] for row in connection.execute("SELECT n FROM ticks")] == [0, 2]
        assert dict(connection.execute("SELECT key, value FROM meta")) == {
            "layout": "ashare-stream ticks",
            "version": "1",
        }
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_few_files_are_open_at_once(place: SqlitePlace) -> None:
    """A replay over many days closes the days that it has left."""
    store = SqliteStore(place.directory)
    await store.open()
    days = [batch([tick(day, time=NOON + day * DAY)]) for day in range(8)]
    for day in [*days, *reversed(days)]:
        await store.write([day])
        assert len(list(place.directory.glob("*-wal"))) <= 3
    await store.close()
    assert await place.rows() == expected(days)


async def test_a_file_that_was_moved_away(place: SqlitePlace) -> None:
    """Ticks go to the file that the path names, never on into one that was deleted or archived."""
    store = place.store()
    await store.open()
    await store.write([batch([tick(1)])])
    for path in place.directory.iterdir():
        path.unlink()
    await store.write([batch([tick(2)])])
    shutil.rmtree(place.directory)
    with pytest.raises(StoreError, match="the directory must exist"):
        await store.write([batch([tick(3)])])
    place.directory.mkdir()
    await store.write([batch([tick(3)])])
    await store.close()
    assert await place.rows() == expected([batch([tick(3)])])


async def test_another_process_holds_the_file(place: SqlitePlace) -> None:
    """A lock is waited for; a lasting one is an error that names the file, and the write succeeds once it is gone."""
    store = SqliteStore(place.directory, busy_timeout=0.2)
    await store.open()
    await store.write([batch([tick(1)])])
    with closing(sqlite3.connect(place.directory / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=rf"{FILE}: database is locked: another process"):
            await store.write([batch([tick(2)])])
        other.execute("ROLLBACK")
    assert await store.write([batch([tick(2)])]) == 1
    await store.close()


async def test_a_reader_does_not_stop_the_writer(place: SqlitePlace) -> None:
    """A long query goes on seeing its own state while ticks come in."""
    store = place.store()
    await store.open()
    await store.write([batch([tick(1)])])
    with closing(sqlite3.connect(place.directory / FILE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM ticks").fetchone() == (1,)
        for n in range(2, 30):
            await store.write([batch([tick(n)])])
        assert reader.execute("SELECT count(*) FROM ticks").fetchone() == (1,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM ticks").fetchone() == (29,)
    await store.close()


FULL = """
import asyncio, resource, sys
from stores import StoreError
from tests.stores.places import *

async def main():
    store = SqlitePlace(Path(sys.argv[1])).store()
    await store.open()
    await store.write([batch(map(tick, range(100)))])
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
    big = [batch(map(tick, range(100, 3000)), offset=100)]
    for _ in range(2):
        try:
            print("kept", await store.write(big))
        except StoreError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    print("kept", await store.write(big))
    await store.close()

asyncio.run(main())
"""


def test_a_disk_that_takes_no_more(place: SqlitePlace) -> None:
    """A write that the system cuts short leaves nothing behind and succeeds when there is room again."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(place.directory)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first == second
    assert first.startswith(
        f"{place.directory / FILE}: disk I/O error: the disk, its quota or the limit on a file's size"
    )
    assert third == "kept 2900"
    assert asyncio.run(place.rows()) == expected([batch(map(tick, range(3000)))])


async def test_a_damaged_file(place: SqlitePlace) -> None:
    """Damage is an error that says how to mend it; with the file moved away, its day is written anew."""
    await write(place, [batch(map(tick, range(2000)))])
    path = place.directory / FILE
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"malformed: the file is damaged: move it away"):
        await write(place, [batch([tick(2001)])])
    path.unlink()
    assert await write(place, [batch([tick(2001)])]) == [1]


def _text(path: Path) -> None:
    path.write_text("not a database, but longer than the header of one: " * 20)


def _other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ticks (code TEXT)")


def _meta(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (name TEXT)")


def _newer(path: Path) -> None:
    asyncio.run(write(SqlitePlace(path.parent), [batch([tick(1)])]))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'version'")
        connection.commit()


def _changed(path: Path) -> None:
    asyncio.run(write(SqlitePlace(path.parent), [batch([tick(1)])]))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE ticks DROP COLUMN seq")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_text, "not a file of this store: move it away"),
        (_other, "not a file of this store: move it away"),
        (_meta, "not a file of this store: move it away"),
        (_newer, "has version 2 of the layout, this program reads and writes 1"),
        (_changed, "lacks seq"),
    ],
)
def test_a_file_that_is_not_ours(place: SqlitePlace, make: object, why: str) -> None:
    """It is refused when the store opens, or when its day comes, and not a byte of it changes."""
    place.directory.mkdir(parents=True)
    path = place.directory / FILE
    make(path)  # type: ignore[operator]
    before = path.read_bytes()

    async def look() -> None:
        with pytest.raises(UsageError, match=f"{FILE} .*{why}|{FILE}: .*{why}"):
            await write(place)
        path.rename(path.with_suffix(".away"))
        store = place.store()
        await store.open()
        path.with_suffix(".away").rename(path)
        with pytest.raises(UsageError, match=why):
            await store.write([batch([tick(1)])])
        await store.close()

    asyncio.run(look())
    assert path.read_bytes() == before


async def test_a_file_that_was_never_finished(place: SqlitePlace) -> None:
    """A kill while a day's file was made leaves an empty one, which is made good."""
    place.directory.mkdir(parents=True)
    (place.directory / FILE).touch()
    assert await write(place, [batch([tick(1)])]) == [1]


async def test_a_directory_that_can_not_be_one(place: SqlitePlace) -> None:
    """A file in the directory's place is the user's to move."""
    place.directory.parent.mkdir(parents=True)
    place.directory.touch()
    with pytest.raises(UsageError, match="directory can't be used"):
        await write(place)
    with pytest.raises(UsageError, match="directory can't be used"):
        await SqliteStore(place.directory / "below").open()


class Histories(RuleBasedStateMachine):
    """Any sequence of writes and rewrites by either of two stores, opened and closed at will, gives exactly the set."""

    def __init__(self) -> None:
        """Two stores on one directory."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp(prefix="ticks-"))
        self.place = SqlitePlace(self.directory)
        self.stores = [self.place.store(), self.place.store()]
        for store in self.stores:
            self.runner.run(store.open())
        self.kept: set[tuple[str, int, int]] = set()

    cuts = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=4)

    @rule(
        who=st.integers(0, 1), cuts=cuts, run=st.integers(1, 2), source=st.sampled_from("ab"), shift=st.integers(0, 5)
    )
    def write(self, who: int, cuts: Sequence[tuple[int, int]], run: int, source: str, shift: int) -> None:
        """A tick's day is a function of its number, its offset is not: it may come again elsewhere."""
        batches: list[TickBatch] = [
            batch(
                [tick(n, run=run, source=source, time=NOON + n // 20 * DAY) for n in range(start, start + count)],
                offset=start + shift,
            )
            for start, count in cuts
        ]
        named = {(source, run, t.n) for each in batches for t in each.ticks}
        assert self.runner.run(self.stores[who].write(batches)) == len(named - self.kept)
        self.kept |= named

    @rule(who=st.integers(0, 1))
    def reopen(self, who: int) -> None:
        """A worker restarts."""
        self.runner.run(self.stores[who].close())
        self.runner.run(self.stores[who].open())

    @invariant()
    def exactly_the_set(self) -> None:
        """Every tick written so far is there once, as it was, and no other."""
        rows = self.runner.run(self.place.rows())
        assert [(row["source"], row["run"], row["n"]) for row in rows] == sorted(self.kept)
        assert all(row["price"] == 10 + row["n"] / 100 for row in rows)

    def teardown(self) -> None:
        """Leave nothing behind."""
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()
        shutil.rmtree(self.directory)


Histories.TestCase.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistories = Histories.TestCase

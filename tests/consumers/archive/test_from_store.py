"""From a store into an archive."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ashare_client.archive import Archive, Span
from consumers.archive.kinds import kinds
from consumers.archive.run import Added, Request, from_store
from deploy.embedded import QuestDB
from schemas import UsageError
from schemas.topics import TICKS
from stores import TickReader, open_store
from stores.questdb import QuestDbStore
from stores.urls import QuestDbUrl, parse
from tests.consumers.archive.records import DAY, LATER, MIDNIGHT, NEXT, chunk, keep, raw, records, tick, written
from tests.stores.places import QuestDbPlace, SqlitePlace, batch, fresh_table, write

TODAY = [tick(n, side="sell" if n % 3 else None, seq=n if n % 2 else None) for n in range(300)]
TOMORROW = [tick(n, time=MIDNIGHT + n, volume=12.5, source='行情,"a"') for n in range(300, 340)]


def archived(directory: Path, days: TickReader, now: int = LATER) -> list[Added]:
    return from_store(Request(directory, TICKS, kinds()["tick"], now=now), days)


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    """Two partitions, one of them with both days and a hole."""
    place = SqlitePlace(tmp_path / "store")
    asyncio.run(write(place, [batch(TODAY[:200], partition=2, offset=70, topic=TICKS)]))
    rest = [batch(TODAY[200:], partition=5, topic=TICKS), batch(TOMORROW, partition=5, offset=110, topic=TICKS)]
    asyncio.run(write(place, rest))
    return place


def test_sqlite(place: SqlitePlace, tmp_path: Path) -> None:
    """Each stored tick, at its place, as the JSON that the pipeline writes; only offsets that the store has."""
    first, second = archived(tmp_path / "archive", place.reader())
    assert (first.date, first.rows, first.closed) == (DAY, 300, True)
    assert (second.date, second.rows, second.closed) == (NEXT, 40, True)
    archive = Archive(tmp_path / "archive")
    assert archive.spans(TICKS) == {2: [Span(70, 270)], 5: [Span(0, 100), Span(110, 150)]}
    found = records(archive.directory, partition=2)
    assert [record.value for record in found] == [written(one) for one in TODAY[:200]]
    assert [record.timestamp for record in found] == [one.received // 1000 + 5 for one in TODAY[:200]]
    assert [record.key for record in found] == [one.code.encode() for one in TODAY[:200]]
    assert [record.value for record in records(archive.directory, partition=5)] == [
        written(one) for one in [*TODAY[200:], *TOMORROW]
    ]
    assert {part.source for day in archive.manifests(TICKS) for part in day.parts} == {"store"}
    assert archived(tmp_path / "archive", place.reader()) == []


def test_where_the_log_was_archived(place: SqlitePlace, tmp_path: Path) -> None:
    """The store fills what is missing; what is there from the log stays."""
    directory = tmp_path / "archive"
    odd = written(TODAY[30]).replace(b"{", b'{"x":1,')
    keep(directory, [chunk([raw(TODAY[30], value=odd), *map(raw, TODAY[31:100])], partition=2, start=100)])
    archived(directory, place.reader())
    assert Archive(directory).spans(TICKS)[2] == [Span(70, 270)]
    found = records(directory, partition=2)
    assert [record.value for record in found] == [odd if n == 30 else written(one) for n, one in enumerate(TODAY[:200])]
    repeated = [
        value
        for path in directory.glob("ticks/*/*/*.parquet")
        for value in pq.read_table(path, partitioning=None)["kafka_repeated"].to_pylist()
    ]
    assert not any(repeated)


def test_a_day_that_is_not_over(place: SqlitePlace, tmp_path: Path) -> None:
    """It waits; ticks of other topics are none of this one's."""
    asyncio.run(write(place, [batch([tick(999)], partition=2, offset=5, topic="replayed")]))
    (added,) = archived(tmp_path / "archive", place.reader(), now=MIDNIGHT)
    assert (added.date, added.rows) == (DAY, 300)


def test_two_ticks_of_one_place(place: SqlitePlace, tmp_path: Path) -> None:
    """A store that went through two topics of one name can't be told apart by offsets: refused, nothing is kept."""
    asyncio.run(write(place, [batch([tick(999)], partition=2, offset=75, topic=TICKS)]))
    with pytest.raises(UsageError, match=f"two ticks of {DAY} under one offset of partition 2"):
        archived(tmp_path / "archive", place.reader())
    assert Archive(tmp_path / "archive").topics() == []


def test_wrong_files(place: SqlitePlace, tmp_path: Path) -> None:
    """A day's file that is none, or of somebody else, is named."""
    path = place.directory / "ticks-2026-11-19.sqlite"
    path.write_text("no database " * 100)
    with pytest.raises(UsageError, match=r"ticks-2026-11-19.sqlite: file is not a database"):
        archived(tmp_path / "archive", place.reader())
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE ticks (x)")
    with pytest.raises(UsageError, match=r"ticks-2026-11-19.sqlite: no such column"):
        archived(tmp_path / "archive", place.reader())
    path.unlink()
    path.touch()
    assert len(archived(tmp_path / "archive", place.reader())) == 2


@pytest.fixture
def questdb_place(questdb: QuestDB) -> Iterator[QuestDbPlace]:
    with fresh_table(questdb.url) as place:
        yield place


def test_questdb(questdb_place: QuestDbPlace, place: SqlitePlace, tmp_path: Path) -> None:
    """The same ticks from a server are the same archive, byte for byte of every record."""
    batches = [
        batch(TODAY[:200], partition=2, offset=70, topic=TICKS),
        batch(TODAY[200:], partition=5, topic=TICKS),
        batch(TOMORROW, partition=5, offset=110, topic=TICKS),
    ]
    asyncio.run(write(questdb_place, batches))
    asyncio.run(questdb_place.rows())
    days = questdb_place.reader()
    assert days.days() == [DAY, NEXT]
    archived(tmp_path / "one", days)
    archived(tmp_path / "other", place.reader())
    for partition in (2, 5):
        assert records(tmp_path / "one", partition=partition) == records(tmp_path / "other", partition=partition)
    assert sum(map(len, days.rows(DAY))) == 300


def test_no_questdb(tmp_path: Path) -> None:
    """Nobody at the address, and an answer that is an error, are said in one line."""
    with pytest.raises(UsageError, match=r"no QuestDB answers at http://127.0.0.1:1 .*: start it"):
        archived(tmp_path, open_store("questdb://127.0.0.1:1"))


def test_questdb_without_ticks(questdb: QuestDB, tmp_path: Path) -> None:
    """Its own words, where it has no such table."""
    address = parse(questdb.url)
    assert isinstance(address, QuestDbUrl)
    with pytest.raises(UsageError, match=r"QuestDB: .*nowhere"):
        archived(tmp_path, QuestDbStore(address, table="nowhere"))

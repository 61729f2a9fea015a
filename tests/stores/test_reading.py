"""What every store of ticks gives to those who read it, shown on the real ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas import UsageError
from stores.columns import NAMES, ROWS
from tests.stores.places import NOON, Place, QuestDbPlace, Row, SqlitePlace, batch, expected, in_order, tick, write

DAY = 86_400_000
MIDNIGHT = NOON + DAY // 2
TODAY, TOMORROW = "2026-11-20", "2026-11-21"


def table(place: Place) -> str:
    return place.table if isinstance(place, QuestDbPlace) else "ticks"


def read(place: Place, day: str, topic: str | None = None) -> list[Row]:
    return [dict(zip(NAMES, row, strict=True)) for some in place.reader().rows(day, topic) for row in some]


async def test_days_and_their_rows(place: Place) -> None:
    """Days are those of Shanghai; a row has every column's value as it was written, whatever it is."""
    today = [
        tick(1, volume=None),
        tick(2, turnover=0.5, side="buy", seq=7, previous_close=9.99, quality="off_grid"),
        tick(3, source='"行情", a', time=MIDNIGHT - 1),
        tick(4, exchange="", volume=12.5, time=NOON - DAY // 2),
    ]
    batches = [batch(today, partition=3), batch([tick(5, time=MIDNIGHT)], offset=9)]
    await write(place, batches)
    await place.rows()
    assert place.reader().days() == [TODAY, TOMORROW]
    assert in_order(read(place, TODAY)) == [row | {"exchange": row["exchange"] or _empty(place)} for row in _of(today)]
    assert read(place, TOMORROW) == expected(batches[1:])


def _empty(place: Place) -> str | None:
    """What an empty text is read as by day: QuestDB's CSV has one form for it and for null."""
    return None if isinstance(place, QuestDbPlace) else ""


def _of(today: list[Any]) -> list[Row]:
    return expected([batch(today, partition=3)])


async def test_a_topics_rows_by_place(place: Place) -> None:
    """However they were written, by partition and offset, in lists of bounded length; other topics' are left out."""
    many = [batch([tick(n) for n in range(ROWS + 10)], partition=2)]
    early = [batch([tick(n, run=2) for n in range(5)], partition=1, offset=70)]
    other = [batch([tick(n, run=3) for n in range(5)], topic="it's another")]
    await write(place, many, early, other)
    await place.rows()
    lists = list(place.reader().rows(TODAY, many[0].topic))
    assert max(map(len, lists)) <= ROWS
    places = [(row[NAMES.index("kafka_partition")], row[NAMES.index("kafka_offset")]) for some in lists for row in some]
    assert places == [*((1, 70 + n) for n in range(5)), *((2, n) for n in range(ROWS + 10))]
    assert len(read(place, TODAY, "it's another")) == 5
    assert len(read(place, TODAY)) == ROWS + 20


async def test_sql(place: Place) -> None:
    """The database's own SQL on the table; its names, its rows, and nothing but reading."""
    await write(place, [batch([tick(1, price=1700.01), tick(2, volume=None)])])
    await place.rows()
    with place.reader().query(f"SELECT n, price, volume v FROM {table(place)} ORDER BY n") as result:
        assert (list(result.columns), [tuple(row) for row in result.rows]) == (
            ["n", "price", "v"],
            [(1, 1700.01, 100), (2, 10.02, None)],
        )
    for sql, why in [
        (f"DELETE FROM {table(place)}", "only read here"),
        (f"DROP TABLE {table(place)}", "only read here"),
        (f"SELECT nothing FROM {table(place)}", "nothing"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
    ]:
        with pytest.raises(UsageError, match=why), place.reader().query(sql):
            pass
    assert len(await place.rows()) == 2


async def test_reading_beside_a_writer(place: Place) -> None:
    """A store that is open is read like any other, and what was read by half may be let go."""
    store = place.store()
    await store.open()
    await store.write([batch([tick(n) for n in range(10)])])
    await place.rows()
    lists = place.reader().rows(TODAY)
    assert len(next(iter(lists))) == 10
    del lists
    await store.write([batch([tick(10)], offset=10)])
    await store.close()
    await place.rows()
    assert len(await asyncio.to_thread(read, place, TODAY)) == 11


def test_nothing_stored_yet(place: Place) -> None:
    """A directory that nobody made has no days; a server without the table says that there is none."""
    if isinstance(place, SqlitePlace):
        assert place.reader().days() == []
    else:
        with pytest.raises(UsageError, match="table does not exist"):
            place.reader().days()
    with pytest.raises(UsageError), place.reader().query("SELECT * FROM ticks_of_nobody"):
        pass

"""What every store of ticks does, shown on the real ones."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas import Level, Tick, bounds
from stores import StoreError, TickBatch, UnstorableError
from stores.columns import NAMES
from tests.stores.places import NOON, TOPIC, Place, SqlitePlace, batch, book, expected, tick, write

DAY = 86_400_000
ROOT = Path(__file__).parents[2]


def test_columns_are_the_records_fields() -> None:
    """The table has each field of the tick record under its name, then the place in Kafka."""
    assert (*Tick.__struct_fields__, "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp") == NAMES


async def test_fields_come_back_as_they_went_in(place: Place) -> None:
    """Nulls, prices that are not binary fractions, the largest integers, fractional shares and any text survive."""
    largest, int64 = bounds.EXACT, bounds.INT64
    ticks = [
        tick(0, volume=None),
        tick(1, price=1700.01, volume=0, turnover=510003.03, side="buy", seq=0, previous_close=0.1 + 0.2),
        tick(7, quality="off_grid"),
        tick(8, side="sell", quality="off_grid,backwards"),
        tick(2, price=bounds.MAX_PRICE, turnover=bounds.MAX_TURNOVER, side="sell", volume=0.5, previous_close=0.0001),
        tick(
            largest,
            code="600519",
            price=1.0,
            time=NOON,
            received=bounds.LATEST_US,
            run=bounds.LATEST_MS,
            seq=int64,
            volume=300,
        ),
        tick(4, seq=-int64, volume=bounds.MAX_VOLUME, code="000001.SSE", exchange=""),
        *(
            tick(5, source=text)
            for text in ["a b", "a,b=c", "q\"uo'te", "back\\slash\\", "行情 源–1 🐉", "tab\tline\nend\r\n"]
        ),
        tick(5, source=" "),
        tick(5, source="'; DROP TABLE ticks --"),
        tick(5, source="%s?=:a{0}"),
    ]
    batches = [batch(ticks[:6], partition=11, offset=int64 - 6), batch(ticks[6:], topic="replay, of=1\\day 🐉")]
    await write(place, batches)
    assert await place.rows() == expected(batches)


async def test_the_book_and_the_figures_of_the_day_come_back(place: Place) -> None:
    """Beside ticks without, in one batch, in whichever order; a side is text as in the record, none is null."""
    full = [
        book(0),
        tick(1),
        book(2, bids=[], asks=None, day_volume=0.5, average=None),
        tick(3, bids=[], asks=[]),
        tick(4, average=0.1 + 0.2),
        tick(5, day_volume=bounds.EXACT, day_turnover=bounds.MAX_SESSION_TURNOVER),
        book(6, bids=[Level(bounds.MAX_PRICE, bounds.MAX_VOLUME)] * bounds.MAX_LEVELS),
    ]
    first, then, last = batch(map(tick, range(10, 14))), batch(full, offset=4), batch([tick(20), tick(21)], offset=11)
    counts = await write(place, [first], [first, then, last], [then, last])
    assert await place.rows() == expected([first, then, last])
    if place.counts:
        assert counts == [4, 9, 0]


async def test_readers_give_the_book_as_text(place: Place) -> None:
    """A day's rows, whether or not any tick of it had a book."""
    batches = [batch([tick(1), tick(2)])]
    for more in ([], [batch([tick(3), book(4)], offset=2)]):
        batches += more
        await write(place, batches)
        await place.rows()
        rows = [row for some in place.reader().rows("2026-11-20", TOPIC) for row in some]
        assert [dict(zip(NAMES, row, strict=True)) for row in rows] == expected(batches)


async def test_the_same_batch_twice(place: Place) -> None:
    """A batch that is written again adds nothing, in the same write or in a later one."""
    batches = [batch(map(tick, range(300)))]
    counts = await write(place, batches, batches, [*batches, *batches])
    assert await place.rows() == expected(batches)
    if place.counts:
        assert counts == [300, 0, 0]


async def test_overlapping_batches_cut_elsewhere(place: Place) -> None:
    """After a crash the same records come in other cuts; each is stored once."""
    ticks = [tick(n) for n in range(1000)]
    cuts = [(0, 150), (100, 101), (90, 420), (400, 1000), (0, 1000), (999, 1000)]
    counts = await write(place, *([batch(ticks[start:end], offset=start)] for start, end in cuts))
    assert await place.rows() == expected([batch(ticks)])
    if place.counts:
        assert counts == [150, 0, 270, 580, 0, 0]


async def test_a_resend_under_new_offsets(place: Place) -> None:
    """What the producer sent again, into one chunk with the first copy or later, counts once; its place is either."""
    ticks = [tick(n) for n in range(50)]
    counts = await write(place, [batch([*ticks[:20], *ticks[:20]])], [batch(ticks, offset=40)])
    stored = await place.rows()
    assert [row["n"] for row in stored] == list(range(50))
    assert [row["price"] for row in stored] == [t.price for t in ticks]
    if place.counts:
        assert counts == [20, 30]


async def test_a_topic_made_again(place: Place) -> None:
    """A topic that was deleted and made again starts at offset 0; its ticks are of another run and are all kept."""
    before = batch(map(tick, range(30)))
    after = batch(tick(n, run=2, time=NOON + n) for n in range(30))
    await write(place, [before], [after])
    assert await place.rows() == expected([before, after])


async def test_lines_and_partitions_side_by_side(place: Place) -> None:
    """Two lines number their ticks alike; runs and numbers do not collide between sources."""
    batches = [
        batch([tick(n, source=f"post-{partition}") for n in range(20)], partition=partition) for partition in range(5)
    ]
    await write(place, batches)
    assert await place.rows() == expected(batches)


async def test_several_days_in_one_write(place: Place) -> None:
    """A write, and even a batch, may hold ticks of several days, in any order."""
    mixed = batch(tick(n, time=NOON + n % 5 * DAY) for n in range(100))
    midnight = batch([tick(100, time=NOON + DAY // 2 - 1), tick(101, time=NOON + DAY // 2)], offset=100)
    counts = await write(place, [mixed, midnight, batch([])], [])
    assert await place.rows() == expected([mixed, midnight])
    assert counts == [102, 0]


@pytest.mark.parametrize("size", [1, 2, 3, 100, 1024, 1025, 2500])
async def test_any_size(place: Place, size: int) -> None:
    """Batches of all sizes are kept whole."""
    batches = [batch(map(tick, range(size)))]
    assert await write(place, batches) == [size]
    assert await place.rows() == expected(batches)


async def test_two_writers(place: Place) -> None:
    """Two workers write side by side, ticks of their own and ticks in common, from the first tick of a day on."""
    own = [[batch([tick(n, source=who)], offset=n) for n in range(30)] for who in ("a", "b")]
    common = [batch([tick(n)], offset=n) for n in range(30)]
    stores = [place.store(), place.store()]
    await asyncio.gather(*(store.open() for store in stores))

    async def work(who: int) -> int:
        return sum([await stores[who].write([mine, both]) for mine, both in zip(own[who], common, strict=True)])

    counts = await asyncio.gather(work(0), work(1))
    for store in stores:
        await store.close()
    assert await place.rows() == expected([*own[0], *own[1], *common])
    if place.counts:
        assert sum(counts) == 90


async def test_a_closed_store(place: Place) -> None:
    """Before it is opened and after it is closed, a store refuses; opened again, it takes the same write."""
    store = place.store()
    batches = [batch([tick(1)])]
    with pytest.raises(StoreError, match="not open"):
        await store.write(batches)
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.write(batches)
    await store.open()
    await store.open()
    await store.write(batches)
    await store.close()
    assert await place.rows() == expected(batches)


@pytest.mark.parametrize(
    ("field", "value"), [("n", 2**63), ("seq", 2**70), ("time", 253_402_300_800_000), ("time", 2**62)]
)
async def test_a_tick_that_no_store_can_keep(place: Place, field: str, value: int) -> None:
    """A number beyond 64 bits, a time beyond 9999: nothing of the write is kept; the error says which tick it is."""
    good = [tick(n) for n in range(10)]
    other: dict[str, Any] = {field: value}
    store = place.store()
    await store.open()
    with pytest.raises(UnstorableError, match=f"5/110 can't be stored: {field} is {value}") as caught:
        await store.write([batch([*good, tick(10, **other)], partition=5, offset=100)])
    assert (caught.value.partition, caught.value.offset) == (5, 110)
    assert await place.rows() == []
    assert await store.write([batch(good)]) == 10
    await store.close()
    assert len(await place.rows()) == 10


async def test_a_kill_between_writes(place: Place) -> None:
    """After kill -9 at any instant everything acknowledged is there, in whole batches, and can be written on."""
    if isinstance(place, SqlitePlace):
        arguments = [f"sqlite:///{place.directory}", "-"]
    else:
        arguments = [place.address, place.table]  # type: ignore[attr-defined]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.stores.writer", *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    for _ in range(20):
        assert await asyncio.wait_for(process.stdout.readline(), 30)
    process.kill()
    acknowledged = 20 + len((await process.stdout.read()).split())
    await process.wait()

    batches: list[TickBatch] = [
        batch(map(tick, range(n, n + 50)), offset=n) for n in range(0, 50 * acknowledged + 50, 50)
    ]
    stored = await place.rows()
    assert stored in (expected(batches), expected(batches[:-1]))
    await write(place, batches)
    assert await place.rows() == expected(batches)

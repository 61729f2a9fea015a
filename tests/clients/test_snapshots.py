"""A complete table, then every change to it, without a gap between."""

from __future__ import annotations

import asyncio

import pytest

from ashare_client import Snapshots, StateError
from tests.clients.topics import Written, snapshot

CODES = tuple(f"{600000 + n}" for n in range(40))
SECONDS = 60


async def test_the_table_is_complete_and_every_change_follows(states: Written) -> None:
    """While somebody writes all the time: per code, the updates begin right behind the table's row."""
    await states.put([snapshot(code, n, 10.0 + n) for n in range(5) for code in CODES])
    last = 60

    async def write() -> None:
        for n in range(5, last + 1):
            await states.put([snapshot(code, n, 10.0 + n) for code in CODES])

    async with Snapshots(states.bootstrap, topic=states.name) as snapshots, asyncio.timeout(SECONDS):
        writing = asyncio.create_task(write())
        table = await snapshots.table()
        assert table.keys() == set(CODES)
        seen = {code: row.origin.offset for code, row in table.items()}
        assert min(seen.values()) >= 4
        async for update in snapshots:
            assert update.origin.offset == seen[update.code] + 1
            seen[update.code] += 1
            if all(n == last for n in seen.values()):
                break
        await writing
        now = await snapshots.table()
    assert {row.price for row in now.values()} == {10.0 + last}


async def test_the_table_comes_first_when_it_is_iterated_over(states: Written) -> None:
    """One row a code, of those that are asked for."""
    await states.put([snapshot(code, n, 10.0 + n) for n in range(3) for code in ("600519", "688981", "000001")])
    reader = Snapshots(states.bootstrap, topic=states.name, codes="600519", boards="STAR")
    async with reader as snapshots, asyncio.timeout(SECONDS):
        read = aiter(snapshots)
        rows = [await anext(read), await anext(read)]
        await states.put([snapshot("600519", 3, 20.0)])
        update = await anext(read)
    assert sorted((row.code, row.price) for row in rows) == [("600519", 12.0), ("688981", 12.0)]
    assert (update.code, update.price) == ("600519", 20.0)


async def test_a_state_that_was_written_again_is_no_update(states: Written) -> None:
    """After a crash the pipeline writes rows again; a stale one must not overwrite a newer."""
    await states.put([snapshot("600519", n, 10.0 + n) for n in (0, 1, 2, 1, 2, 3)])
    async with Snapshots(states.bootstrap, topic=states.name, start="earliest", end="now") as snapshots:
        assert [row.origin.offset async for row in snapshots] == [0, 1, 2, 3]


async def test_a_code_that_was_deleted_is_not_in_the_table(states: Written) -> None:
    """A record without a value deletes its key."""
    await states.put([snapshot("600519", 0, 10.0), snapshot("000001", 0, 10.0)])
    await states.delete("600519")
    async with Snapshots(states.bootstrap, topic=states.name) as snapshots:
        assert (await snapshots.table()).keys() == {"000001"}


async def test_an_empty_topic_has_an_empty_table(states: Written) -> None:
    """It does not wait for the first stock; a bounded one then ends."""
    async with Snapshots(states.bootstrap, topic=states.name) as snapshots:
        assert await snapshots.table() == {}
    assert [row async for row in Snapshots(states.bootstrap, topic=states.name, end="now")] == []
    with pytest.raises(StateError, match="async with"):
        await Snapshots(states.bootstrap, topic=states.name).table()
    with pytest.raises(StateError, match="start='state'"):
        await Snapshots(states.bootstrap, topic=states.name, start="latest").table()

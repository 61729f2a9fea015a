"""The same without an event loop."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from ashare_client import ArgumentError, NoBrokerError, StateError, sync
from tests.clients.test_groups import Failing
from tests.clients.topics import Written, change, snapshot, tick

T = TypeVar("T")
SECONDS = 60


async def elsewhere(work: Callable[[], T]) -> T:
    """Run in a thread without an event loop, as a notebook's cell or a script would."""
    async with asyncio.timeout(SECONDS):
        return await asyncio.to_thread(work)


async def test_a_plain_loop_reads_a_range(topic: Written) -> None:
    """It opens and closes by itself, and leaves no thread."""
    await topic.put([change("600519", n) for n in range(5)])

    def read() -> list[int]:
        reader = sync.PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now", batch_size=2)
        return [found.origin.offset for found in reader]

    assert await elsewhere(read) == list(range(5))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("ashare-client")]


async def test_it_goes_on_where_its_group_stood(topic: Written) -> None:
    """Leaving without an error commits what was handed out, leaving with one does not."""
    await topic.put([change("600519", n) for n in range(5)])

    def first(error: Exception | None, enough: int) -> int:
        with sync.PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=topic.name) as changes:
            assert sum(changes.lag().values()) > 0
            for found in changes:
                assert changes.age("600519") is not None
                if error is not None:
                    raise error
                if found.origin.offset == enough:
                    return sum(changes.position.values())
        return -1

    assert await elsewhere(lambda: first(None, 1)) == 2
    with pytest.raises(RuntimeError, match="cell"):
        await elsewhere(lambda: first(RuntimeError("cell"), 0))
    assert await elsewhere(lambda: first(None, 2)) == 3


async def test_tables_and_batches(topic: Written, states: Written) -> None:
    """Ranges without a `with`, the snapshot table in one."""
    await topic.put([tick("600519", n) for n in range(5)])
    await states.put([snapshot("600519", 0, 10.0)])

    def read() -> tuple[int, list[int], set[str]]:
        rows = len(sync.Ticks(topic.bootstrap, topic=topic.name, start="earliest", end="now").to_polars())
        ticks = sync.Ticks(topic.bootstrap, topic=topic.name, start="earliest", end="now", batch_size=3)
        with sync.Snapshots(states.bootstrap, topic=states.name) as snapshots:
            table = snapshots.table()
        return rows, [len(batch) for batch in ticks.batches()], set(table)

    assert await elsewhere(read) == (5, [3, 2], {"600519"})


async def test_its_errors_are_the_same(topic: Written) -> None:
    """And misuse says so."""
    with pytest.raises(ArgumentError, match="boards"):
        sync.PriceChanges(topic.bootstrap, boards="NASDAQ")
    with pytest.raises(StateError, match="in `with`"):
        await elsewhere(sync.PriceChanges(topic.bootstrap, topic=topic.name).lag)


async def test_a_commit_that_stays_away_is_raised_there_too(topic: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """On leaving, and it leaves no thread; an error of the caller's own goes before it."""
    await topic.put([change("600519", n) for n in range(5)])

    def read(error: Exception | None) -> None:
        with sync.PriceChanges(
            topic.bootstrap, topic=topic.name, start="earliest", group=topic.name, patience=1.0
        ) as changes:
            next(iter(changes))
            Failing(monkeypatch, math.inf)
            if error is not None:
                raise error

    with pytest.raises(NoBrokerError, match="comes again"):
        await elsewhere(lambda: read(None))
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="cell"):
        await elsewhere(lambda: read(RuntimeError("cell")))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("ashare-client")]

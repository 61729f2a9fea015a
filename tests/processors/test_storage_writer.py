"""From chunks to the store: 100 records or 200 ms, one write for what gathered, a failing store holds the line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from broker.chunk import Chunk
from processors import storage
from processors.storage import BATCH_RECORDS, StorageWriter
from stores.base import StoreError, TickBatch, UnstorableError
from tests.jobs.chunks import chunk, tick


class Event:
    """A chunk's event; notes whether it was acknowledged."""

    def __init__(self) -> None:
        """Not acknowledged yet."""
        self.acked = False

    def ack(self) -> bool:
        """As Faust's."""
        self.acked = True
        return True


class Recorder:
    """Stands where a store stands, to see what the writer asks of one: each write, and when it may end."""

    def __init__(self) -> None:
        """Takes every write at once."""
        self.identity: int | None = None
        self.writes: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[StoreError] = []

    async def open(self) -> None:
        """Always there."""

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Note the offsets, then fail or wait as told."""
        self.writes.append([offset for batch in batches for offset in batch.offsets])
        if self.failures:
            raise self.failures.pop(0)
        await self.gate.wait()
        return sum(len(batch.ticks) for batch in batches)

    async def close(self) -> None:
        """Nothing to release."""


@asynccontextmanager
async def writing(store: Recorder, refused: list[UnstorableError]) -> AsyncIterator[StorageWriter]:
    """A running writer."""
    writer = StorageWriter(store, refused.append)
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


def some(count: int, start: int = 0) -> Chunk:
    """Ticks at consecutive offsets."""
    return chunk([tick(start + n + 1, 10.0) for n in range(count)], start=start)


async def until(condition: object, seconds: float = 5.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.005)


async def test_few_records_wait_for_company_and_are_written_together() -> None:
    """Under 100 records, chunks wait up to 200 ms and go in one write; both are acknowledged after it, not before."""
    store, first, second = Recorder(), Event(), Event()
    async with writing(store, []) as writer:
        await writer.submit(first, some(3))
        await asyncio.sleep(0.02)
        await writer.submit(second, some(2, start=3))
        assert store.writes == []
        assert not first.acked
        await until(lambda: first.acked and second.acked)
        assert store.writes == [[0, 1, 2, 3, 4]]
        assert writer.stored == 5


async def test_a_hundred_records_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hundredth record starts a write, however long the time limit."""
    monkeypatch.setattr(storage, "BATCH_SECONDS", 60.0)
    store, event = Recorder(), Event()
    async with writing(store, []) as writer:
        await writer.submit(Event(), some(BATCH_RECORDS - 1))
        await asyncio.sleep(0.05)
        assert store.writes == []
        await writer.submit(event, some(1, start=BATCH_RECORDS - 1))
        await until(lambda: event.acked)
        assert store.writes == [list(range(BATCH_RECORDS))]


async def test_what_gathers_during_a_write_goes_in_the_next_one() -> None:
    """While a write runs, chunks gather; they are one write, and no chunk is acknowledged before its own."""
    store, events = Recorder(), [Event() for _ in range(4)]
    store.gate.clear()
    async with writing(store, []) as writer:
        await writer.submit(events[0], some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 1)
        for number, event in enumerate(events[1:], 1):
            await writer.submit(event, some(BATCH_RECORDS, start=number * BATCH_RECORDS))
        assert not any(event.acked for event in events)
        store.gate.set()
        await until(lambda: all(event.acked for event in events))
        assert [len(write) for write in store.writes] == [BATCH_RECORDS, 3 * BATCH_RECORDS]


async def test_a_failing_store_holds_the_line_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """The same ticks are written again until they are taken; meanwhile it says why, and nothing is acknowledged."""
    store, event = Recorder(), Event()
    store.failures = [StoreError("disk full"), StoreError("disk full")]
    async with writing(store, []) as writer:
        await writer.submit(event, some(BATCH_RECORDS))
        await until(lambda: writer.failing is not None)
        assert writer.failing == "disk full"
        assert not event.acked
        await until(lambda: event.acked)
        assert store.writes == [list(range(BATCH_RECORDS))] * 3
        assert writer.failing is None
    assert "trying again" in caplog.text


async def test_a_tick_that_no_store_can_keep_is_named_and_left_out() -> None:
    """One such tick does not hold the others up."""
    store, event, refused = Recorder(), Event(), list[UnstorableError]()
    store.failures = [UnstorableError("time beyond the year 9999", 3, 7)]
    async with writing(store, refused) as writer:
        await writer.submit(event, some(BATCH_RECORDS))
        await until(lambda: event.acked)
    assert [(error.partition, error.offset) for error in refused] == [(3, 7)]
    assert store.writes[-1] == [offset for offset in range(BATCH_RECORDS) if offset != 7]


async def test_a_store_that_is_behind_stops_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of waiting records, submitting waits until the store has taken some."""
    monkeypatch.setattr(storage, "LIMIT_RECORDS", 2 * BATCH_RECORDS)
    store = Recorder()
    store.gate.clear()
    async with writing(store, []) as writer:
        await writer.submit(Event(), some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 1)
        await writer.submit(Event(), some(BATCH_RECORDS, start=100))
        held = asyncio.create_task(writer.submit(Event(), some(BATCH_RECORDS, start=200)))
        await asyncio.sleep(0.05)
        assert not held.done()
        store.gate.set()
        await asyncio.wait_for(held, 5)


async def test_revoked_chunks_that_wait_are_given_up() -> None:
    """What waits for a write at a revocation is neither written nor acknowledged: its next owner does it."""
    store, first, second = Recorder(), Event(), Event()
    store.gate.clear()
    async with writing(store, []) as writer:
        await writer.submit(first, some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 1)
        await writer.submit(second, some(BATCH_RECORDS, start=BATCH_RECORDS))
        writer.forget()
        store.gate.set()
        await until(lambda: first.acked)
        await asyncio.sleep(0.05)
        assert not second.acked
        assert len(store.writes) == 1


async def test_waiting_for_a_store_is_excused_only_while_it_is_asked() -> None:
    """A store that is away and asked again excuses chunks that wait; one whose attempt does not end does not."""
    store, event = Recorder(), Event()
    store.failures = [StoreError("away")]
    async with writing(store, []) as writer:
        assert not writer.retrying(time.monotonic())
        store.gate.clear()  # the second attempt hangs
        await writer.submit(event, some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 2)
        assert writer.failing == "away"
        assert writer.retrying(time.monotonic())
        assert not writer.retrying(time.monotonic() + storage.ATTEMPT_SECONDS)
        store.gate.set()
        await until(lambda: event.acked)
        assert not writer.retrying(time.monotonic())

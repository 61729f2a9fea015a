"""From chunks to the store: 100 records or 200 ms, one write for what gathered, a failing store holds the line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from broker.chunk import Chunk
from processors import store_writer as storage
from processors.store_writer import BATCH_RECORDS, StoreWriter
from processors.streaming.lease import Lease
from stores.base import StoreError, TickBatch, UnstorableError
from tests.jobs.chunks import chunk, tick


class Recorder:
    """Stands where a store stands, to see what the writer asks of one: each write, and when it may end."""

    def __init__(self) -> None:
        """Takes every write at once."""
        self.identity: int | None = None
        self.writes: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[StoreError] = []
        self.closed: list[StoreError] = []
        self.slow = 0

    async def open(self) -> None:
        """There, unless told otherwise."""
        if self.closed:
            raise self.closed.pop(0)
        if self.slow:
            self.slow -= 1
            await asyncio.Event().wait()

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Note the offsets, then fail or wait as told."""
        self.writes.append([offset for batch in batches for offset in batch.offsets])
        if self.failures:
            raise self.failures.pop(0)
        await self.gate.wait()
        return sum(len(batch.ticks) for batch in batches)

    async def close(self) -> None:
        """Nothing to release."""


class Clock:
    """A lease's clock, set by hand."""

    def __init__(self) -> None:
        """At 1,000 s."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def member(clock: Clock) -> Lease:
    """The lease of a member whose group has just heard of it."""
    lease = Lease(10.0, clock)
    lease.renew(clock.now)
    return lease


@asynccontextmanager
async def writing(
    store: Recorder, refused: list[tuple[str, object]], lease: Lease | None = None
) -> AsyncIterator[StoreWriter]:
    """A running writer."""
    writer = StoreWriter(store, lambda place, why: refused.append((place, why)), lease or member(Clock()))
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
    """Under 100 records, chunks wait up to 200 ms and go in one write; both are done after it, not before."""
    store = Recorder()
    async with writing(store, []) as writer:
        first = await writer.submit(some(3))
        await asyncio.sleep(0.02)
        second = await writer.submit(some(2, start=3))
        assert store.writes == []
        assert not first.done()
        await asyncio.wait_for(asyncio.gather(first, second), 5)
        assert store.writes == [[0, 1, 2, 3, 4]]
        assert writer.stored == 5


async def test_a_hundred_records_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hundredth record starts a write, however long the time limit."""
    monkeypatch.setattr(storage, "BATCH_SECONDS", 60.0)
    store = Recorder()
    async with writing(store, []) as writer:
        _ = await writer.submit(some(BATCH_RECORDS - 1))
        await asyncio.sleep(0.05)
        assert store.writes == []
        await asyncio.wait_for(await writer.submit(some(1, start=BATCH_RECORDS - 1)), 5)
        assert store.writes == [list(range(BATCH_RECORDS))]


async def test_what_gathers_during_a_write_goes_in_the_next_one() -> None:
    """While a write runs, chunks gather; they are one write, and no chunk is done before its own."""
    store = Recorder()
    store.gate.clear()
    async with writing(store, []) as writer:
        chunks = [await writer.submit(some(BATCH_RECORDS))]
        await until(lambda: len(store.writes) == 1)
        chunks += [await writer.submit(some(BATCH_RECORDS, start=n * BATCH_RECORDS)) for n in (1, 2, 3)]
        assert not any(chunk.done() for chunk in chunks)
        store.gate.set()
        await asyncio.wait_for(asyncio.gather(*chunks), 5)
        assert [len(write) for write in store.writes] == [BATCH_RECORDS, 3 * BATCH_RECORDS]


async def test_a_failing_store_holds_the_line_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """The same ticks are written again until they are taken; meanwhile it says why, and nothing is done."""
    store = Recorder()
    store.failures = [StoreError("disk full"), StoreError("disk full")]
    async with writing(store, []) as writer:
        written = await writer.submit(some(BATCH_RECORDS))
        await until(lambda: writer.failing is not None)
        assert writer.failing == "disk full"
        assert not written.done()
        await asyncio.wait_for(written, 5)
        assert store.writes == [list(range(BATCH_RECORDS))] * 3
        assert writer.failing is None
    assert "trying again" in caplog.text


async def test_a_tick_that_no_store_can_keep_is_named_and_left_out() -> None:
    """One such tick does not hold the others up."""
    store, refused = Recorder(), list[tuple[str, object]]()
    store.failures = [UnstorableError("time beyond the year 9999", 3, 7)]
    async with writing(store, refused) as writer:
        await asyncio.wait_for(await writer.submit(some(BATCH_RECORDS)), 5)
    ((place, why),) = refused
    assert place.endswith("/3/7")
    assert "time beyond the year 9999" in str(why)
    assert store.writes[-1] == [offset for offset in range(BATCH_RECORDS) if offset != 7]


async def test_a_store_that_is_behind_stops_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of waiting records, submitting waits until the store has taken some."""
    monkeypatch.setattr(storage, "LIMIT_RECORDS", 2 * BATCH_RECORDS)
    store = Recorder()
    store.gate.clear()
    async with writing(store, []) as writer:
        _ = await writer.submit(some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 1)
        for start in (100, 200):
            _ = await writer.submit(some(BATCH_RECORDS, start=start))
        held = asyncio.create_task(writer.submit(some(BATCH_RECORDS, start=300)))
        await asyncio.sleep(0.05)
        assert not held.done()
        store.gate.set()
        _ = await asyncio.wait_for(held, 5)


async def test_revoked_chunks_that_wait_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a write at a revocation is neither written nor done: its next owner does it."""
    monkeypatch.setattr(storage, "LIMIT_RECORDS", BATCH_RECORDS)
    store = Recorder()
    store.gate.clear()
    async with writing(store, []) as writer:
        first = await writer.submit(some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 1)
        second = await writer.submit(some(BATCH_RECORDS, start=BATCH_RECORDS))
        held = asyncio.create_task(writer.submit(some(BATCH_RECORDS, start=2 * BATCH_RECORDS)))
        await asyncio.sleep(0.02)
        assert not held.done()
        held.cancel()  # as the agent is
        writer.forget()
        store.gate.set()
        await asyncio.wait_for(first, 5)
        await asyncio.sleep(0.05)
        assert second.cancelled()
        assert len(store.writes) == 1
        await asyncio.wait_for(await writer.submit(some(BATCH_RECORDS, start=BATCH_RECORDS)), 5)


async def test_waiting_for_a_store_is_excused_only_while_it_is_asked() -> None:
    """A store that is away and asked again excuses chunks that wait; one whose attempt does not end does not."""
    store = Recorder()
    store.failures = [StoreError("away")]
    async with writing(store, []) as writer:
        assert not writer.retrying(time.monotonic())
        store.gate.clear()  # the second attempt hangs
        written = await writer.submit(some(BATCH_RECORDS))
        await until(lambda: len(store.writes) == 2)
        assert writer.failing == "away"
        assert writer.retrying(time.monotonic())
        assert not writer.retrying(time.monotonic() + storage.ATTEMPT_SECONDS)
        store.gate.set()
        await asyncio.wait_for(written, 5)
        assert not writer.retrying(time.monotonic())


async def test_nothing_is_written_while_the_lease_has_run_out() -> None:
    """A member that may have been replaced writes nothing; once it is known to be a member it goes on."""
    clock, store = Clock(), Recorder()
    lease = member(clock)
    async with writing(store, [], lease) as writer:
        clock.now += 90.0
        written = await writer.submit(some(BATCH_RECORDS))
        await asyncio.sleep(0.2)
        assert store.writes == []
        lease.renew(clock.now)
        await asyncio.wait_for(written, 5)
        assert store.writes == [list(range(BATCH_RECORDS))]


async def test_what_was_given_up_while_the_lease_had_run_out_is_not_written() -> None:
    """It joins again, its partitions come anew, and what it held from before is another member's by now."""
    clock, store = Clock(), Recorder()
    lease = member(clock)
    async with writing(store, [], lease) as writer:
        clock.now += 90.0
        written = await writer.submit(some(BATCH_RECORDS))
        await asyncio.sleep(0.1)
        writer.forget()
        lease.renew(clock.now)
        again = await writer.submit(some(BATCH_RECORDS, start=1_000))
        await asyncio.wait_for(again, 5)
        assert store.writes == [list(range(1_000, 1_000 + BATCH_RECORDS))]
        assert not written.done() or written.cancelled()


async def test_a_store_that_is_away_at_the_start_is_opened_later(caplog: pytest.LogCaptureFixture) -> None:
    """The worker starts all the same; chunks wait, the reason is told, and what waited is written."""
    store = Recorder()
    store.closed = [StoreError("refused"), StoreError("refused")]
    async with writing(store, []) as writer:
        assert writer.failing == "refused"
        assert writer.retrying(time.monotonic())
        await asyncio.wait_for(await writer.submit(some(BATCH_RECORDS)), 10)
        assert writer.failing is None
    assert "refused" in caplog.text


async def test_a_store_that_does_not_open_in_time_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens while the other agents work already."""
    monkeypatch.setattr(storage, "OPEN_SECONDS", 0.1)
    store = Recorder()
    store.slow = 1
    async with writing(store, []) as writer:
        assert "has not opened" in (writer.failing or "")
        await asyncio.wait_for(await writer.submit(some(BATCH_RECORDS)), 10)
        assert writer.failing is None

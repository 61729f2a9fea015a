"""Chunks to the store: 100 records or 200 ms start a write, what gathered meanwhile goes in one, acks follow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from broker.chunk import Chunk
from broker.durations import Durations
from broker.events import event
from processors.streaming.lease import Lease
from processors.streaming.watchdog import fatal
from schemas import Tick, UsageError
from stores import StoreError, TickBatch, TickStore, UnstorableError, without

log = logging.getLogger(__name__)

BATCH_RECORDS = 100
BATCH_SECONDS = 0.2
WRITE_RECORDS = 20_000
"""Most records of one write; keeps a write far below the group's rebalance timeout."""
LIMIT_RECORDS = 40_000
"""Records that may wait; then the agent stops taking more and Kafka holds the rest."""
_RETRY = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ATTEMPT_SECONDS = 60.0
"""Longest that one attempt may take; a store that has not said by then why it takes nothing is stuck."""
OPEN_SECONDS = 5.0
"""How long a start waits for the store; one that takes longer opens while the other agents work."""


class StoreWriter:
    """Gathers chunks of all partitions and writes them; while the store is away they wait.

    Attributes:
        stored: ticks that were new to the store.
        failing: why the last attempt failed, ``None`` when it did not.
        tried: monotonic time at which the last attempt failed.
        failing_since: monotonic time at which it began to fail.
        took: how long it took for each batch that it took.
        errors: attempts that failed.
    """

    def __init__(self, store: TickStore, refuse: Callable[[str, object], None], lease: Lease) -> None:
        """A writer into a store that is not open yet.

        Args:
            refuse: takes place and reason of a tick that the store can't keep.
            lease: nothing is written while it has run out.
        """
        self._refuse = refuse
        self._lease = lease
        self.stored = 0
        self.failing: str | None = None
        self.failing_since: float | None = None
        self.tried = 0.0
        self.errors = 0
        self.took = Durations()
        self._store = store
        self._waiting: deque[tuple[Chunk, asyncio.Future[None]]] = deque()
        self._records = 0
        self._first = 0.0
        self._work = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._epoch = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store, or begin to try again where it is away, and begin to write.

        Raises:
            UsageError: the store can't be used as it is set up.
        """
        opened = False
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._store.open()
            opened = True
        except TimeoutError:
            self._note(f"it has not opened within {OPEN_SECONDS:g} s")
        except StoreError as error:
            self._note(str(error))
        self._task = asyncio.create_task(self._run(opened=opened), name="store-writer")

    async def stop(self) -> None:
        """Stop writing and close the store; chunks not written come again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.forget()
        await self._store.close()

    async def submit(self, chunk: Chunk) -> asyncio.Future[None]:
        """Enter a chunk, when there is room for it; gives what is done when it is written."""
        await self._room.wait()
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._first = time.monotonic()
        self._waiting.append((chunk, written))
        self._records += len(chunk)
        self._work.set()
        if self._records >= BATCH_RECORDS:
            self._enough.set()
        if self._records >= LIMIT_RECORDS:
            self._room.clear()
        return written

    @property
    def waiting(self) -> int:
        """Records that wait to be written."""
        return self._records

    def retrying(self, now: float) -> bool:
        """Whether the store is away and asked again and again: then, and only then, chunks may wait for it."""
        return self.failing is not None and now - self.tried < ATTEMPT_SECONDS

    def forget(self) -> None:
        """Give up what waits: partitions leave, and their chunks come again to their next owner."""
        self._epoch += 1
        for _, written in self._waiting:
            written.cancel()
        self._waiting.clear()
        self._records = 0
        self._work.clear()
        self._enough.clear()
        self._room.set()

    async def _run(self, *, opened: bool) -> None:
        try:
            attempt = 1
            while not opened:
                await asyncio.sleep(_RETRY[min(attempt, len(_RETRY) - 1)])
                try:
                    await self._store.open()
                    opened = True
                except StoreError as error:
                    self._note(str(error))
                    attempt += 1
            self._recovered()
            while True:
                await self._work.wait()
                await self._gather()
                await self._write(self._take())
        except asyncio.CancelledError:
            raise
        except UsageError as error:
            log.critical("the store can't be used: %s", error)
            fatal("store unusable")
        except Exception:
            log.exception("the store's writer failed")
            fatal("store writer failed")

    async def _gather(self) -> None:
        left = self._first + BATCH_SECONDS - time.monotonic()
        if self._records < BATCH_RECORDS and left > 0:
            try:
                async with asyncio.timeout(left):
                    await self._enough.wait()
            except TimeoutError:
                pass

    def _take(self) -> list[tuple[Chunk, asyncio.Future[None]]]:
        taken: list[tuple[Chunk, asyncio.Future[None]]] = []
        records = 0
        while self._waiting and (not taken or records + len(self._waiting[0][0]) <= WRITE_RECORDS):
            entry = self._waiting.popleft()
            records += len(entry[0])
            taken.append(entry)
        self._records -= records
        self._first = time.monotonic()
        if not self._waiting:
            self._work.clear()
        if self._records < BATCH_RECORDS:
            self._enough.clear()
        if self._records < LIMIT_RECORDS:
            self._room.set()
        return taken

    async def _write(self, taken: list[tuple[Chunk, asyncio.Future[None]]]) -> None:
        batches = [batch for chunk, _ in taken if (batch := batch_of(chunk)).ticks]
        attempt, epoch = 0, self._epoch
        while batches:
            await self._lease.granted()
            if epoch != self._epoch:
                return  # it was given up while it waited, and comes again
            begun = time.monotonic()
            try:
                self.stored += await self._store.write(batches)
                self.took.add(time.monotonic() - begun)
                break
            except UnstorableError as error:
                # Trying again would hold everything up for ever; the tick is named, kept in the log, and left out.
                self._refuse(f"{batches[0].topic}/{error.partition}/{error.offset}", error)
                batches = without(batches, error.partition, error.offset)
            except StoreError as error:
                self._note(str(error), attempt)
                await asyncio.sleep(_RETRY[min(attempt, len(_RETRY) - 1)])
                attempt += 1
        self._recovered()
        for _, written in taken:
            if not written.done():
                written.set_result(None)

    def _note(self, error: str, attempt: int = 0) -> None:
        """The store took nothing."""
        self.errors += 1
        if self.failing_since is None:
            self.failing_since = time.monotonic()
        self.tried = time.monotonic()
        self.failing = error
        delay = _RETRY[min(attempt, len(_RETRY) - 1)]
        log.error(
            "the store did not take a write, trying again in %s s (attempt %s): %s",
            delay,
            attempt + 1,
            error,
            extra=event("store_failing", attempt=attempt + 1, retry_seconds=delay),
        )

    def _recovered(self) -> None:
        if self.failing_since is not None:
            away = round(time.monotonic() - self.failing_since, 1)
            log.warning("the store takes writes again after %.1f s", away, extra=event("store_back", seconds=away))
        self.failing = self.failing_since = None


def batch_of(chunk: Chunk) -> TickBatch:
    """A chunk as stores take it, without the values that are not ticks."""
    ticks, values = cast("list[Tick]", chunk.ticks), cast("list[bytes]", chunk.values)
    if not chunk.bad:
        return TickBatch(chunk.topic, chunk.partition, chunk.offsets, chunk.timestamps, ticks, values)
    kept = [index for index, tick in enumerate(chunk.ticks) if tick is not None]
    return TickBatch(
        chunk.topic,
        chunk.partition,
        [chunk.offsets[i] for i in kept],
        [chunk.timestamps[i] for i in kept],
        [ticks[i] for i in kept],
        [values[i] for i in kept],
    )

"""The bar-store agent: every bar to the database, beside the ticks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from broker.chunk import Chunk
from processors.streaming.agent import Agent, Context, Outcome
from processors.streaming.lease import Lease
from schemas import Bar, decode_each
from schemas.topics import BARS
from stores import StoreError, open_bars

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
TRIED_SECONDS = 30.0
"""A store that was tried so lately is waited for."""


class BarStoreAgent(Agent):
    """Reads the bars' topic and keeps the last record of each bar. A store that is away holds back this agent alone."""

    name: ClassVar[str] = "bar-store"
    input: ClassVar[str] = BARS
    linger: ClassVar[float] = 0.2

    def __init__(self, store: str) -> None:
        """An agent of a store's address; nothing is opened before ``start``.

        Raises:
            UsageError: no store's address.
        """
        self._store = open_bars(store)
        self._lease: Lease | None = None
        self._tried = 0.0
        self.failing: str | None = None
        self.stored = self.unreadable = 0

    async def start(self, context: Context) -> None:
        """Open the store; one that is away is tried again with the first bars.

        Raises:
            UsageError: the store can't be used as it is set up.
        """
        self._lease = context.lease
        try:
            await self._store.open()
        except StoreError as error:
            self._note(error, 0)

    async def stop(self) -> None:
        """Close the store."""
        await self._store.close()

    async def handle(self, chunk: Chunk) -> Outcome:
        """Write a chunk's bars, however often it takes."""
        read = decode_each(Bar, chunk.values, chunk.timestamps)
        bars = [bar for bar in read if bar is not None]
        self.unreadable += len(read) - len(bars)
        attempt = 0
        while bars:
            assert self._lease is not None
            await self._lease.granted()
            try:
                await self._store.open()
                await self._store.write(bars)
                break
            except StoreError as error:
                attempt = min(attempt + 1, len(RETRY_SECONDS))
                self._note(error, attempt)
                await asyncio.sleep(RETRY_SECONDS[attempt - 1])
        self.failing = None
        self.stored += len(bars)
        return Outcome()

    def _note(self, error: StoreError, attempt: int) -> None:
        self.failing, self._tried = str(error), time.monotonic()
        log.error("the store did not take bars, trying again (attempt %s): %s", attempt + 1, error)

    def waits(self, now: float) -> bool:
        """Whether the store is away and asked again and again."""
        return self.failing is not None and now - self._tried < TRIED_SECONDS

    def complaints(self) -> Mapping[str, str]:
        """Why the store takes nothing."""
        return {} if self.failing is None else {"store": self.failing}

    def status(self) -> Mapping[str, Any]:
        """Counters since the start."""
        return {"bars_stored": self.stored, "unreadable": self.unreadable}

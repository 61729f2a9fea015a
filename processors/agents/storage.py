"""The storage agent: every tick to the database, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from broker.chunk import Chunk
from processors.store_writer import StoreWriter
from processors.streaming.agent import Agent, Context, Outcome
from stores.apart import StoreApart

LINGER_SECONDS = 0.05
"""A write waits for 200 ms anyway."""


class StorageAgent(Agent):
    """Hands chunks to the writer of the store; one that is away is tried again, and holds back this agent alone."""

    name: ClassVar[str] = "storage"
    linger: ClassVar[float] = LINGER_SECONDS

    def __init__(self, store: str) -> None:
        """An agent of a store's address; nothing is opened before ``start``."""
        self._store = store
        self.writer: StoreWriter | None = None

    async def start(self, context: Context) -> None:
        """Begin to open the store; a store that is away keeps nothing else from starting."""
        self.writer = StoreWriter(StoreApart(self._store), context.dead_letters.refuse, context.lease)
        await self.writer.start()

    async def stop(self) -> None:
        """Stop writing and close the store."""
        if self.writer is not None:
            await self.writer.stop()

    async def handle(self, chunk: Chunk) -> Outcome:
        """Enter a chunk; it is acknowledged when it is written."""
        assert self.writer is not None
        return Outcome(done=await self.writer.submit(chunk))

    def revoked(self) -> None:
        """Give up what waits: it comes again to the partitions' next owner."""
        if self.writer is not None:
            self.writer.forget()

    def waits(self, now: float) -> bool:
        """Whether the store is away and asked again and again."""
        return self.writer is not None and self.writer.retrying(now)

    def complaints(self) -> Mapping[str, str]:
        """Why the store takes nothing."""
        failing = None if self.writer is None else self.writer.failing
        return {} if failing is None else {"store": failing}

    def status(self) -> Mapping[str, Any]:
        """Counters since the start."""
        return {"stored": 0 if self.writer is None else self.writer.stored}

"""What a group has read and not yet confirmed: committed behind the caller's back, and waited for on leaving."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping

from aiokafka.errors import KafkaError

from ashare_client.errors import NoBrokerError, StateError
from ashare_client.log import Committed, Log
from ashare_client.stats import Stats

log = logging.getLogger(__name__)

BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each further attempt; the last one repeats."""


class Commits:
    """One group's commits in one topic; at most one is under way.

    Attributes:
        log: through which it commits; set whenever a consumer is made.
    """

    def __init__(self, bootstrap: str, topic: str, group: str | None, stats: Stats) -> None:
        """Nothing is to be committed."""
        self.log: Log | None = None
        self._bootstrap = bootstrap
        self._topic = topic
        self._group = group
        self._stats = stats
        self._waiting: dict[int, int] = {}
        self._under_way: dict[int, int] = {}
        self._why: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, done: Mapping[int, int]) -> None:
        """Commit offsets, by partition, without waiting for it."""
        self._waiting.update(done)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit())

    def done_or(self, committed: Mapping[int, Committed]) -> dict[int, Committed]:
        """Where to go on: behind what is done, whether its commit was confirmed or waits still."""
        waiting, self._waiting = self._waiting, {}
        for p, at in waiting.items():
            if p in committed:
                known = committed[p]
                if known is None or (isinstance(known, int) and at > known):
                    self._waiting[p] = at
        return {**committed, **self._waiting}

    def forget(self, partitions: Iterable[int]) -> None:
        """Partitions were taken away: what waits of them is another member's to commit."""
        for partition in partitions:
            self._waiting.pop(partition, None)
            self._under_way.pop(partition, None)

    def clear(self) -> None:
        """Nothing of what waits is to be committed."""
        self._waiting.clear()

    def stop(self) -> None:
        """End the attempt that is under way; what it had waits again."""
        if self._task is not None:
            self._task.cancel()

    async def flush(self, patience: float, *, raises: bool) -> None:
        """Wait until what is done is committed, trying again what failed, but not for ever.

        Args:
            patience: seconds.

        Raises:
            NoBrokerError: it is not, and ``raises``.
        """
        deadline = time.monotonic() + patience
        for attempt in range(1 << 30):
            if self._task is not None and not self._task.done():
                await asyncio.wait([self._task], timeout=max(0.0, deadline - time.monotonic()))
                if not self._task.done():
                    self._task.cancel()
                    await asyncio.wait([self._task], timeout=1.0)
            if not self._waiting:
                return
            if time.monotonic() >= deadline:
                break
            if attempt:
                await asyncio.sleep(min(BACKOFF[min(attempt - 1, len(BACKOFF) - 1)], patience))
            self._task = asyncio.create_task(self._commit())
        places = ", ".join(f"{self._topic}/{p} up to {at:,}" for p, at in sorted(self._waiting.items())[:3])
        why = f": {self._why!r}" if self._why else ""
        said = (
            f"{self._bootstrap}: group {self._group} could not commit what is done ({places}"
            f"{', …' if len(self._waiting) > 3 else ''}) within {patience:g} s{why}; it comes again"
        )
        self._waiting.clear()
        if raises:
            raise NoBrokerError(said)
        log.warning("%s", said)

    async def _commit(self) -> None:
        """Commit what is done, while the caller works on what is next. What fails is tried with what is done then."""
        while self._waiting and self.log is not None:
            self._under_way, self._waiting = self._waiting, {}
            try:
                if await self.log.commit(self._under_way):
                    self._stats.commits += 1
                self._under_way = {}
            except (KafkaError, StateError) as error:
                self._why = error
                log.warning("%s: not committed yet, it is tried again: %r", self._topic, error)
                return
            finally:
                self._waiting = self._under_way | self._waiting
                self._under_way = {}

"""What comes next, made ready while what came before is given out: a bounded stretch of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from consumers.replay.checkpoints import Point
from consumers.replay.merge import Batch

RECORDS = 16_384
"""Records that are ready at most, beside the batch that goes over it: enough for a broker that hesitates."""


class Ready(NamedTuple):
    """Batches in order, none at the end; and from where their partitions have to be read to get them again."""

    batches: list[Batch]
    points: Mapping[int, Point]


class Lookahead:
    """Runs ahead in a task of its own."""

    def __init__(self, make: Callable[[], Awaitable[Ready]], limit: int = RECORDS) -> None:
        """Begins at once; ``make`` makes the next batches, and none at the end. ``limit`` is in records."""
        self._make = make
        self._limit = limit
        self._ready: deque[Ready] = deque()
        self._records = 0
        self._came, self._room = asyncio.Event(), asyncio.Event()
        self._error: Exception | None = None
        self._ended = False
        self._task = asyncio.create_task(self._run(), name="replay-lookahead")

    async def take(self) -> Ready:
        """The next batches, when they are ready; none at the end, however often it is asked for.

        Raises:
            Exception: what making them raised, behind all that was made before.
        """
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._ended:
                return Ready([], {})
            self._came.clear()
            await self._came.wait()
        taken = self._ready.popleft()
        self._records -= sum(map(len, taken.batches))
        self._room.set()
        return taken

    async def stop(self) -> None:
        """Make no more; what is ready is dropped."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._ready.clear()

    async def _run(self) -> None:
        try:
            while True:
                made = await self._make()
                self._ready.append(made)
                self._records += sum(map(len, made.batches))
                self._came.set()
                if not made.batches:
                    self._ended = True
                    return
                while self._records >= self._limit:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - whoever takes hears of it
            self._error = error
            self._came.set()

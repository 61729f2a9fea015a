"""A market on a WebSocket: the source's ticks, pushed when they are due."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator

from simulator.feed import Source
from simulator.server import Counts, FeedServer, Settings
from simulator.strikes import Strikes

ROUND_SECONDS = 0.004
"""The least time from one push to the next: wide enough for full frames at a high rate, far below a network's delay."""
ROUND_TICKS = 4_000
"""The most ticks of one round: a market that is behind catches up in steps, and the loop stays free for its clients."""


class Simulator(FeedServer):
    """A market on a WebSocket."""

    def __init__(self, source: Source, settings: Settings) -> None:
        """A market that is not open yet."""
        super().__init__(source.knows, settings)
        self._source = source

    async def run(self) -> Counts:
        """Push the source's ticks when they are due, to its end; a cancel is an end too, and the ledger is finished.

        Raises:
            UsageError: the ledger can't be written, or a played file has a bad line.
        """
        try:
            await self._push_all()
        except asyncio.CancelledError:
            self._finish()
            raise
        self._finish()
        return self.counts

    async def _push_all(self) -> None:
        if self.settings.wait_for_client:
            await self.subscribed()
        self.counts.started = time.time_ns() // 1000
        async with self._misbehaving():
            await self._push_from(asyncio.get_running_loop().time())

    async def _push_from(self, start: float) -> None:
        source, paced, clock = self._source, self.settings.paced, asyncio.get_running_loop().time
        end = math.inf if self.settings.seconds is None else self.settings.seconds
        last = math.nextafter(end, 0.0)  # a tick that is due at the end itself belongs to the time after it
        while (due := source.next_due) is not None:
            began = clock()
            if paced:
                if due >= end:
                    break
                if due > began - start:
                    await asyncio.sleep(due - (began - start))
                    began = clock()
            else:
                await self.drained()
                if clock() - start >= end:
                    break
            self.push(source.take(min(began - start, last) if paced else math.inf, ROUND_TICKS))
            await asyncio.sleep(max(0.0, began + ROUND_SECONDS - clock()) if paced else 0.0)

    @contextlib.asynccontextmanager
    async def _misbehaving(self) -> AsyncIterator[None]:
        settings = self.settings
        strikes = Strikes(
            self,
            self.kinds,
            after=settings.misbehave_after,
            every=settings.misbehave_every,
            seed=settings.seed,
            kill_line_every=settings.kill_line_every,
            seconds=settings.seconds,
        )
        running = asyncio.get_running_loop().create_task(strikes.run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    def _finish(self) -> None:
        self.counts.ended = time.time_ns() // 1000
        self.finish_pages()
        if self.ledger is not None:
            self.ledger.finish(
                {
                    "ticks": sum(self.counts.by_connection.values()),
                    "market": self.counts.ticks,
                    "frames": self.counts.frames,
                    "started": self.counts.started or self.counts.ended,
                    "ended": self.counts.ended,
                    "too_slow": self.counts.too_slow,
                    "withheld": self.faults.withheld,
                    "faults": self.faults.count,
                    "by_connection": self.counts.by_connection,
                }
            )

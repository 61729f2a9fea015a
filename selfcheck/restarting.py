"""Killing the producer now and then, with SIGKILL, and starting it anew: by a clock that each time is further off."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from deploy.local.stack import Stack
from selfcheck.missing import Launch

_BACK = 2.0
"""Seconds beyond what the slowest start took, that a producer is given to be back before the market ends."""
_LOOK = 0.05


class Restarting:
    """The launches of one run's producer."""

    def __init__(self, every: float | None, step: float, seconds: float) -> None:
        """Nothing is launched.

        Args:
            every: seconds from one kill to the next; ``None`` for none.
            step: seconds by which the clock of each launch is further off than that of the last.
            seconds: how long the market pushes.
        """
        self.launches: list[Launch] = []
        self._every = every
        self._step = step
        self._seconds = seconds

    def launch(self, stack: Stack) -> None:
        """Start the producer."""
        offset = self._step * len(self.launches)
        self.launches.append(Launch(time.time_ns() // 1000, round(offset * 1e6)))
        stack.feed(clock_offset=offset)

    async def run(self, stack: Stack, published: Callable[[], Awaitable[int]]) -> None:
        """Kill it and start it anew, until the market is about to end.

        Args:
            published: how many ticks there are by now.

        Raises:
            PartError: it does not start.
        """
        begun = time.monotonic()
        await _more(published, 0, math.inf)
        # The market began when it was subscribed, a moment before.
        slowest, ends = time.monotonic() - begun, time.monotonic() + self._seconds
        while self._every is not None:
            await asyncio.sleep(self._every)
            killed = time.monotonic()
            if killed + slowest + _BACK > ends:
                return
            await asyncio.to_thread(stack.kill, "producer")
            before = await published()
            await asyncio.to_thread(self.launch, stack)
            await _more(published, before, ends)
            slowest = max(slowest, time.monotonic() - killed)


async def _more(published: Callable[[], Awaitable[int]], before: int, until: float) -> None:
    while await published() <= before and time.monotonic() < until:  # noqa: ASYNC110 - looked at, not told
        await asyncio.sleep(_LOOK)

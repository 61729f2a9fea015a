"""Killing the producer now and then, with SIGKILL, and starting it anew: by a clock that each time is further off."""

from __future__ import annotations

import asyncio
import time

from deploy.local.stack import Stack
from selfcheck.missing import Launch

_BACK = 5.0
"""Seconds that a producer is given to be back before the market ends."""


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

    async def run(self, stack: Stack) -> None:
        """Kill it and start it anew, until the market is about to end.

        Raises:
            PartError: it does not start.
        """
        begun = time.monotonic()
        number = 1
        while self._every is not None and number * self._every <= self._seconds - _BACK:
            await asyncio.sleep(begun + number * self._every - time.monotonic())
            await asyncio.to_thread(stack.kill, "producer")
            await asyncio.to_thread(self.launch, stack)
            number += 1

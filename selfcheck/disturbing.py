"""What is done to the workers while ticks come: killed, ended and started again, frozen for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from deploy.local.stack import Stack
from selfcheck.served import POLL_SECONDS, ServedCheck, ask, one_of_each_partition

FREEZE_AT = 5.0
"""Seconds after the first tick at which a worker is frozen."""
_LOOK = 0.05

What = Literal["killed", "restarted", "frozen", "resumed"]


def least_seconds(freeze: float) -> float:
    """How long ticks have to come, so that a worker which is frozen for so many seconds meets them again."""
    return FREEZE_AT + freeze + POLL_SECONDS


@dataclass(frozen=True)
class Disturbance:
    """What was done to a worker (counted from 1), ``at_s`` seconds after the first tick."""

    at_s: float
    worker: int
    what: What


@dataclass
class Disturbing:
    """Disturbs one worker after the other.

    Attributes:
        kill_every: seconds from one SIGKILL to the next.
        rebalance_every: seconds from one SIGTERM to the next.
        freeze: seconds for which the first worker is frozen.
        done: what was done so far.
        slowest_stop: seconds that a worker took at most from SIGTERM to its end.
    """

    stack: Stack
    seconds: float
    kill_every: float | None
    rebalance_every: float | None
    freeze: float | None
    served: ServedCheck
    committed: Callable[[], Mapping[int, int]]
    done: list[Disturbance] = field(default_factory=list)
    slowest_stop: float | None = None

    def __post_init__(self) -> None:
        """Nothing was done yet."""
        self._begun = 0.0
        self._frozen: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._last = len(self.stack.workers) - 1

    async def run(self, published: Callable[[], Awaitable[int]]) -> None:
        """Disturb until the market is about to end. Workers may still be on their way back then.

        Args:
            published: how many ticks there are by now.

        Raises:
            PartError: a worker did not start, or did not end when it was asked to.
        """
        if self.kill_every is self.rebalance_every is self.freeze is None:
            return
        while not await published():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(_LOOK)
        self._begun = time.monotonic()
        asked = []
        if self.freeze is not None:
            asked.append(self._freeze(self.freeze))
        if self.kill_every is not None:
            asked.append(self._each(self.kill_every, self._kill))
        if self.rebalance_every is not None:
            asked.append(self._each(self.rebalance_every, self._restart))
        tasks = [asyncio.create_task(one) for one in asked]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    @property
    def lacking(self) -> str | None:
        """What was asked for and was not done, as the run was too short."""
        done = {one.what for one in self.done}
        asked = {"killed": self.kill_every, "restarted": self.rebalance_every, "resumed": self.freeze}
        missing = [what for what, value in asked.items() if value is not None and what not in done]
        return f"no worker was {missing[0]}: give it more --seconds" if missing else None

    async def _each(self, every: float, disturb: Callable[[int], Awaitable[None]]) -> None:
        due = self._begun + every
        while due < self._begun + self.seconds:
            await asyncio.sleep(due - time.monotonic())
            due = max(due + every, time.monotonic())
            # One that is down must not be disturbed again, nor a second one before it is on its way back.
            async with self._one_at_a_time:
                await disturb(self._next())

    def _next(self) -> int:
        """The next in turn that is not frozen."""
        count = len(self.stack.workers)
        self._last = (self._last + 1) % count
        if self._last == self._frozen:
            self._last = (self._last + 1) % count
        return self._last

    async def _kill(self, number: int) -> None:
        self._note(number, "killed")
        await asyncio.to_thread(self.stack.kill_worker, number)
        await asyncio.to_thread(self.stack.start_worker, number)

    async def _restart(self, number: int) -> None:
        self._note(number, "restarted")
        took = await asyncio.to_thread(self.stack.end_worker, number)
        self.slowest_stop = round(max(took, self.slowest_stop or 0.0), 1)
        await asyncio.to_thread(self.stack.start_worker, number)

    async def _freeze(self, seconds: float) -> None:
        await asyncio.sleep(FREEZE_AT)
        number = self._frozen = 0
        async with self._one_at_a_time:
            part = self.stack.worker(number)
        url = self.stack.workers[number]
        codes = await asyncio.to_thread(one_of_each_partition, url)
        self._note(number, "frozen")
        part.freeze()
        await asyncio.sleep(seconds)

        def go_on() -> None:
            self._note(number, "resumed")
            part.resume()

        await ask(url, codes, self.committed, self.served, go_on)
        self._frozen = None

    def _note(self, number: int, what: What) -> None:
        self.done.append(Disturbance(round(time.monotonic() - self._begun, 1), number + 1, what))

"""Killing a Kafka broker of several while ticks come, with SIGKILL, and starting it anew: each in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from deploy.local.stack import Stack

REST = 5.0
"""Seconds for which all is well before a broker is killed."""
DOWN = 8.0
"""Seconds from the kill of a broker to its start: long enough that its partitions and groups go to others."""
LEAST_SECONDS = 20.0
"""How long ticks have to come, so that a broker is started again meanwhile."""
_BACK = 240.0
"""Longest that a broker may take from its start until it has all that it missed."""
_LOOK = 0.2

What = Literal["killed", "started", "in sync"]


@dataclass(frozen=True)
class BrokerEvent:
    """What was done to a broker (counted from 1) or seen of it, ``at_s`` seconds after the first tick."""

    at_s: float
    broker: int
    what: What


@dataclass
class BrokerKilling:
    """Kills one broker after the other; never one while another has not yet all that it missed.

    Attributes:
        seconds: how long ticks come; ``None`` where no broker is to be killed.
        done: what was done and seen so far.
    """

    stack: Stack
    seconds: float | None
    done: list[BrokerEvent] = field(default_factory=list)
    _begun: float = 0.0

    async def run(self, published: Callable[[], Awaitable[int]], in_sync: Callable[[], Awaitable[bool]]) -> None:
        """Kill and start until the market is about to end; the last one is back when this returns.

        Args:
            published: how many ticks there are by now.
            in_sync: whether every copy of every partition has what its leader has.

        Raises:
            PartError: a broker did not start, or did not catch up.
        """
        if self.seconds is None:
            return
        while not await published():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(_LOOK)
        self._begun = time.monotonic()
        number = 0
        while self._at() + REST + DOWN < self.seconds:
            await asyncio.sleep(REST)
            await self._one(number % self.stack.plan.brokers, in_sync)
            number += 1

    @property
    def lacking(self) -> str | None:
        """What was asked for and was not done, as the run was too short."""
        started = any(one.what == "started" for one in self.done)
        return (
            None
            if started or self.seconds is None
            else "no broker was killed and started again: give it more --seconds"
        )

    async def _one(self, number: int, in_sync: Callable[[], Awaitable[bool]]) -> None:
        self._note(number, "killed")
        await asyncio.to_thread(self.stack.kill_broker, number)
        await asyncio.sleep(DOWN)
        self._note(number, "started")
        part = await asyncio.to_thread(self.stack.start_broker, number)
        await asyncio.to_thread(self.stack.await_broker, part)
        until = time.monotonic() + _BACK
        while not await in_sync():
            if time.monotonic() > until:
                raise part.failure(f"did not catch up within {_BACK:g} s")
            await asyncio.sleep(_LOOK)
        self._note(number, "in sync")

    def _at(self) -> float:
        return time.monotonic() - self._begun

    def _note(self, number: int, what: What) -> None:
        self.done.append(BrokerEvent(round(self._at(), 1), number + 1, what))

"""Records of an input topic that can't be worked on, to the dead letters: each once, whichever agents read it.

A tick that is not usable is the same to every agent. The agent that comes first in ``ORDER``, of those whose consumer
groups have members, publishes it; the others know that it will, or has. A record on which a job failed is its agent's
own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Collection, Sequence

from aiokafka.errors import KafkaError

from broker import groups
from broker.chunk import Chunk
from broker.publisher import PartitionQueue
from processors.streaming.groups import group_of
from schemas import DeadLetter, UsageError, dead_letters
from schemas.bounds import LATEST_US
from schemas.topics import DEAD_LETTERS

log = logging.getLogger(__name__)

ORDER = ("snapshots", "storage", "changes", "bars")
"""Whose a tick is that is not usable: the first that runs. Other agents come behind, by their names."""
_KNOWN_SECONDS = 30.0
_ASK_SECONDS = 10.0


def before(agent: str, others: Collection[str]) -> list[str]:
    """The agents that come before one."""
    known = [*ORDER, *sorted(set(others) - set(ORDER))]
    return known[: known.index(agent)] if agent in known else list(known)


class Responsibility:
    """Whether an agent is the one that publishes the ticks that nobody can use."""

    def __init__(self, bootstrap: str, agent: str, beside: Collection[str]) -> None:
        """Nothing is asked yet.

        Args:
            beside: the agents of the same process: they run, or will in a moment.
        """
        self._bootstrap = bootstrap
        self._others = before(agent, {agent, *beside})
        self._beside = set(beside)
        self._asked = float("-inf")
        self._mine = True

    async def mine(self) -> bool:
        """Whether it is this agent's; where no broker tells it is, since twice is better than never."""
        if self._beside.intersection(self._others):
            return False
        now = time.monotonic()
        if self._others and now - self._asked > _KNOWN_SECONDS:
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    members = await groups.members(self._bootstrap, [group_of(name) for name in self._others])
                self._mine = not any(members.values())
                self._asked = now
            except (KafkaError, OSError, TimeoutError, UsageError) as error:
                log.warning("whether another agent publishes the same dead letters is not known: %r", error)
                self._mine = True
        return self._mine


class DeadLetters:
    """One agent's way to the dead letters.

    Attributes:
        queue: where they go.
        count: how many were published.
    """

    def __init__(self, queue: PartitionQueue, group: str, responsible: Responsibility) -> None:
        """A way of the consumer group ``group``, which becomes the letters' source."""
        self.queue = queue
        self.count = 0
        self._group = group
        self._responsible = responsible

    async def take(self, chunk: Chunk, bad: Sequence[tuple[int, str]]) -> bool:
        """Publish a chunk's records that are not usable; true if there were any of this agent's."""
        if not bad or not await self._responsible.mine():
            return False
        for index, reason in bad:
            self._publish(chunk, index, reason)
        return True

    def failed(self, chunk: Chunk) -> bool:
        """Publish a chunk's records that the job failed on; true if there were any."""
        for offset, why in chunk.failed.items():
            self._publish(chunk, bisect_left(chunk.offsets, offset), why)
        return bool(chunk.failed)

    def refuse(self, place: str, why: object) -> None:
        """Publish that a record can't be kept where it should be: its place and the reason. Its value is in the log."""
        self._letter(b"", f"{place}: {why}", time.time_ns() // 1000)
        log.error("a tick can't be stored: %s: %s", place, why)

    def _publish(self, chunk: Chunk, index: int, reason: str) -> None:
        place = f"{chunk.topic}/{chunk.partition}/{chunk.offsets[index]}"
        received = min(max(chunk.timestamps[index], 0) * 1000, LATEST_US)
        self._letter(chunk.values[index] or b"", f"{place}: {reason}", received, chunk.timestamps[index])
        log.error("a record can't be worked on and went to %s: %s: %s", DEAD_LETTERS, place, reason)

    def _letter(self, payload: bytes, reason: str, received: int, timestamp: int | None = None) -> None:
        letter = DeadLetter(payload, reason, "tick", self._group, 0, received)
        value, headers = dead_letters.to_kafka(letter)
        self.queue.add(None, value, received // 1000 if timestamp is None else timestamp, headers)
        self.count += 1

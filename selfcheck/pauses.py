"""The longest time that a partition stood still in a consumer group while ticks of it waited, seen from outside.

A worker commits a tick after all that follows from it is confirmed: rows stored, changes and state published. So the
group's committed position tells how far its work is, and the end of the topic tells whether there is more to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from selfcheck.log import LogReader

LOOK = 0.2
"""Seconds between two looks."""


@dataclass(frozen=True)
class Pause:
    """A pause in ``group`` and ``partition``; it began ``at_s`` seconds after the first look."""

    seconds: float
    group: str
    partition: int
    at_s: float


@dataclass(slots=True)
class _Place:
    position: int = 0
    since: float | None = None


class Pauses:
    """Takes looks at ends and committed positions, and keeps the longest pause of each group.

    A pause begins with the look before the one that first shows a tick waiting at this position, and ends with the look
    that shows the position risen: it is never taken for shorter than it was, and for longer by at most two looks. A
    position that falls is not progress before it is above its highest again.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.by_group: dict[str, Pause] = {}
        self._places: dict[tuple[str, int], _Place] = {}
        self._begun: float | None = None
        self._before = 0.0

    @property
    def longest(self) -> Pause | None:
        """The longest of all; ``None`` while no tick waited."""
        return max(self.by_group.values(), key=lambda pause: pause.seconds, default=None)

    def look(self, now: float, ends: Mapping[int, int], committed: Mapping[str, Mapping[int, int]]) -> None:
        """Take what was seen at ``now`` (s, monotonic).

        Args:
            ends: by partition, the offset that the next tick gets.
            committed: by group and partition, the committed position; where there is none, all ticks wait.
        """
        if self._begun is None:
            self._begun = self._before = now
        for group, positions in committed.items():
            for partition, end in ends.items():
                self._one(now, group, partition, positions.get(partition, 0), end)
        self._before = now

    def _one(self, now: float, group: str, partition: int, position: int, end: int) -> None:
        place = self._places.setdefault((group, partition), _Place())
        since = place.since
        if since is not None:
            longest = self.by_group.get(group)
            if longest is None or now - since > longest.seconds:
                begun = self._begun or 0.0
                self.by_group[group] = Pause(round(now - since, 2), group, partition, round(since - begun, 1))
        if position > place.position:
            place.position, since = position, None
        if end <= place.position:
            place.since = None
        else:
            place.since = self._before if since is None else since


class PauseWatch:
    """Looks at the broker from ``run`` until it is cancelled."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        groups: Sequence[str],
        look: float = LOOK,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing connects before ``run``; ``options`` say how to log in."""
        self.pauses = Pauses()
        self._bootstrap = bootstrap
        self._options = options
        self._topic = topic
        self._groups = groups
        self._look = look
        self._committed: Mapping[str, Mapping[int, int]] = {}

    def lowest(self) -> dict[int, int]:
        """By partition, what every group had committed at the last look."""
        found = list(self._committed.values())
        return {
            partition: min(positions.get(partition, 0) for positions in found)
            for partition in (found[0] if found else ())
        }

    async def run(self) -> None:
        """Look. A look that fails is left out: its time counts as standing still."""
        async with LogReader(self._bootstrap, self._options) as reader:
            while True:
                begun = time.monotonic()
                try:
                    # In this order: what is committed is never above the end that is seen after it.
                    committed = {group: await reader.committed([group], self._topic) for group in self._groups}
                    ends = await reader.ends(self._topic)
                except KafkaError:
                    pass
                else:
                    self._committed = committed
                    self.pauses.look(time.monotonic(), ends, committed)
                await asyncio.sleep(max(0.0, begun + self._look - time.monotonic()))

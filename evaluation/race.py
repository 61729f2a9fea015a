"""Who was first on the ticks that two lines both brought, and by how much. Pure; no I/O.

Which ticks are the same is ``producer.pipeline.matching``'s rule (``Matching``): of equal ones, the k-th on one line
is the k-th on the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from evaluation.samples import Samples
from producer.feeds.decoded import FeedTick
from producer.pipeline.matching import Key, Matching

LIMIT = 200_000
"""Ticks that wait for the other line; beyond, the oldest count as brought by one alone."""
GRACE = 2_000_000
"""µs before the end, whose ticks may still be under way on the other line."""


class Race:
    """Two lines beside one another. What came before both of them had brought a tick does not count.

    Attributes:
        leads: of each line, by how much (µs) it was ahead where it was first.
        alone: of each line, ticks that only it brought.
    """

    def __init__(self, matching: Matching, limit: int = LIMIT) -> None:
        """Nobody has brought anything."""
        self.leads = (Samples(), Samples())
        self.alone = [0, 0]
        self._key = matching.key()
        self._limit = limit
        self._flowing = [False, False]
        self._since = 0
        self._waiting: dict[tuple[object, ...], tuple[int, deque[int]]] = {}
        self._count = 0

    def came(self, line: int, ticks: Sequence[FeedTick], received: int) -> None:
        """A line, 0 or 1, brought ticks at a time, µs since the epoch."""
        if ticks and not self._flowing[line]:
            self._flowing[line] = True
            self._since = received
        for tick in ticks:
            self._meet(line, (tick.code, *self._key(tick)), received)

    def _meet(self, line: int, key: Key, received: int) -> None:
        held = self._waiting.get(key)
        if held is None:
            self._waiting[key] = (line, deque((received,)))
            self._count += 1
        elif held[0] == line:
            held[1].append(received)
            self._count += 1
        else:
            before = held[1].popleft()
            self._count -= 1
            if before >= self._since:
                self.leads[held[0]].add(max(0, received - before))
            if not held[1]:
                del self._waiting[key]
        while self._count > self._limit:
            oldest = next(iter(self._waiting))
            who, times = self._waiting.pop(oldest)
            self._left(who, times, self._since, received)
            self._count -= len(times)

    def finish(self, now: int) -> None:
        """The end has come: what waited for long enough was brought by one alone."""
        for who, times in self._waiting.values():
            self._left(who, times, self._since, now - GRACE)
        self._waiting.clear()
        self._count = 0

    def _left(self, who: int, times: Sequence[int], since: int, until: int) -> None:
        """Count what nobody else brought, while both did bring something."""
        if all(self._flowing):
            self.alone[who] += sum(1 for received in times if since <= received <= until)

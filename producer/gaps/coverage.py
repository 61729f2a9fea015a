"""When a stream of several lines had none of them: only then it has a gap. Pure; times in µs since the epoch.

A line's outage often is known late only: what ended at 10:05 may have been silent since 10:00. So a gap can be found
when a line comes back, and as well when one is given up whose silence reaches into another's outage.
"""

from __future__ import annotations

from collections import deque
from itertools import product

_KEPT = 64
"""Outages of each line that are remembered: silence is noticed long before there were as many."""
_OPEN = 1 << 62

Span = tuple[int, int]


class Coverage:
    """The outages of a stream's lines, and what they have in common."""

    def __init__(self, lines: int) -> None:
        """Nobody is connected yet, and nothing is missed before the first line is."""
        self._outages: list[deque[Span]] = [deque([(0, _OPEN)], maxlen=_KEPT) for _ in range(lines)]
        self._begun: int | None = None
        self._announced: deque[Span] = deque(maxlen=_KEPT)

    def lost(self, line: int, since: int) -> list[Span]:
        """A line brings nothing since then. Gives the gaps that are known by this."""
        outages = self._outages[line]
        if outages and outages[-1][1] == _OPEN:
            return []
        outages.append((max(since, outages[-1][1] if outages else 0), _OPEN))
        return self._news()

    def resumed(self, line: int, now: int) -> list[Span]:
        """A line brings everything from now on. Gives the gaps that have ended by this."""
        if self._begun is None:
            self._begun = now
        outages = self._outages[line]
        if not outages or outages[-1][1] != _OPEN:
            return []
        outages[-1] = (outages[-1][0], now)
        return self._news()

    def _news(self) -> list[Span]:
        """What all lines' outages have in common, is over, and was not announced yet."""
        if self._begun is None:
            return []
        common: list[Span] = [(self._begun, _OPEN)]
        for outages in self._outages:
            both = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in product(common, outages))
            common = [span for span in both if span[0] < span[1]]
        found = sorted(span for span in common if span[1] < _OPEN and span not in self._announced)
        self._announced.extend(found)
        return found

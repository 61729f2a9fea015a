"""How long things took, counted by length."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Of a histogram's buckets, in seconds."""


class Durations:
    """How long things took, as a histogram: of batches and the like, never of single ticks.

    Attributes:
        count: how many.
        seconds: how long all of them took.
    """

    def __init__(self) -> None:
        """None yet."""
        self._counts = [0] * (len(BOUNDS) + 1)
        self.count = 0
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more took so long."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.count += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """The upper bound of each bucket, and how many took no longer."""
        return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self._counts), strict=True))

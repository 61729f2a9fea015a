"""What is kept of a stream of figures in bounded memory: samples for quantiles, tallies of reasons, a series."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 32_768
"""Samples: the rank of a quantile is off by 0.3 % of them at the median, and by 0.06 % at p99."""
BINS = 600
OTHER = "other"


class Samples:
    """Quantiles of any number of figures: exact up to ``size`` of them, of a uniform sample beyond.

    Attributes:
        count: figures that came.
        least, most: of all of them, not only of the sample.
    """

    def __init__(self, size: int = SIZE) -> None:
        """Nothing has come."""
        self.count = 0
        self.least: int | None = None
        self.most: int | None = None
        self._size = size
        self._kept: list[int] = []
        self._random = random.Random(0).random  # noqa: S311 - a sample that is the same for the same figures

    def add(self, value: int) -> None:
        """Take a figure."""
        self.count += 1
        if self.least is None or value < self.least:
            self.least = value
        if self.most is None or value > self.most:
            self.most = value
        if len(self._kept) < self._size:
            self._kept.append(value)
            return
        place = int(self._random() * self.count)
        if place < self._size:
            self._kept[place] = value

    def at(self, *shares: float) -> list[int | None]:
        """The figures that these shares (0 to 1) of all do not exceed; ``None`` where nothing came."""
        if not self._kept:
            return [None] * len(shares)
        ordered = sorted(self._kept)
        return [ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))] for share in shares]

    def least_from(self, low: float) -> int | None:
        """The least figure that is not below one, of those kept."""
        return min((value for value in self._kept if value >= low), default=None)

    def beyond(self, low: float, high: float) -> tuple[int, int]:
        """How many lie below and above: counted where all were kept, else estimated from the sample."""
        if not self._kept:
            return 0, 0
        scale = self.count / len(self._kept)
        below = sum(1 for value in self._kept if value < low)
        above = sum(1 for value in self._kept if value > high)
        return round(below * scale), round(above * scale)

    def spread(self, points: int = 200) -> list[int]:
        """The quantiles at ``points`` + 1 shares from 0 to 1: the distribution, as a curve."""
        return [] if not self._kept else [v for v in self.at(*(i / points for i in range(points + 1))) if v is not None]


class Tally:
    """Counts by reason. Beyond ``most`` reasons, further ones are ``other``: a server may word each anew."""

    def __init__(self, most: int = 64, longest: int = 160) -> None:
        """Nothing has come."""
        self._most, self._longest = most, longest
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, count: int = 1) -> None:
        """Count a reason, shortened to what is shown of it."""
        reason = reason[: self._longest]
        if reason not in self._counts and len(self._counts) >= self._most:
            reason = OTHER
        self._counts[reason] += count

    @property
    def total(self) -> int:
        """All of them."""
        return self._counts.total()

    def ordered(self) -> dict[str, int]:
        """The counts, most frequent first."""
        return dict(self._counts.most_common())


@dataclass
class Bin:
    """A stretch of time: what came in it; ``lowest`` and ``highest`` are latencies, µs."""

    frames: int = 0
    ticks: int = 0
    bytes: int = 0
    lowest: int | None = None
    highest: int | None = None

    def join(self, other: Bin) -> None:
        """Add what came in another."""
        self.frames += other.frames
        self.ticks += other.ticks
        self.bytes += other.bytes
        if other.lowest is not None and other.highest is not None:
            self.latency(other.lowest, other.highest)

    def latency(self, lowest: int, highest: int) -> None:
        """Latencies were between these."""
        self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
        self.highest = highest if self.highest is None else max(self.highest, highest)


class Series:
    """Bins from a beginning on (µs), a second each; when there are too many, every two become one."""

    def __init__(self, began: int, bins: int = BINS) -> None:
        """Empty."""
        self.width = 1_000_000
        self._began, self._most = began, bins
        self._bins: list[Bin] = []

    def at(self, moment: int) -> Bin:
        """The bin of a moment, µs; one before the beginning is in the first."""
        while (place := max(0, moment - self._began) // self.width) >= self._most:
            self._halve()
        while len(self._bins) <= place:
            self._bins.append(Bin())
        return self._bins[place]

    @property
    def bins(self) -> Sequence[Bin]:
        """All of them, in order."""
        return self._bins

    def _halve(self) -> None:
        joined = self._bins[::2]
        for one, other in zip(joined, self._bins[1::2], strict=False):
            one.join(other)
        self._bins, self.width = joined, self.width * 2

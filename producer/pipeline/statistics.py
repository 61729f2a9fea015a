"""What each of several lines brought, and how far behind the others, in bounded memory. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field


class Quantiles:
    """Quantiles of durations, to an eighth, in bounded memory."""

    def __init__(self) -> None:
        """Nothing was added."""
        self.count = 0
        self._buckets: dict[int, int] = {}

    def add(self, value: int) -> None:
        """Count a duration, µs; a negative one as 0."""
        value = max(value, 0)
        shift = max(value.bit_length() - 4, 0)
        bucket = shift << 4 | value >> shift
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1

    def at(self, share: float) -> int | None:
        """The duration that ``share`` of them (0 to 1) did not exceed, rounded up to its bucket; ``None`` of none."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                shift = bucket >> 4
                return (((bucket & 15) + 1) << shift) - 1
        return None


@dataclass
class LineStatistics:
    """What one line brought.

    Attributes:
        first: ticks that it brought first.
        second: that another had brought before.
        repeated: of those, such as this line itself had brought, recognised by their number.
        too_late: dropped since they are older than what is remembered.
        held: that waited for another line.
        expired: of those, such as nobody else brought in time.
        behind: how far its second arrivals were behind the first, µs.
    """

    first: int = 0
    second: int = 0
    repeated: int = 0
    too_late: int = 0
    held: int = 0
    expired: int = 0
    behind: Quantiles = field(default_factory=Quantiles)

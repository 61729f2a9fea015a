"""What a stream lost, told from the stream itself: packet numbers with a hole, volume that rose by more than was seen.

A lost connection is always a gap, whatever the numbers say; that is the line's to announce. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from market.times import DAY_MS
from producer.feeds.decoded import FeedTick
from producer.feeds.limits import CODES

Detected = Literal["sequence", "disconnect", "silence", "overflow", "volume", "merged", "killed"]

_SHANGHAI_MS = 8 * 3_600_000
_GROUPS = 4_096
"""Groups of packets that are watched."""
_ROUNDING = 100
"""Shares: a feed that counts in lots rounds its two figures apart by less than one."""


@dataclass(frozen=True)
class Hole:
    """Ticks that are known to be missing between two local times, µs since the epoch.

    Attributes:
        codes: those concerned, ``"all"`` for all of the line's.
        missed: shares that traded in it, ``None`` where the feed does not tell.
        count: of several that it covers, ``None`` for one that is told by itself.
    """

    start: int
    end: int
    codes: list[str] | Literal["all"]
    detected: Detected
    reason: str
    missed: int | None = None
    count: int | None = None


class PacketNumbers:
    """The numbers that a provider gives its packets, without holes, in one sequence or one for each group."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._last: dict[str, tuple[int, int]] = {}

    def reset(self) -> None:
        """A new connection begins its own numbers, or goes on with the old: what lies between is a gap already."""
        self._last.clear()

    def came(self, number: int, received: int, group: str = "") -> Hole | None:
        """A packet came. A number that is not higher than the last is a repeat, or a provider that began again."""
        before = self._last.get(group)
        if before is not None and number == before[0]:
            return None
        if before is None and len(self._last) >= _GROUPS:
            return None  # no provider has so many: whoever invents them has no holes told
        self._last[group] = (number, received)
        if before is None or number <= before[0] + 1:
            return None
        lost = number - before[0] - 1
        said = f"packet {before[0] + 1}" if lost == 1 else f"packets {before[0] + 1} to {number - 1}"
        of = f" of {group}" if group else ""
        return Hole(before[1], received, "all", "sequence", f"{said}{of} did not come")


class CumulativeVolumes:
    """Shares of the day so far, code by code, beside the volume of each tick."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._last: dict[str, tuple[int | float, int, int]] = {}
        self.missed: int | float = 0
        """Shares that traded while the line was away, as far as first ticks after it told."""

    def came(self, ticks: Iterable[FeedTick], received: int) -> list[Hole]:
        """Ticks with ``cumulative``: a hole for each code whose volume rose by more than the tick traded.

        A new day begins at 0. A figure that falls within a day is a feed that began again only where the tick has a
        volume, as adapters give it none before later pushes confirm it. A tick without a volume whose figure rose is a
        code's first on its connection: what it skipped lies in a gap that is announced anyway, and is only summed up.
        One that comes late, with no higher a figure, says nothing.
        """
        holes = []
        last = self._last
        for tick in ticks:
            total = tick.cumulative
            if total is None:
                continue
            before = last.get(tick.code)
            if before is None and len(last) >= CODES:
                last.clear()
            if before is not None:
                day, day_before = (tick.time + _SHANGHAI_MS) // DAY_MS, (before[2] + _SHANGHAI_MS) // DAY_MS
                if tick.volume is None and (day < day_before or (day == day_before and total <= before[0])):
                    continue
                if day != day_before:
                    before = (0, before[1], before[2]) if day > day_before else None
            last[tick.code] = (total, received, tick.time)
            if before is None or total <= before[0]:
                continue
            rise = total - before[0]
            if tick.volume is None:
                self.missed += rise
            elif (beyond := rise - tick.volume) >= _ROUNDING:
                reason = f"{beyond:g} shares traded beside the ticks that came"
                holes.append(Hole(before[1], received, [tick.code], "volume", reason, int(beyond)))
        return holes


def merged(holes: list[Hole]) -> list[Hole]:
    """Holes of one frame, those found by volume as one for all their codes."""
    by_volume = [hole for hole in holes if hole.detected == "volume"]
    if len(by_volume) < 2:
        return holes
    codes = [code for hole in by_volume for code in hole.codes]
    missed = sum(hole.missed or 0 for hole in by_volume)
    one = Hole(
        min(hole.start for hole in by_volume),
        max(hole.end for hole in by_volume),
        codes,
        "volume",
        f"{missed:,} shares of {len(codes):,} codes traded beside the ticks that came",
        missed,
    )
    return [*(hole for hole in holes if hole.detected != "volume"), one]

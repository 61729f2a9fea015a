"""Gaps that a stream's figures show: the day's volume rose by more than the ticks that came traded.

A lost connection is always a gap, whatever the figures say; ``producer.gaps.outage`` has that. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

from market.times import DAY_MS, SHANGHAI_MS
from producer.feeds.decoded import FeedTick
from producer.feeds.limits import CODES
from producer.gaps.gap import Gap

_ROUNDING = 100
"""Shares: a feed that counts in lots rounds its two figures apart by less than one."""


class CumulativeVolumes:
    """Shares of the day so far, code by code, beside the volume of each tick."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._last: dict[str, tuple[int | float, int, int]] = {}
        self.missed: int | float = 0
        """Shares that traded while the line was away, as far as the first ticks after it show."""

    def came(self, ticks: Iterable[FeedTick], received: int) -> list[Gap]:
        """Ticks with ``cumulative``: a gap for each code whose volume rose by more than the tick traded.

        A new day begins at 0. A figure that falls within a day is a feed that began again only where the tick has a
        volume, as adapters give it none before later pushes confirm it. A tick without a volume whose figure rose is a
        code's first on its connection: what it skipped lies in a gap that is announced anyway, and is only summed up.
        One that comes late, with no higher a figure, shows nothing.
        """
        gaps = []
        last = self._last
        for tick in ticks:
            total = tick.cumulative
            if total is None:
                continue
            before = last.get(tick.code)
            if before is None and len(last) >= CODES:
                last.clear()
            if before is not None:
                day, day_before = (tick.time + SHANGHAI_MS) // DAY_MS, (before[2] + SHANGHAI_MS) // DAY_MS
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
                gaps.append(Gap(before[1], received, [tick.code], "volume", reason, int(beyond)))
        return gaps


def merged(gaps: list[Gap]) -> list[Gap]:
    """Gaps of one frame, those found by volume as one for all their codes."""
    by_volume = [gap for gap in gaps if gap.detected == "volume"]
    if len(by_volume) < 2:
        return gaps
    codes = [code for gap in by_volume for code in gap.codes]
    missed = sum(gap.missed or 0 for gap in by_volume)
    one = Gap(
        min(gap.start for gap in by_volume),
        max(gap.end for gap in by_volume),
        codes,
        "volume",
        f"{missed:,} shares of {len(codes):,} codes traded beside the ticks that came",
        missed,
    )
    return [*(gap for gap in gaps if gap.detected != "volume"), one]

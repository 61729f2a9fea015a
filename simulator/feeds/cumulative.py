"""What a client makes of pushes that carry the day's volume so far: the difference to the push before.

Nothing can be told of a code's first push on a connection, of a day's first and of the first after a reset, nor of a
push that is older than the one before and has no more: that one is late, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.feeds.prints import DAY_MS

_CHINA_MS = 8 * 3_600_000


@dataclass(slots=True)
class _Seen:
    day: int
    time: int
    volume: float
    turnover: float


class Differences:
    """Volume and turnover by code since the last push of the connection."""

    def __init__(self) -> None:
        """Nothing was pushed yet."""
        self._seen: dict[str, _Seen] = {}

    def repeats(self, code: str, time: int, volume: float) -> bool:
        """Whether a push would say nothing new: the same time and day's volume as the one before."""
        seen = self._seen.get(code)
        return seen is not None and seen.time == time and seen.volume == volume

    def take(self, code: str, time: int, volume: float, turnover: float) -> tuple[float | None, float | None]:
        """Enter a push; what was traded since the one before, ``None`` where it can't be told."""
        day = (time + _CHINA_MS) // DAY_MS
        seen = self._seen.get(code)
        if seen is not None and time < seen.time and volume <= seen.volume:
            return None, None
        self._seen[code] = _Seen(day, time, volume, turnover)
        if seen is None or seen.day != day or volume < seen.volume:
            return None, None
        return volume - seen.volume, turnover - seen.turnover if turnover >= seen.turnover else None

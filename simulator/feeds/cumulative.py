"""What a client makes of pushes that carry the day's volume so far: the difference to the push before.

- Nothing can be told of a code's first push on a connection, nor of a push that is older than the one before and has no
  more: that one is late, and changes nothing.
- A day's sums begin at 0, so its first push holds all that was traded in it; but not where it still shows the sum of
  the day before, and where it shows more than that, it may be a wrong date.
- A fall within a day is believed once two later pushes have risen from it without coming back; then what was traded
  since the fall is told at once. Where they come back first, the fall was a glitch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from market.times import DAY_MS, SHANGHAI_MS

_BELIEVED = 2

Sum = tuple[float, float]
"""Shares and yuan."""


@dataclass(slots=True)
class _Seen:
    day: int
    time: int
    last: Sum
    counted: Sum
    """Up to where volume has been told."""
    fallen: list[Sum] = field(default_factory=list)
    """The pushes that rose since a fall, the one that fell first."""
    day_to_come: bool = False


class Differences:
    """Volume and turnover by code since the last push of the connection."""

    def __init__(self) -> None:
        """Nothing was pushed yet."""
        self._seen: dict[str, _Seen] = {}

    def repeats(self, code: str, time: int, volume: float) -> bool:
        """Whether a push would say nothing new: the same time and day's volume as the one before."""
        seen = self._seen.get(code)
        return seen is not None and seen.time == time and seen.last[0] == volume

    def take(self, code: str, time: int, volume: float, turnover: float) -> tuple[float | None, float | None]:
        """Enter a push; what was traded since the one before, ``None`` where it can't be told."""
        day, pushed = (time + SHANGHAI_MS) // DAY_MS, (volume, turnover)
        seen = self._seen.get(code)
        if seen is None:
            self._seen[code] = _Seen(day, time, pushed, pushed)
            return None, None
        if time < seen.time and (day != seen.day or volume <= seen.counted[0]):
            return None, None
        if day != seen.day:
            before = seen.counted[0]
            self._seen[code] = _Seen(day, time, pushed, pushed, day_to_come=bool(volume) and volume == before)
            return pushed if volume < before else (None, None)
        last, seen.time, seen.last = seen.last, time, pushed
        if volume >= seen.counted[0]:
            return _tell(seen, seen.counted, pushed)
        return _tell(seen, (0, 0.0), pushed) if seen.day_to_come else _fell(seen, last, pushed)


def _fell(seen: _Seen, last: Sum, pushed: Sum) -> tuple[float | None, float | None]:
    if not seen.fallen or pushed[0] < seen.fallen[0][0]:
        seen.fallen = [pushed]
    elif pushed[0] > last[0]:
        seen.fallen.append(pushed)
        if len(seen.fallen) > _BELIEVED:
            return _tell(seen, seen.fallen[0], pushed)
    return None, None


def _tell(seen: _Seen, since: Sum, pushed: Sum) -> tuple[float | None, float | None]:
    seen.counted, seen.fallen, seen.day_to_come = pushed, [], False
    turnover = pushed[1] - since[1]
    return pushed[0] - since[0], turnover if turnover >= 0 else None

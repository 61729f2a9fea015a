"""A feed's clock that is constantly off: found within a minute, and put into words. No I/O."""

from __future__ import annotations

from collections import deque

from market.times import SHANGHAI_MS

SECONDS = 60.0
"""For so long the distance has to be the same."""
SMALLEST_MS = 60_000
STEADY_MS = 15_000
"""Between the middle eight tenths of the distances: snapshots come every 3 s, and a frozen time is not a clock."""
_FEWEST = 6
_MOST = 240
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_ROUND_MS = 120_000
_SHANGHAI_HOURS = SHANGHAI_MS // _HOUR_MS


class Drift:
    """Takes the distance of ticks' times from the local clock; ``off`` is what it has settled on.

    Attributes:
        off: ms by which the feed is ahead (behind where negative); ``None`` while it is not, or not known to be.
    """

    def __init__(self) -> None:
        """Nothing has come."""
        self.off: int | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=_MOST)

    def heard(self, distance: int, now: float) -> None:
        """A tick was so many ms ahead of the local clock; ``now`` in seconds that only rise."""
        samples = self._samples
        samples.append((now, distance))
        while now - samples[0][0] > 2 * SECONDS:
            samples.popleft()
        if len(samples) < _FEWEST or now - samples[0][0] < SECONDS:
            return
        ordered = sorted(distance for _, distance in samples)
        tenth = len(ordered) // 10
        middle = ordered[len(ordered) // 2]
        if ordered[-1 - tenth] - ordered[tenth] > STEADY_MS:
            return
        self.off = middle if abs(middle) >= SMALLEST_MS else None


def described(off: int) -> str:
    """What a distance is, and what it comes from where that is known."""
    hours = round(off / _HOUR_MS)
    whole = hours and abs(off - hours * _HOUR_MS) <= _ROUND_MS
    if whole:
        much = f"{abs(hours)} h"
    elif abs(off) >= _HOUR_MS:
        much = f"{abs(off) / _HOUR_MS:,.1f} h"
    else:
        much = f"{abs(off) / _MINUTE_MS:.1f} min"
    text = f"the feed's times are constantly {much} {'ahead of' if off > 0 else 'behind'} the local clock"
    if whole and hours == -_SHANGHAI_HOURS:
        return f"{text}: it writes UTC as if it were Shanghai time, or the local clock is wrong"
    if whole and hours == _SHANGHAI_HOURS:
        return f"{text}: it writes Shanghai time as if it were UTC, or the local clock is wrong"
    if whole and abs(hours) <= 14:
        return f"{text}: it writes another zone's time, or the local clock is wrong"
    if off < 0 and abs(off) < _HOUR_MS:
        return f"{text}: it is a delayed feed, or one of the clocks is wrong"
    return f"{text}: a recording or a simulation (--own-clock), or a wrong clock or unit of time (--time-unit)"

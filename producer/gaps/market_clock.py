"""What time it is on the market of a feed: the local time, or that of a recording or a simulation. No I/O."""

from __future__ import annotations

from collections import deque

from producer.gaps.drift import Drift

_REPLAYED_MS = 600_000  # a market whose clock is further from ours than this is a recording or a simulation
_AGREED_MS = 5_000
_SAMPLES, _MAJORITY = 5, 3


class MarketClock:
    """What time it is on the market of a feed: the local time, unless what flows is a recording or a simulation.

    Old ticks that feeds push from their cache after a subscription move nothing, and neither does one that is late or
    wrong: most of the last few have to agree, and the market's own time has to go on.
    """

    def __init__(self) -> None:
        """The local time, until ticks say otherwise."""
        self._offset = 0
        self.drift = Drift()
        """Whether the market's time is constantly off the local one."""
        self._samples: deque[tuple[int, int, float]] = deque(maxlen=_SAMPLES)

    def heard(self, time: int, wall: int, now: float) -> None:
        """A tick of exchange time ``time`` came just now; one of many is enough, twice a second."""
        self.drift.heard(time - wall, now)
        self._samples.append((time - wall, time, now))
        middle = sorted(offset for offset, _, _ in self._samples)[len(self._samples) // 2]
        agreed = [(at, when) for offset, at, when in self._samples if abs(offset - middle) <= _AGREED_MS]
        if len(agreed) < _MAJORITY or agreed[-1][1] - agreed[0][1] < 1.0 or agreed[-1][0] - agreed[0][0] < 500:
            return
        self._offset = middle if abs(middle) >= _REPLAYED_MS else 0

    def at(self, wall: int) -> int:
        """The market's time when the local one is ``wall``."""
        return wall + self._offset

"""What time it is in a stream whose clock is its own: a recording, a simulation. No I/O."""

from __future__ import annotations

from market.calendar import next_trading_day, previous_trading_day
from market.times import DAY_MS, SHANGHAI_MS, day_start, shanghai_date

CONFIRMING = 3
"""Codes; of a stream that has shown fewer, all of them, and as many ticks."""

_EVER = 1 << 62


class StreamClock:
    """What time it is in a stream whose clock is its own.

    Attributes:
        floor, ceiling: a time between these, both included, is of the clock's day, or of the trading day beside it.
        apart: codes whose last ticks were all outside, on one side.
    """

    def __init__(self) -> None:
        """It shows nothing before the first tick."""
        self.floor, self.ceiling = _EVER, -1
        self.apart: set[str] = set()
        self._day = -1
        self._beyond = False
        self._ticks = self._of_batch = 0

    def ahead(self, code: str, time: int, codes: int) -> bool:
        """Whether a tick is ahead of the stream; of ``codes`` that the stream has shown so far."""
        if self._day < 0 or self.floor <= time <= self.ceiling:
            self._show(time)
            return False
        beyond = time > self.ceiling
        if beyond is not self._beyond:
            self._forget()
            self._beyond = beyond
        self.apart.add(code)
        self._ticks += 1
        self._of_batch += 1
        if self._ticks < CONFIRMING or len(self.apart) < min(CONFIRMING, codes):
            return beyond
        self._forget()
        self._day = -1
        self._show(time)
        return False

    def judged(self, ticks: int) -> None:
        """So many ticks came together: any that was not apart shows that the stream goes on where it was."""
        if ticks > self._of_batch:
            self._forget()
        self._of_batch = 0

    def _show(self, time: int) -> None:
        day = (time + SHANGHAI_MS) // DAY_MS
        if day > self._day:
            self._day = day
            today = shanghai_date(time)
            self.floor = day_start(previous_trading_day(today))
            self.ceiling = day_start(next_trading_day(today)) + DAY_MS - 1

    def _forget(self) -> None:
        self.apart.clear()
        self._ticks = self._of_batch = 0

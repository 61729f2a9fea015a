"""The time that stamps what comes off a socket: it follows the wall clock forwards, and no step turns it back.

``received`` must not fall within a run (``docs/decisions.md``), and a gap's start and end must lie where its ticks do.
So time goes on by the monotonic clock from where it stood. A wall clock that is ahead is followed at once; one that was
put back is not: the stamps stay ahead of it until it has caught up or the producer is started anew.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

OFFSET = "ASHARE_TEST_CLOCK_OFFSET_S"
"""For tests alone: seconds by which the wall clock is taken to be off (``ashare verify --clock-step``)."""


def wall() -> int:
    """The machine's clock, ns since the epoch; every time of day that the producer uses is taken from it here."""
    return time.time_ns() + _OFFSET_NS


_OFFSET_NS = round(float(os.environ.get(OFFSET) or 0) * 1e9)

STEP_NS = 500_000_000
"""A difference between two looks at both clocks that is logged as a step; less is a clock being disciplined."""


class Clock:
    """Local time that never falls."""

    def __init__(self, wall: Callable[[], int] = wall, steady: Callable[[], int] = time.monotonic_ns) -> None:
        """Begin at the wall clock's time; both clocks give ns, and ``steady`` only rises."""
        self._wall = wall
        self._steady = steady
        self._base, _ = self._look()
        """What is added to the steady clock."""
        self._logged = 0
        """By how much the wall clock was behind when that was last logged, ns."""

    def _look(self) -> tuple[int, int]:
        """The wall clock's lead over the steady one, and that; where the thread waits in between it shows as less."""
        wall = self._wall()
        steady = self._steady()
        return wall - steady, steady

    def now(self) -> int:
        """Local time, µs since the epoch."""
        lead, steady = self._look()
        behind = self._base - lead
        if behind < 0 or abs(behind - self._logged) > STEP_NS:
            lead = max(lead, self._look()[0])
            behind = self._base - lead
            self._base = max(self._base, lead)
            if abs(behind - self._logged) > STEP_NS:
                self._stepped(behind)
        return (steady + self._base) // 1000

    def _stepped(self, behind: int) -> None:
        """Log that the wall clock has been set; it is ``behind`` what is stamped, ahead where that is below 0."""
        forward, self._logged = self._logged - behind, max(0, behind)
        log.warning(
            "the clock of this machine was put %s by %.1f s: %s",
            "forward" if forward > 0 else "back",
            abs(forward) / 1e9,
            f"ticks are stamped {behind / 1e9:.1f} s ahead of it, so that their time of receipt never falls"
            if behind > STEP_NS
            else "ticks are stamped by it",
        )


_clock = Clock()


def now() -> int:
    """Local time of this process, µs since the epoch; it never falls."""
    return _clock.now()

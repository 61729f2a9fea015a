"""What a line misses while it is away: since when, of which codes, and how that was found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from producer.gaps.volume import Detected, Hole

RAPID = 30.0
"""Seconds. A connection that lives longer was not taken over as soon as it stood."""
MOST_KICKS = 5


@dataclass
class Absence:
    """The gap that no subscription has closed yet; attempts that fail in between make it longer, not two."""

    since: int | None = None
    _codes: list[str] | Literal["all"] = "all"
    _detected: Detected = "disconnect"
    _reason: str = ""

    def begin(self, since: int, codes: list[str] | Literal["all"], detected: Detected, reason: str) -> None:
        """Nothing is known of the codes from ``since`` on, µs since the epoch."""
        if self.since is None and codes:
            self.since, self._codes, self._detected, self._reason = since, codes, detected, reason

    def keep(self, wanted: Iterable[str] | None) -> None:
        """The list has changed: what is not wanted any more is not missed from now on, even if it comes back later."""
        if self.since is not None and self._codes != "all" and wanted is not None:
            still = set(wanted)
            self._codes = [code for code in self._codes if code in still]
            if not self._codes:
                self.since = None

    def end(self, now: int, wanted: Iterable[str] | None) -> Hole | None:
        """Ticks can be expected again: the gap of the codes that are still wanted (``None`` for all), if any."""
        since, self.since = self.since, None
        if since is None:
            return None
        codes = self._codes
        if wanted is not None and codes != "all":
            still = set(wanted)
            codes = [code for code in codes if code in still]
            if not codes:
                return None
        return Hole(since, max(since, now), codes, self._detected, self._reason)


@dataclass
class Kicks:
    """Connections that another login took over, one soon after the other: two producers on one token."""

    _times: deque[float] = field(default_factory=deque)

    def kicked(self, lived: float) -> bool:
        """A connection was taken over after so many seconds; whether that is too often to be chance."""
        if lived > RAPID:
            self._times.clear()
        self._times.append(lived)
        return len(self._times) >= MOST_KICKS

    def stayed(self) -> None:
        """A connection ended in another way, or has lived long enough."""
        self._times.clear()


MOST_DOORS = 4
DOORS_SECONDS = 60.0
"""Longer than any server counts a dead connection: one that is refused for that comes through before."""


@dataclass
class ShutDoors:
    """Connections that were closed without a word, one after the other: how some feeds refuse a token."""

    _since: float = 0.0
    _count: int = 0

    def shut(self, now: float, *, speechless: bool) -> bool:
        """A connection ended; whether so many did so without a word, for so long, that it is no passing trouble."""
        if not speechless:
            self._count = 0
            return False
        if not self._count:
            self._since = now
        self._count += 1
        return self._count >= MOST_DOORS and now - self._since >= DOORS_SECONDS

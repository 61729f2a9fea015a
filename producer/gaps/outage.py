"""What a line misses while it is away: since when, of which codes, and how that was found. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from producer.gaps.gap import Codes, Detected, Gap


@dataclass
class Outage:
    """The gap that no subscription has closed yet; attempts that fail in between make it longer, not two."""

    since: int | None = None
    _codes: Codes = "all"
    _detected: Detected = "disconnect"
    _reason: str = ""

    def begin(self, since: int, codes: Codes, detected: Detected, reason: str) -> None:
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

    def end(self, now: int, wanted: Iterable[str] | None) -> Gap | None:
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
        return Gap(since, max(since, now), codes, self._detected, self._reason)

"""What a repeat is, a second time from ``docs/decisions.md``: by code and source, the last tick that took effect."""

from __future__ import annotations

from typing import Any

HEALED = 60_000_000
"""µs after the last tick that took effect, from which on the name of that one was wrong."""


class Repeats:
    """Says of each tick, in the order of its partition, whether it takes effect."""

    def __init__(self) -> None:
        """No tick was seen yet."""
        self.dropped = 0
        self._last: dict[tuple[str, str], tuple[int, int, int]] = {}

    def takes_effect(self, tick: dict[str, Any]) -> bool:
        """Take a tick; false for a repeat."""
        place = tick["code"], tick["source"]
        run, n, received = tick["run"], tick["n"], tick["received"]
        last = self._last.get(place)
        if last is not None and (run, n) <= last[:2] and received - last[2] <= HEALED:
            self.dropped += 1
            return False
        self._last[place] = run, n, received
        return True

"""Which ticks were sent before on a connection, by the provider's own numbers."""

from __future__ import annotations

from collections import deque

from producer.feeds.limits import CODES

_REMEMBERED = 16
"""Numbers of each code. A copy of a frame comes close behind it."""


class SequenceNumbers:
    """Tells a tick that was sent again, where a provider numbers each code's ticks upwards.

    The same code, number and time is the same tick. A lower number with another time is a counter that began anew.
    """

    def __init__(self) -> None:
        """Nothing was pushed yet."""
        self._seen: dict[str, deque[tuple[int, int]]] = {}

    def repeats(self, code: str, number: int | None, time: int) -> bool:
        """Enter a tick; whether it was entered before."""
        if number is None:
            return False
        seen = self._seen.get(code)
        if seen is None:
            if len(self._seen) >= CODES:
                self._seen.clear()
            self._seen[code] = deque([(number, time)], maxlen=_REMEMBERED)
            return False
        if number <= seen[-1][0] and (number, time) in seen:
            return True
        seen.append((number, time))
        return False

    def forget(self) -> None:
        """Begin anew: another connection may number from 1."""
        self._seen.clear()

"""What was pushed before on a connection: by the provider's number of a tick, or by the day's volume so far."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from market.times import DAY_MS
from producer.feeds.reading import nearly_whole

_REMEMBERED = 16
"""Numbers of each code. A copy of a frame comes close behind it."""
_ROWS = 65_536
_SHANGHAI_MS = 8 * 3_600_000


class Numbers:
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
            if len(self._seen) >= _ROWS:
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


class Traded(NamedTuple):
    """What a push adds to the one before: shares and yuan, ``None`` where it can't be told."""

    volume: int | float | None
    turnover: float | None


class Differences:
    """Turns the day's volume and turnover so far into those since the push before, code by code.

    Of a code's first push on a connection, the first of a day and the first after the provider's sums began at 0 again,
    nothing can be told. A push that is older than the one before and has less is late, and changes nothing.
    """

    def __init__(self) -> None:
        """Nothing was pushed yet."""
        self._seen: dict[str, tuple[int, float, float | None]] = {}

    def take(self, code: str, time: int, volume: float | None, turnover: float | None) -> Traded | None:
        """Enter a push: shares and yuan of the day so far. ``None`` for one that has the last one's time and volume."""
        if volume is None:
            return _UNKNOWN
        seen = self._seen.get(code)
        if seen is None:
            if len(self._seen) >= _ROWS:
                self._seen.clear()
            self._seen[code] = (time, volume, turnover)
            return _UNKNOWN
        last, before, amount = seen
        if time == last and volume == before:
            return None
        another_day = (time + _SHANGHAI_MS) // DAY_MS != (last + _SHANGHAI_MS) // DAY_MS
        if time < last and (another_day or volume <= before):
            return _UNKNOWN
        self._seen[code] = (time, volume, turnover)
        if another_day or volume < before:
            return _UNKNOWN
        traded = None if turnover is None or amount is None or turnover < amount else turnover - amount
        return Traded(nearly_whole(volume - before), traded)

    def forget(self) -> None:
        """Begin anew: what was traded between two connections belongs to no push."""
        self._seen.clear()


_UNKNOWN = Traded(None, None)

"""What was traded since the push before, of pushes that carry the day's volume and turnover so far."""

from __future__ import annotations

from typing import NamedTuple

from market.times import DAY_MS, SHANGHAI_MS
from producer.feeds.limits import CODES
from producer.feeds.values import nearly_whole

_OPENS_MS = 9 * 3_600_000
"""Since midnight: nothing is traded before."""
_ITS_RECEIPT_MS = 600_000
CONFIRMING = 2
"""Pushes that have to rise from a fall before it counts as a reset."""


class Traded(NamedTuple):
    """What a push adds to the one before: shares and yuan, ``None`` where that is not known."""

    volume: int | float | None
    turnover: float | None


_Push = tuple[int, int, float, float | None]
"""Shanghai date (days since the epoch), exchange time (ms), shares and yuan of the day so far."""


class _Seen:
    """Where a code's sums stand.

    Attributes:
        time, volume: of the last push.
        day: the Shanghai date of ``time``, days since the epoch.
        base, amount: shares and yuan that the next difference is counted from.
        low, low_amount: of the first push after a fall that is not confirmed yet; ``None`` without one.
        rises: pushes since that rose and stayed below ``base``.
        carried: the new day still shows the sum of the day before.
        before: where the sums stood when the day changed.
    """

    __slots__ = ("amount", "base", "before", "carried", "day", "low", "low_amount", "rises", "time", "volume")

    def __init__(self, push: _Push) -> None:
        self.begin(push)
        self.before: _Push | None = None

    def begin(self, push: _Push) -> None:
        """Count from here."""
        self.day, self.time, self.volume, self.amount = push
        self.base = self.volume
        self.low: float | None = None
        self.low_amount: float | None = None
        self.rises = 0
        self.carried = False

    def back(self, push: _Push) -> bool:
        """Go back to the day before, where its sums go on: the time in between was a wrong one."""
        before, (day, time, volume, _) = self.before, push
        if before is None or day != before[0] or time < before[1] or volume < before[2]:
            return False
        self.begin(before)
        self.before = None
        return True

    def enter(self, time: int, volume: float, amount: float | None) -> Traded:
        """A push of the same day; what it adds, as far as that is known."""
        last, self.time, self.volume = self.volume, time, volume
        if volume >= self.base:
            return self._count(volume, amount, self.base, self.amount)
        if self.carried:
            return self._count(volume, amount, 0, 0.0)
        if self.low is None or volume < self.low:
            self.low, self.low_amount, self.rises = volume, amount, 0
        elif volume > last:
            self.rises += 1
            if self.rises >= CONFIRMING:
                return self._count(volume, amount, self.low, self.low_amount)
        return _UNKNOWN

    def _count(self, volume: float, amount: float | None, base: float, base_amount: float | None) -> Traded:
        """What was traded since ``base``; the next is counted from here."""
        self.base, self.low, self.carried = volume, None, False
        traded = None if amount is None or base_amount is None or amount < base_amount else amount - base_amount
        if amount is not None:
            self.amount = amount
        return Traded(nearly_whole(volume - base), traded)


class Differences:
    """Turns the day's volume and turnover so far into those since the push before, code by code.

    - What a code's first push on a connection adds is not known, unless the connection stood before the day began.
    - A new day begins at 0: what its first push shows was traded in it. A first push that still shows the sum of the
      day before tells nothing, and the fall that follows it begins the day. Nor does one tell anything whose sum has
      not fallen and whose time is not that of its receipt: a wrong time makes no day.
    - A fall within a day is a reset only if ``CONFIRMING`` later pushes rise from there without coming back to what was
      before; what was traded since the fall is then given at once. Until then nothing is known, and where the sum comes
      back, the fall was a glitch, and the difference is that to the push before it.
    - A push that is older than the one before and has no more is late, and changes nothing.
    """

    def __init__(self, opened: int) -> None:
        """Nothing was pushed yet on a connection that was opened then, ms since the epoch."""
        self._opened = opened
        self._seen: dict[str, _Seen] = {}

    def take(self, code: str, time: int, volume: float | None, turnover: float | None, received: int) -> Traded | None:
        """Enter a push: shares and yuan of the day so far. ``None`` for one that has the last one's time and volume.

        Args:
            time: exchange time, ms.
            received: local time, µs.
        """
        if volume is None:
            return _UNKNOWN
        push = (time + SHANGHAI_MS) // DAY_MS, time, volume, turnover
        seen = self._seen.get(code)
        if seen is None:
            return self._first(code, push, received)
        if time == seen.time and volume == seen.volume:
            return None
        if push[0] != seen.day and not seen.back(push):
            return _UNKNOWN if time < seen.time else self._another_day(seen, push, received)
        return _UNKNOWN if time < seen.time and volume <= seen.base else seen.enter(time, volume, turnover)

    def _first(self, code: str, push: _Push, received: int) -> Traded:
        day, time, volume, turnover = push
        if len(self._seen) >= CODES:
            self._seen.clear()
        self._seen[code] = _Seen(push)
        stood_before = self._opened < day * DAY_MS - SHANGHAI_MS + _OPENS_MS
        if stood_before and abs(received // 1000 - time) <= _ITS_RECEIPT_MS:
            return Traded(nearly_whole(volume), turnover)
        return _UNKNOWN

    @staticmethod
    def _another_day(seen: _Seen, push: _Push, received: int) -> Traded:
        _, time, volume, turnover = push
        before, last = (seen.day, seen.time, seen.base, seen.amount), seen.base
        seen.begin(push)
        seen.before = before
        if volume and volume == last:
            seen.carried = True
            return _UNKNOWN
        if volume < last or abs(received // 1000 - time) <= _ITS_RECEIPT_MS:
            return Traded(nearly_whole(volume), turnover)
        return _UNKNOWN


_UNKNOWN = Traded(None, None)

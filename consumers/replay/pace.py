"""When a record is due: as it was, faster, at a rate, or at once. Pure; the clock is the caller's."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas import UsageError

LONGEST_PAUSE_MS = 30 * 60_000
"""A longer pause, as lunch and nights are, is not waited for, unless it is asked for."""


@dataclass(frozen=True)
class Pace:
    """``factor`` times the original, or ``rate`` records a second, or neither: flat out."""

    factor: float | None = None
    rate: float | None = None

    @property
    def flat(self) -> bool:
        """Whether nothing is waited for."""
        return self.factor is None and self.rate is None


def parse(text: str) -> Pace:
    """Read ``original``, ``x10``, ``5000/s`` or ``flat``.

    Raises:
        UsageError: none of these.
    """
    given = text.strip().lower()
    if given == "flat":
        return Pace()
    if given == "original":
        return Pace(factor=1.0)
    match = re.fullmatch(r"[x×]([0-9.]+)|([0-9.]+)/s", given)
    try:
        amount = float(match[1] or match[2]) if match else math.nan
    except ValueError:
        amount = math.nan
    if match is None or not 0.0 < amount < math.inf:
        raise UsageError(f"--pace {text!r} is none of: original, xN (as x10), N/s (as 5000/s), flat")
    return Pace(factor=amount) if match[1] else Pace(rate=amount)


class Schedule:
    """Due times of records that come with rising keys (ms). All times are seconds on one monotonic clock."""

    def __init__(self, pace: Pace, longest_pause: int = LONGEST_PAUSE_MS) -> None:
        """A schedule that starts with the first record; a pause above ``longest_pause`` ms is not waited for."""
        self._pace = pace
        self._longest = longest_pause
        self._origin: float | None = None
        self._key = 0
        self._last: int | None = None
        self._given = 0
        self._held: float | None = None

    def pieces(self, keys: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Cut a batch where a long pause begins, as start and end; ``enter`` each piece in turn."""
        start = 0
        previous = keys[0] if self._last is None else self._last
        if self._pace.factor is not None and keys[-1] - previous > self._longest:
            for index, key in enumerate(keys):
                if key - previous > self._longest and index > start:
                    yield start, index
                    start = index
                previous = key
        yield start, len(keys)

    def enter(self, key: int, now: float) -> None:
        """A piece begins with this key: the first starts the schedule, one behind a long pause goes on at once."""
        if self._origin is None:
            self._origin, self._key, self._given = now, key, 0
        elif self._pace.factor is not None and self._last is not None and key - self._last > self._longest:
            self._origin = max(now, self.due(self._last))
            self._key = key

    def due(self, key: int) -> float:
        """When the next record, of this key, is due."""
        assert self._origin is not None
        if self._pace.factor is not None:
            return self._origin + (key - self._key) / (1000.0 * self._pace.factor)
        return self._origin + self._given / self._pace.rate if self._pace.rate else self._origin

    def ready(self, keys: Sequence[int], start: int, end: int, now: float) -> int:
        """Up to which index, of ``start`` to ``end``, records are due; ``start`` when none is."""
        assert self._origin is not None
        since = now - self._origin
        if self._pace.factor is not None:
            return bisect_right(keys, self._key + since * 1000.0 * self._pace.factor, start, end)
        if self._pace.rate is None:
            return end
        return start + max(0, min(end - start, int(since * self._pace.rate) + 1 - self._given))

    def gave(self, last: int, count: int) -> None:
        """So many records were given out, the last of them with this key."""
        self._last = last
        self._given += count

    def hold(self, now: float) -> None:
        """Stop the clock."""
        if self._held is None:
            self._held = now

    def resume(self, now: float) -> None:
        """Go on where the clock was stopped."""
        if self._held is not None:
            if self._origin is not None:
                self._origin += now - self._held
            self._held = None

    def restart(self) -> None:
        """Whatever comes next is due when it comes: after a seek."""
        self._origin = self._last = None
        self._held = None

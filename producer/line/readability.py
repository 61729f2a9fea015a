"""What is wrong with all that a line brings, announced once: unreadable frames, a clock that is off, bounds reached.

No I/O: the announcements are given to whoever looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from producer.feeds.guard import POLICIES, Guard
from producer.gaps.drift import described
from producer.gaps.market_clock import MarketClock
from producer.pipeline.event import Kind

log = logging.getLogger(__name__)

BETWEEN_SECONDS = 60.0
"""Between two events of a bound that is reached again and again; and for so long times are unreadable to be a clock."""
_SAME_MS = 60_000
_TIME = "time:"


@dataclass(frozen=True)
class Finding:
    """An event to announce."""

    kind: Kind
    reason: str
    count: int | None = None


class Readability:
    """Looks at one line now and then.

    Attributes:
        frames: that have come on the line; whoever reads them counts them.
    """

    def __init__(
        self,
        guard: Guard,
        clock: MarketClock,
        *,
        prefix: str = "",
        own_clock: bool = False,
        scrub: Callable[[str], str] = str,
    ) -> None:
        """Nothing is wrong yet.

        Args:
            prefix: of each line of the log.
            own_clock: the feed's times are another clock's, as is known.
            scrub: takes secrets out of a text.
        """
        self.frames = 0
        self._guard = guard
        self._clock = clock
        self._prefix = prefix
        self._own_clock = own_clock
        self._scrub = scrub
        self._limited_at = -BETWEEN_SECONDS
        self._off: int | None = None
        self._timeless_since: float | None = None
        self._timeless_announced = False

    @property
    def unreadable(self) -> str | None:
        """Why most of what came lately could not be read; ``None`` where it could."""
        return None if self._guard.doubt is None else self._scrub(self._guard.doubt)

    def look(self, at: float) -> Iterator[Finding]:
        """What is new, at a moment in seconds that only rise."""
        if self._guard.judge(self.frames, int(at * 1e6)):
            yield from self._judged()
        yield from self._times(at)
        if at - self._limited_at >= BETWEEN_SECONDS and self._guard.limited:
            self._limited_at = at
            yield from self.limited()

    def limited(self) -> Iterator[Finding]:
        """What bounds have left out since the last time."""
        left_out = dict(self._guard.limited)
        self._guard.limited.clear()
        for name, count in left_out.items():
            reason = POLICIES[name]
            log.warning("%s%s: %d", self._prefix, reason, count)
            yield Finding("limited", reason, count)

    def _judged(self) -> Iterator[Finding]:
        reason = self.unreadable
        if reason is None:
            log.info("%sits frames can be read again", self._prefix)
            return
        log.error("%s%s", self._prefix, reason)
        yield Finding("unreadable", reason, self._guard.unreadable)

    def _times(self, at: float) -> Iterator[Finding]:
        off = None if self._own_clock else self._clock.drift.off
        if off is None:
            if self._off is not None:
                log.info("%sthe feed's times are those of the local clock again", self._prefix)
            self._off = None
        elif self._off is None or abs(off - self._off) > _SAME_MS:
            self._off = off
            yield self._clock_finding(described(off))
        if self._guard.doubt is None or not self._guard.most_frequent().startswith(_TIME):
            self._timeless_since, self._timeless_announced = None, False
        elif self._timeless_since is None:
            self._timeless_since = at
        elif at - self._timeless_since >= BETWEEN_SECONDS and not self._timeless_announced:
            self._timeless_announced = True
            yield self._clock_finding(f"the feed's times can't be read: {self._scrub(self._guard.most_frequent())}")

    def _clock_finding(self, text: str) -> Finding:
        log.warning("%s%s", self._prefix, text)
        return Finding("clock", text)

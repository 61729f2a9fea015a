"""What is wrong with what a line brings, told once: frames that can't be read, a clock that is off, bounds reached."""

from __future__ import annotations

import logging
from collections.abc import Callable

from producer.feeds.guard import POLICIES, Guard
from producer.gaps.drift import said
from producer.gaps.silence import MarketClock
from producer.pipeline.events import Outlet

log = logging.getLogger(__name__)

BETWEEN_SECONDS = 60.0
"""Between two events of a bound that is reached again and again; and for so long times are unreadable to be a clock."""
_SAME_MS = 60_000
_TIME = "time:"


class Doubts:
    """Looks at one line now and then, and tells its outlet and the log. No I/O of its own.

    Attributes:
        frames: that have come on the line; whoever reads them counts them.
    """

    def __init__(
        self,
        guard: Guard,
        clock: MarketClock,
        outlet: Outlet,
        *,
        name: str = "",
        own_clock: bool = False,
        scrub: Callable[[str], str] = str,
    ) -> None:
        """Nothing is wrong yet.

        Args:
            own_clock: the feed's times are another clock's, as is known.
            scrub: takes secrets out of a text.
        """
        self.frames = 0
        self._guard = guard
        self._clock = clock
        self._outlet = outlet
        self._prefix = f"{name}: " if name else ""
        self._own_clock = own_clock
        self._scrub = scrub
        self._limited_at = -BETWEEN_SECONDS
        self._off: int | None = None
        self._timeless_since: float | None = None
        self._timeless_told = False

    @property
    def unreadable(self) -> str | None:
        """Why most of what came lately could not be read; ``None`` where it could."""
        return None if self._guard.doubt is None else self._scrub(self._guard.doubt)

    def look(self, at: float) -> None:
        """Tell what is new, at a moment in seconds that only rise."""
        if self._guard.judge(self.frames, int(at * 1e6)):
            self._judged()
        self._look_at_times(at)
        if at - self._limited_at >= BETWEEN_SECONDS and self._guard.limited:
            self._limited_at = at
            self.finish()

    def finish(self) -> None:
        """Tell what bounds have left out since the last time."""
        for name, count in self._guard.limited.items():
            reason = POLICIES[name]
            log.warning("%s%s: %d", self._prefix, reason, count)
            self._outlet.say("limited", reason=reason, count=count)
        self._guard.limited.clear()

    def _judged(self) -> None:
        reason = self.unreadable
        if reason is None:
            log.info("%sits frames can be read again", self._prefix)
            return
        log.error("%s%s", self._prefix, reason)
        self._outlet.say("unreadable", reason=reason, count=self._guard.unreadable)

    def _look_at_times(self, at: float) -> None:
        off = None if self._own_clock else self._clock.drift.off
        if off is None:
            if self._off is not None:
                log.info("%sthe feed's times are those of the local clock again", self._prefix)
            self._off = None
        elif self._off is None or abs(off - self._off) > _SAME_MS:
            self._off = off
            self._tell_clock(said(off))
        if self._guard.doubt is None or not self._guard.most_frequent().startswith(_TIME):
            self._timeless_since, self._timeless_told = None, False
        elif self._timeless_since is None:
            self._timeless_since = at
        elif at - self._timeless_since >= BETWEEN_SECONDS and not self._timeless_told:
            self._timeless_told = True
            self._tell_clock(f"the feed's times can't be read: {self._scrub(self._guard.most_frequent())}")

    def _tell_clock(self, text: str) -> None:
        log.warning("%s%s", self._prefix, text)
        self._outlet.say("clock", reason=text)

"""Codes that were asked for and of which no tick came in a stretch of trading. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from market.times import trading_date
from producer.gaps.silence import trading_stretch
from producer.line.subscription import Subscription

UNSEEN_SECONDS = 300.0
"""A line that ran for less of a stretch of trading announces no codes that it has not seen."""


class UnseenCodes:
    """Counts the codes that were not seen, stretch of trading by stretch of trading."""

    def __init__(self, subscription: Subscription) -> None:
        """Nothing has come."""
        self._subscription = subscription
        self._stretch: object = None
        self._since = 0.0
        self._day = ""

    def look(self, market: int, at: float) -> Sequence[str]:
        """The codes to announce, where a stretch of trading has just ended.

        Args:
            market: the market's time, ms since the epoch.
            at: seconds that only rise.
        """
        unseen: Sequence[str] = ()
        stretch, day = trading_stretch(market), trading_date(market)
        if stretch != self._stretch:
            unseen = self.end(at)
            # With the end, not with the beginning: its first ticks may have come before it was looked at.
            if self._stretch is not None:
                self._subscription.new_session()
            self._stretch, self._since = stretch, at
        if day != self._day:
            if self._day and stretch is None:
                self._subscription.new_session()  # what came after hours does not count for the next day
            self._day = day
        return unseen

    def end(self, at: float) -> Sequence[str]:
        """The codes to announce with the end of the stretch, or of the line."""
        if self._stretch is None or at - self._since < UNSEEN_SECONDS:
            return ()
        return sorted(self._subscription.unseen)

"""Whether the exchanges trade at this moment, for whoever must not wait for the calendar to be read."""

from __future__ import annotations

from market.calendar import is_trading_day
from market.sessions import phase_at
from market.times import shanghai_date


class OpenNow:
    """Answers at once; before the calendar is read, that it is not known."""

    def __init__(self) -> None:
        """Nothing is read."""
        self._read = False

    def read(self, ms: int) -> None:
        """Read the calendar, which takes a second: for a thread.

        Args:
            ms: a time of today, since the epoch.
        """
        is_trading_day(shanghai_date(ms))
        self._read = True

    def at(self, ms: int) -> bool | None:
        """Whether there is continuous trading at a time, ms since the epoch; ``None``: not known yet."""
        return phase_at(ms).continuous if self._read else None

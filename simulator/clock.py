"""The market's own clock: it runs as fast as ours, through trading hours alone, from any moment one likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from market.calendar import is_trading_day, next_trading_day, previous_trading_day
from market.sessions import Phase, sessions
from market.times import day_start, shanghai_date


def default_start(now: int) -> int:
    """The opening of the latest trading day, all in ms since the epoch: what a demo shows at any hour of any day."""
    today = shanghai_date(now)
    day = today if is_trading_day(today) else previous_trading_day(today)
    return _continuous(day)[0].opens


@dataclass(frozen=True)
class Window:
    """Continuous trading on one day, from ``opens`` up to ``ends``, both in ms since the epoch."""

    day: date
    morning: bool
    opens: int
    ends: int


def windows(start: int) -> Iterator[Window]:
    """The trading windows that end after ``start`` (ms since the epoch), without end."""
    day = shanghai_date(start)
    if not is_trading_day(day):
        day = next_trading_day(day)
    while True:
        yield from (window for window in _continuous(day) if window.ends > start)
        day = next_trading_day(day)


def _continuous(day: date) -> list[Window]:
    """The hours in which this market ticks; it leaves the auctions and the after-hours trading out."""
    midnight = day_start(day)
    return [
        Window(day, session.phase is Phase.MORNING, midnight + session.start, midnight + session.end)
        for session in sessions(day)
        if session.phase.continuous
    ]


class MarketClock:
    """Exchange time of a moment of the run; lunch, night and holidays take no time at all."""

    def __init__(self, start: int) -> None:
        """A clock whose run begins at ``start`` (ms since the epoch), or when trading next begins after it."""
        self._windows = windows(start)
        self.window = next(self._windows)
        self._enter(max(start, self.window.opens), 0.0)

    def _enter(self, begin: int, elapsed: float) -> None:
        self._offset = begin - elapsed * 1000.0
        self._lasts_until = elapsed + (self.window.ends - begin) / 1000.0

    def at(self, elapsed: float) -> int:
        """Exchange time in ms since the epoch at ``elapsed`` seconds of the run, which may only rise from call to call.

        ``window`` is then the trading window that this time lies in.
        """
        while elapsed >= self._lasts_until:
            self.window = next(self._windows)
            self._enter(self.window.opens, self._lasts_until)
        return int(self._offset + elapsed * 1000.0)

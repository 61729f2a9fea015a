"""Trading days of the mainland exchanges: Shanghai, Shenzhen and Beijing keep the same ones.

From the XSHG calendar of ``exchange_calendars``, which lists the holidays as the exchange announces them, year by year.
Past the last year that it knows, every weekday counts, and a ``CalendarWarning`` says so once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

_WEEKDAYS = 5
_FIRST = "1990-12-19"  # the first session in Shanghai; the library would begin a fortnight before it
_DAY = timedelta(days=1)


class CalendarWarning(UserWarning):
    """Days were asked for whose holidays are not known yet."""


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The trading days, as ordinals in order and as a set, and the last day of which anything is known."""

    days: list[int]
    members: frozenset[int]
    known_until: int


@cache
def _sessions() -> _Sessions:
    # Late: it takes a second, which readers of codes and times need not wait. And apart, where pandas, which comes with
    # the calendar, is not in use anyway: its 100 MB would be most of what a producer takes.
    days, last = _read() if "pandas" in sys.modules else _read_apart()
    return _Sessions(days, frozenset(days), last)


def _read_apart() -> tuple[list[int], int]:
    """As ``_read``, by a process that ends with it."""
    command = [sys.executable, "-m", __name__]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    days, last = json.loads(done.stdout)
    return days, last


def _read() -> tuple[list[int], int]:
    """The trading days, as ordinals in order, and the last day of which anything is known."""
    import exchange_calendars  # noqa: PLC0415
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar  # noqa: PLC0415

    last = XSHGExchangeCalendar.bound_max()
    with warnings.catch_warnings():
        # What the library still asks of pandas in an old way is not for our caller to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XSHG", start=_FIRST, end=last)
    return [session.toordinal() for session in calendar.sessions], last.toordinal()


def known_until() -> date:
    """The last day of which the holidays are known."""
    return date.fromordinal(_sessions().known_until)


def is_trading_day(day: date) -> bool:
    """Whether the exchanges trade on a Shanghai date."""
    sessions = _sessions()
    ordinal = day.toordinal()
    if ordinal <= sessions.known_until:
        return ordinal in sessions.members
    _warn_once()
    return day.weekday() < _WEEKDAYS


def trading_days(start: date, end: date) -> list[date]:
    """The trading days from ``start`` to ``end``, both included."""
    sessions = _sessions()
    known = sessions.days[bisect_left(sessions.days, start.toordinal()) : bisect_right(sessions.days, end.toordinal())]
    beyond = range(max(start.toordinal(), sessions.known_until + 1), end.toordinal() + 1)
    if beyond:
        _warn_once()
    guessed = (date.fromordinal(ordinal) for ordinal in beyond)
    return [date.fromordinal(ordinal) for ordinal in known] + [day for day in guessed if day.weekday() < _WEEKDAYS]


def next_trading_day(day: date) -> date:
    """The first trading day after a date, that date itself excluded."""
    sessions = _sessions()
    at = bisect_right(sessions.days, day.toordinal())
    if at < len(sessions.days):
        return date.fromordinal(sessions.days[at])
    following = max(date.fromordinal(day.toordinal()), known_until()) + _DAY
    while not is_trading_day(following):
        following += _DAY
    return following


def previous_trading_day(day: date) -> date:
    """The last trading day before a date, that date itself excluded.

    Raises:
        ValueError: there was none yet: the first session was in December 1990.
    """
    sessions = _sessions()
    before = date.fromordinal(day.toordinal() - 1)
    while before.toordinal() > sessions.known_until:
        if is_trading_day(before):
            return before
        before -= _DAY
    at = bisect_right(sessions.days, before.toordinal())
    if at == 0:
        raise ValueError(f"there was no trading day before {day}")
    return date.fromordinal(sessions.days[at - 1])


@cache
def _warn_once() -> None:
    warnings.warn(
        f"holidays after {known_until()} are not known here: every weekday counts as a trading day"
        " (a newer release of exchange_calendars may know them)",
        CalendarWarning,
        stacklevel=3,
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_read()))

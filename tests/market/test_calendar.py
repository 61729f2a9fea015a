"""Trading days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market import calendar
from market.calendar import (
    CalendarWarning,
    is_trading_day,
    known_until,
    next_trading_day,
    previous_trading_day,
    trading_days,
)


@pytest.fixture
def unwarned() -> Iterator[None]:
    """The calendar as in a process that has not warned yet."""
    calendar._warn_once.cache_clear()
    yield
    calendar._warn_once.cache_clear()


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),  # Saturday
        (date(2026, 10, 1), False),  # National Day
        (date(2026, 10, 8), True),
        (date(2026, 10, 10), False),  # a working Saturday: the exchanges stay closed
        (date(2025, 10, 8), False),
        (date(2025, 10, 9), True),
        (date(2026, 2, 16), False),  # Spring Festival
        (date(2020, 1, 31), False),  # prolonged by the epidemic
        (date(1990, 12, 18), False),
        (date(1990, 12, 19), True),  # the first session in Shanghai
        (datetime(2026, 11, 20, 9, 30), True),  # noqa: DTZ001 - a datetime is a date too
    ],
)
def test_weekends_and_holidays_are_no_trading_days(day: date, trades: bool) -> None:
    assert is_trading_day(day) is trades


def test_next_and_previous_step_over_holidays_and_exclude_the_day_itself() -> None:
    assert next_trading_day(date(2026, 9, 30)) == date(2026, 10, 8)
    assert next_trading_day(date(2026, 10, 3)) == date(2026, 10, 8)
    assert previous_trading_day(date(2026, 10, 8)) == date(2026, 9, 30)
    assert previous_trading_day(date(2026, 10, 3)) == date(2026, 9, 30)
    assert trading_days(date(2026, 9, 30), date(2026, 10, 9)) == [
        date(2026, 9, 30),
        date(2026, 10, 8),
        date(2026, 10, 9),
    ]
    assert trading_days(date(2026, 10, 9), date(2026, 9, 30)) == []


def test_there_is_no_trading_day_before_the_first() -> None:
    with pytest.raises(ValueError, match="no trading day before"):
        previous_trading_day(date(1990, 12, 19))


@settings(deadline=None)
@given(st.dates(date(1991, 1, 1), date(2026, 12, 1)))
def test_neighbouring_trading_days_have_none_between_them(day: date) -> None:
    after, before = next_trading_day(day), previous_trading_day(day)
    assert before < day < after
    between = trading_days(before, after)
    assert between == ([before, day, after] if is_trading_day(day) else [before, after])


def test_past_the_known_holidays_weekdays_count_and_one_warning_says_so(
    unwarned: None, recwarn: pytest.WarningsRecorder
) -> None:
    last = known_until()
    monday = last + timedelta(days=14 - last.weekday())
    with pytest.warns(CalendarWarning, match=f"holidays after {last} are not known"):
        assert is_trading_day(monday)
    assert [is_trading_day(monday + timedelta(days=n)) for n in range(7)] == [True] * 5 + [False] * 2
    assert next_trading_day(monday + timedelta(days=4)) == monday + timedelta(days=7)
    assert previous_trading_day(monday) == monday - timedelta(days=3)
    week = [monday + timedelta(days=n) for n in range(5)]
    assert trading_days(monday - timedelta(days=1), monday + timedelta(days=6)) == week
    across = trading_days(last - timedelta(days=30), monday)
    assert across == sorted(set(across))
    assert (previous_trading_day(last) in across, monday in across) == (True, True)
    assert not [warning for warning in recwarn if warning.category is CalendarWarning]


def test_the_last_known_day_leads_into_the_weekdays_after_it(unwarned: None) -> None:
    with pytest.warns(CalendarWarning):
        following = next_trading_day(known_until())
    assert following.weekday() < 5
    assert known_until() < following <= known_until() + timedelta(days=3)


def test_known_days_give_no_warning(unwarned: None, recwarn: pytest.WarningsRecorder) -> None:
    assert is_trading_day(date(2026, 11, 20))
    assert trading_days(date(2026, 11, 20), date(2026, 11, 20)) == [date(2026, 11, 20)]
    assert not recwarn.list

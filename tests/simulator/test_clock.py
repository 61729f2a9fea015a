"""The market's own clock and the schedule of its ticks."""

from __future__ import annotations

from itertools import islice, takewhile

import pytest

from market.times import parse_time, shanghai_time
from simulator.clock import MarketClock, default_start
from simulator.schedule import opening, steady


@pytest.mark.parametrize(
    ("start", "elapsed", "expected"),
    [
        ("2026-11-20 09:29:50", 0.0, "2026-11-20 09:30:00.000"),
        ("2026-11-20 09:25:00", 1.5, "2026-11-20 09:30:01.500"),
        ("2026-11-20 10:00:00", 0.25, "2026-11-20 10:00:00.250"),
        ("2026-11-20 11:29:58", 1.999, "2026-11-20 11:29:59.999"),
        ("2026-11-20 11:29:58", 2.0, "2026-11-20 13:00:00.000"),
        ("2026-11-20 12:00:00", 0.0, "2026-11-20 13:00:00.000"),
        ("2026-11-20 14:56:59", 3.0, "2026-11-23 09:30:02.000"),
        ("2026-11-21 10:00:00", 0.0, "2026-11-23 09:30:00.000"),
        ("2026-11-20 20:00:00", 0.0, "2026-11-23 09:30:00.000"),
        ("2026-09-30 14:56:00", 60.0, "2026-10-08 09:30:00.000"),
    ],
)
def test_the_clock_jumps_over_lunch_nights_and_holidays(start: str, elapsed: float, expected: str) -> None:
    """Whatever the start, exchange time lies in continuous trading and runs at our pace."""
    clock = MarketClock(parse_time(start))
    assert shanghai_time(clock.at(elapsed)) == expected
    assert str(clock.window.day) == expected[:10]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20 03:00:00", "2026-11-20 09:30:00.000"),
        ("2026-11-20 23:00:00", "2026-11-20 09:30:00.000"),
        ("2026-11-22 12:00:00", "2026-11-20 09:30:00.000"),
        ("2026-10-05 12:00:00", "2026-09-30 09:30:00.000"),
    ],
)
def test_by_default_the_market_opens_on_the_latest_trading_day(now: str, expected: str) -> None:
    """A demo shows an opening at any hour of any day, weekend or holiday."""
    assert shanghai_time(default_start(parse_time(now))) == expected


def test_an_opening_bursts_and_calms_down() -> None:
    """300 to 400 ticks in each second of the first minute, far fewer half an hour later."""
    due = list(takewhile(lambda at: at < 1_800, opening(MarketClock(parse_time("2026-11-20 09:29:50")), seed=1)))
    assert due == sorted(due)
    seconds = [0] * 1_800
    for at in due:
        seconds[int(at)] += 1
    assert all(300 <= ticks <= 400 for ticks in seconds[:60])
    assert all(50 <= ticks <= 200 for ticks in seconds[-60:])
    again = opening(MarketClock(parse_time("2026-11-20 09:29:50")), seed=1)
    assert list(islice(again, 1_000)) == due[:1_000]


def test_a_steady_rate_is_exact() -> None:
    """As many ticks fall before the end of a run as rate times seconds, at even distances."""
    assert sum(1 for _ in takewhile(lambda at: at < 20.0, steady(400))) == 8_000
    assert list(islice(steady(0.5), 3)) == [0.0, 2.0, 4.0]

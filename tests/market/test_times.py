"""Times: whatever a feed writes is the same ms, or an error."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.times import (
    EARLIEST,
    LATEST,
    SHANGHAI,
    TimeError,
    day_start,
    parse_time,
    shanghai_date,
    shanghai_time,
    trading_date,
)

TODAY = date(2026, 11, 20)
OPENING = 1_795_138_201_250  # 2026-11-20 09:30:01.250 in Shanghai

times = st.integers(EARLIEST, LATEST - 1)

READINGS: list[tuple[Any, int]] = [
    (1_790_000_000, 1_790_000_000_000),
    (1_790_000_000_123, 1_790_000_000_123),
    (1_790_000_000_123_999, 1_790_000_000_123),
    (1_790_000_000_123_999_999, 1_790_000_000_123),
    (1_790_000_000.0, 1_790_000_000_000),
    (1_790_000_000.123, 1_790_000_000_123),
    (1_790_000_000_123.0, 1_790_000_000_123),
    (1.790000000123999e15, 1_790_000_000_123),
    ("1790000000", 1_790_000_000_000),
    (" 1790000000123 ", 1_790_000_000_123),
    ("1790000000123999", 1_790_000_000_123),
    ("1790000000123999999", 1_790_000_000_123),
    ("1790000000.123", 1_790_000_000_123),
    ("09:30:01.250", OPENING),
    ("9:30:01.25", OPENING),
    ("09:30:01,250999", OPENING),
    ("09:30:01", OPENING - 250),
    ("09:30", OPENING - 1250),
    ("2026-11-20 09:30:01.250", OPENING),
    ("2026-11-20 09:30:01", OPENING - 250),
    ("2026-11-20T09:30:01.250", OPENING),
    ("2026-11-20T01:30:01.250Z", OPENING),
    ("2026-11-20t01:30:01.250z", OPENING),
    ("2026-11-20T09:30:01.250+08:00", OPENING),
    ("2026-11-20T09:30:01.250+0800", OPENING),
    ("2026-11-20T09:30:01.250 +08", OPENING),
    ("2026-11-19T20:30:01.250-05:00", OPENING),
    ("2026-11-20T07:00:01.250+05:30", OPENING),
    ("2026-11-20T01:30:01.250000123Z", OPENING),
    ("20261120T093001.250", OPENING),
    ("20261120T013001Z", OPENING - 250),
    ("20261120093001", OPENING - 250),
    ("20261120093001.250", OPENING),
    ("20261120093001250", OPENING),
    ("20261120 09:30:01.250", OPENING),
    ("2028-02-29 00:00:00", day_start(date(2028, 2, 29))),
]

REFUSED: list[Any] = [
    True,
    False,
    None,
    [],
    {},
    b"1790000000",
    0,
    -1,
    -1_790_000_000_123,
    1,
    20_261_120,
    EARLIEST - 1,
    LATEST,
    10**11,
    10**17,
    10**30,
    10**5000,
    math.nan,
    math.inf,
    -math.inf,
    -0.0,
    -1.5,
    1e300,
    "",
    " ",
    "0",
    "-1790000000",
    "+1790000000",
    "1_790_000_000",
    "1.79e9",
    "nan",
    "inf",
    "\uff11\uff17\uff19" + "\uff10" * 7,
    "null",
    "now",
    "abc",
    "2026-11-20",
    "20261120",
    "2026-13-01 09:30:00",
    "2026-02-29 09:30:00",
    "2026-11-20 24:00:00",
    "2026-11-20 09:60:00",
    "2026-11-20 23:59:60",
    "25:00:00",
    "09:30:01.",
    "2026-11-20 09:30:01+99:00",
    "2026-11-20 09:30:01+08:60",
    "2026-11-20 09:30:01 CST",
    "2026-11-20\n09:30:01",
    "1888-11-20 09:30:01",
    "2100-01-01 00:00:00",
    "9" * 20,
    "9" * 100_000,
    " " * 100_000,
]


@pytest.mark.parametrize(("value", "ms"), READINGS, ids=[repr(value) for value, _ in READINGS])
def test_a_time_is_read_in_any_unit_and_text(value: float | str, ms: int) -> None:
    assert parse_time(value, today=TODAY) == ms


@pytest.mark.parametrize("value", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(TimeError) as refused:
        parse_time(value, today=TODAY)
    assert len(str(refused.value)) < 200


@settings(deadline=None)
@given(times)
def test_a_time_survives_every_unit_and_every_way_to_write_it(ms: int) -> None:
    moment = datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)
    local = moment.astimezone(SHANGHAI)
    for whole in (ms, ms * 1000, ms * 1_000_000):
        assert parse_time(whole) == parse_time(str(whole)) == ms
    assert parse_time(float(ms)) == parse_time(ms / 1000) == ms
    assert parse_time(ms // 1000) == ms - ms % 1000
    assert parse_time(moment.isoformat()) == parse_time(local.isoformat()) == ms
    assert parse_time(local.replace(tzinfo=None).isoformat(" ")) == ms
    assert parse_time(shanghai_time(ms)) == ms
    assert parse_time(shanghai_time(ms)[11:], today=local.date()) == ms


@settings(deadline=None)
@given(times)
def test_the_date_of_a_time_is_shanghais(ms: int) -> None:
    local = datetime.fromtimestamp(ms / 1000, SHANGHAI).date()
    assert trading_date(ms) == local.isoformat()
    assert shanghai_date(ms) == local
    assert day_start(local) == day_start(local.isoformat()) <= ms < day_start(local + timedelta(days=1))


@settings(deadline=None)
@given(st.text(max_size=40) | st.integers() | st.floats())
def test_anything_is_a_time_of_our_age_or_a_time_error(value: float | str) -> None:
    try:
        ms = parse_time(value)
    except TimeError:
        return
    assert EARLIEST <= ms < LATEST


def test_a_bare_time_of_day_is_of_this_day_in_shanghai() -> None:
    before = datetime.now(SHANGHAI).date()
    ms = parse_time("12:00:00")
    assert before <= shanghai_date(ms) <= datetime.now(SHANGHAI).date()


def test_the_bounds_are_the_beginnings_of_1992_and_2100_in_shanghai() -> None:
    assert [day_start("1992-01-01"), day_start("2100-01-01")] == [EARLIEST, LATEST]


@pytest.mark.parametrize("text", ["", "2026-02-30", "today", "9" * 1000])
def test_a_day_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(TimeError, match="YYYY-MM-DD"):
        day_start(text)


def test_a_time_beyond_all_dates_is_a_time_error() -> None:
    for ms in (10**18, -(10**18)):
        with pytest.raises(TimeError):
            trading_date(ms)


def test_codes_and_times_do_not_wait_for_the_calendar() -> None:
    """The calendar's library and pandas are loaded when a trading day is first asked for, not before."""
    script = (
        "import sys; import market.codes, market.times, market.rules, market.sessions;"
        "market.codes.instrument('600519'); market.times.trading_date(1790000000123);"
        "sys.exit(bool({'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

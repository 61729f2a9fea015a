"""Counts and sums of the tape."""

from __future__ import annotations

from collections.abc import Callable

from simulator.feeds.prints import Print

Read = Callable[..., list[Print]]
DAY_MS = 86_400_000


def test_sums_run_through_the_day_and_begin_anew_on_the_next(tape: Read) -> None:
    """Volume, turnover, open, high and low are the day's; the count of ticks goes on."""
    time = 1_795_150_800_000
    first, second, third = tape(
        {"price": 10.0, "time": time},
        {"price": 9.5, "time": time + 1, "volume": 200},
        {"price": 11.0, "time": time + DAY_MS, "volume": 100},
    )
    assert (first.day_volume, second.day_volume, third.day_volume) == (300, 500, 100)
    assert (first.day_turnover, second.day_turnover, third.day_turnover) == (3000.0, 4900.0, 1100.0)
    assert (second.open, second.high, second.low) == (10.0, 10.0, 9.5)
    assert (third.open, third.high, third.low) == (11.0, 11.0, 11.0)
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert [one.exchange for one in tape({"code": "000001"}, {"code": "920819"})] == ["SZSE", "BSE"]


def test_a_tick_without_a_volume_leaves_the_sums(tape: Read) -> None:
    """What is not known is not counted."""
    _, second = tape({}, {"volume": None, "turnover": None})
    assert second.day_volume == 300
    assert second.volume is None

"""Ticks that look wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson

from market.times import shanghai_time
from simulator.feeds.prints import Print
from simulator.misbehaviour.trading import ClockOff, DaysAhead, Late, OutOfSession, VolumeGlitch

Read = Callable[..., list[Print]]


def test_a_time_outside_of_trading_is_of_the_lunch_break(tape: Read) -> None:
    """One tick of the round, in the numbers and in the text alike; the others stay."""
    prints = tape({}, {}, {})
    changed, later = OutOfSession().prints(prints, random.Random("t"))
    (odd,) = [one for one in changed if one not in prints]
    assert shanghai_time(odd.time).startswith("2026-11-20 12:0")
    assert orjson.loads(odd.text)["time"] == odd.time
    assert len(changed) == 3
    assert later == []


def test_a_late_tick_is_kept_for_the_next_round(tape: Read) -> None:
    """Nothing is lost, and nothing is twice."""
    prints = tape({}, {}, {})
    now, later = Late().prints(prints, random.Random("t"))
    assert sorted(now + later, key=lambda one: one.number) == prints
    assert len(later) == 1


def test_a_tick_of_another_day_and_a_clock_of_another_zone(tape: Read) -> None:
    """Numbers and text alike: one tick of the round is days ahead; by a clock in UTC all are eight hours behind."""
    prints = tape({}, {}, {})
    ahead, _ = DaysAhead().prints(prints, random.Random("t"))
    (odd,) = [one for one in ahead if one not in prints]
    assert shanghai_time(odd.time).startswith("2026-11-23")
    assert orjson.loads(odd.text)["time"] == odd.time
    behind, _ = ClockOff().prints(prints, random.Random("t"))
    assert [before.time - one.time for before, one in zip(prints, behind, strict=True)] == [8 * 3_600_000] * 3


def test_a_glitch_is_a_push_between_two_others(tape: Read) -> None:
    """The day's sums are 0 in it, and go on behind it."""
    prints = tape({}, {}, {})
    changed, later = VolumeGlitch().prints(prints, random.Random("t"))
    (odd,) = [one for one in changed if one not in prints]
    assert (odd.day_volume, odd.day_turnover) == (0, 0.0)
    assert [one for one in changed if one is not odd] == prints
    assert later == []

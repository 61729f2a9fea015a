"""Ticks that look wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson

from market.times import shanghai_time
from simulator.feeds.prints import Print
from simulator.misbehaviour.trading import Late, OutOfSession

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

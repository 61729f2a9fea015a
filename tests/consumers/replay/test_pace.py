"""When records are due."""

from __future__ import annotations

import pytest

from consumers.replay.pace import Pace, Schedule, parse
from schemas import UsageError

DAY = 1_795_138_200_000


def test_the_forms_of_a_pace() -> None:
    """Original, faster, slower, a rate, or none at all."""
    assert parse("original") == Pace(factor=1.0)
    assert parse("x10") == parse("×10") == Pace(factor=10.0)
    assert parse("x0.5") == Pace(factor=0.5)
    assert parse("5000/s") == Pace(rate=5000.0)
    assert parse("flat").flat


@pytest.mark.parametrize("text", ["", "10", "x0", "x", "0/s", "x1e9", "fast", "x1.2.3", "-5/s", "inf/s"])
def test_no_pace_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="--pace"):
        parse(text)


def played(pace: Pace, keys: list[int], longest: int = 1_800_000) -> list[float]:
    """When each record is given out, on a clock that is read exactly when the next is due."""
    schedule, now, times = Schedule(pace, longest), 100.0, []
    for start, end in schedule.pieces(keys):
        schedule.enter(keys[start], now)
        at = start
        while at < end:
            ready = schedule.ready(keys, at, end, now)
            if ready == at:
                now = max(now + 1e-6, schedule.due(keys[at]))
                continue
            times += [round(now - 100.0, 4)] * (ready - at)
            schedule.gave(keys[ready - 1], ready - at)
            at = ready
    return times


def test_records_keep_their_distances() -> None:
    """At the original pace, and in proportion at ten times of it."""
    keys = [DAY, DAY, DAY + 250, DAY + 4_000]
    assert played(Pace(factor=1.0), keys) == pytest.approx([0, 0, 0.25, 4.0], abs=1e-3)
    assert played(Pace(factor=10.0), keys) == pytest.approx([0, 0, 0.025, 0.4], abs=1e-3)


def test_a_rate_is_kept_whatever_the_times() -> None:
    assert played(Pace(rate=4.0), [DAY, DAY, DAY + 1, DAY + 9]) == pytest.approx([0, 0.25, 0.5, 0.75], abs=1e-3)


def test_flat_out_nothing_is_waited_for() -> None:
    assert played(Pace(), [DAY, DAY + 10**9]) == [0, 0]


def test_a_long_pause_is_not_waited_for() -> None:
    """Lunch takes no time, a shorter pause takes its own; the records behind it keep their distances."""
    lunch = DAY + 5_400_000
    keys = [DAY, DAY + 1_000, lunch, lunch + 500]
    assert played(Pace(factor=1.0), keys) == pytest.approx([0, 1.0, 1.0, 1.5], abs=1e-3)
    assert played(Pace(factor=1.0), keys, longest=10**9) == pytest.approx([0, 1.0, 5400.0, 5400.5], abs=1e-3)


def test_a_held_clock_goes_on_where_it_stopped() -> None:
    """What was due during the pause is not given out at once after it."""
    schedule = Schedule(Pace(factor=1.0))
    schedule.enter(DAY, 10.0)
    schedule.gave(DAY, 1)
    schedule.hold(10.5)
    schedule.hold(12.0)
    schedule.resume(20.5)
    assert schedule.due(DAY + 1_000) == pytest.approx(21.0)


def test_after_a_jump_the_next_record_is_due_at_once() -> None:
    schedule = Schedule(Pace(factor=1.0))
    schedule.enter(DAY, 10.0)
    schedule.gave(DAY, 1)
    schedule.restart()
    schedule.enter(DAY + 600_000, 11.0)
    assert schedule.due(DAY + 600_000) == 11.0
    assert schedule.due(DAY + 600_100) == pytest.approx(11.1)

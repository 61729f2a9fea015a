"""The clock that stamps ticks: forwards with the wall clock, never back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import clock
from producer.clock import Clock

START = 1_795_138_201_000_000_000
SECOND = 1_000_000_000


class Clocks:
    """A wall clock that can be set, and one that only rises."""

    def __init__(self) -> None:
        """They agree."""
        self.wall, self.steady = START, 5 * SECOND
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def pass_(self, ns: int) -> None:
        """Time passes on both."""
        self.wall += ns
        self.steady += ns


def test_time_goes_on_while_the_wall_clock_is_set_back(caplog: pytest.LogCaptureFixture) -> None:
    """By the hour that it was set back the stamps stay ahead, and each second is a second; it is said once."""
    clocks = Clocks()
    assert clocks.clock.now() == START // 1000
    clocks.wall -= 3_600 * SECOND
    for second in range(1, 100):
        clocks.pass_(SECOND)
        assert clocks.clock.now() == START // 1000 + second * 1_000_000
    (said,) = caplog.messages
    assert "put back by 3600.0 s" in said
    assert "3600.0 s ahead" in said


def test_a_wall_clock_that_is_ahead_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    """At once: it was wrong before, or the machine slept; a small correction is not news."""
    clocks = Clocks()
    clocks.wall += SECOND // 10
    assert clocks.clock.now() == clocks.wall // 1000
    assert not caplog.messages
    clocks.wall += 60 * SECOND
    assert clocks.clock.now() == clocks.wall // 1000
    clocks.pass_(SECOND)
    assert clocks.clock.now() == clocks.wall // 1000
    (said,) = caplog.messages
    assert "put forward by 60.0 s: ticks are stamped by it" in said


def test_a_clock_that_is_set_back_and_forth_is_stamped_by_again(caplog: pytest.LogCaptureFixture) -> None:
    """Both steps are told of."""
    clocks = Clocks()
    clocks.wall -= 30 * SECOND
    clocks.clock.now()
    clocks.pass_(SECOND)
    clocks.wall += 30 * SECOND
    assert clocks.clock.now() == clocks.wall // 1000
    assert ["back" in said for said in caplog.messages] == [True, False]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-(10**15), 10**15)), max_size=50))
def test_no_setting_of_the_wall_clock_turns_it_back(steps: list[tuple[int, int]]) -> None:
    """It rises by at least what has passed, and is never behind the wall clock."""
    clocks = Clocks()
    last = clocks.clock.now()
    for passed, step in steps:
        clocks.pass_(passed)
        clocks.wall += step
        at = clocks.clock.now()
        assert at - last >= passed // 1000 - 1
        assert at >= clocks.wall // 1000
        last = at


@pytest.mark.parametrize(("offset", "seconds"), [("", 0), ("-3600", -3600), ("1.5", 1.5)])
def test_a_test_may_set_the_clock_off(offset: str, seconds: float) -> None:
    """By the environment, for the whole process: runs and receipts are stamped by one clock."""
    script = "import time; from producer import clock; print(clock.now() - time.time_ns() // 1000)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {clock.OFFSET: offset},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert abs(int(told.stdout) - seconds * 1_000_000) < 400_000

"""A feed's clock that is constantly off is found within a minute, and told in words; nothing else is."""

from __future__ import annotations

import random

import pytest

from producer.gaps.drift import Drift, described

HOUR = 3_600_000


def after(seconds: float, distance: int, *, jitter: int = 0, pace: float = 1.0) -> int | None:
    """What is found where ticks come twice a second; the feed's clock goes ``pace`` times as fast as ours."""
    drift, draw = Drift(), random.Random(7)
    for step in range(int(seconds * 2)):
        away = distance + int(step * 500 * (pace - 1)) - draw.randrange(jitter + 1)
        drift.heard(away, 1_000 + step / 2)
    return drift.off


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (-8 * HOUR, "8 h behind the local clock: it writes UTC as if it were Shanghai time"),
        (8 * HOUR, "8 h ahead of the local clock: it writes Shanghai time as if it were UTC"),
        (-1 * HOUR, "1 h behind the local clock: it writes another zone's time"),
        (-15 * 60_000, "15.0 min behind the local clock: it is a delayed feed"),
        (-90_000, "1.5 min behind"),
        (-2400 * HOUR, "2400 h behind the local clock: a recording or a simulation (--own-clock)"),
    ],
)
def test_a_constant_distance_is_told_after_a_minute(distance: int, words: str) -> None:
    """Not before; snapshots that come every 3 s hide nothing."""
    assert after(50, distance) is None
    off = after(65, distance, jitter=3_000)
    assert off is not None
    assert abs(off - distance) <= 3_000
    assert words in described(distance)


@pytest.mark.parametrize("pace", [0.0, 2.0, 10.0])
def test_a_time_that_does_not_go_on_as_ours_does_is_no_clock_that_is_off(pace: float) -> None:
    """Snapshots of a closed market, sent again and again; a recording that is played faster."""
    assert after(300, -5 * HOUR, pace=pace) is None


def test_a_clock_that_is_right_and_one_that_is_put_right_are_not_told_of() -> None:
    """Up to a minute is the gate's tolerance."""
    assert after(300, -40, jitter=5_000) is None
    drift = Drift()
    for step in range(140):
        drift.heard(-8 * HOUR, step / 2)
    assert drift.off == -8 * HOUR
    for step in range(140, 700):
        drift.heard(-40, step / 2)
    assert drift.off is None

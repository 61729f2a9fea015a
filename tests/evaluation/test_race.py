"""Who was first on what both brought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.race import GRACE, Race
from producer.feeds.decoded import FeedTick
from producer.pipeline.matching import Matching


def tick(time: int, code: str = "600519", price: float = 10.0, volume: int = 100) -> FeedTick:
    return FeedTick(code, "SSE", price, time, volume)


def begun() -> Race:
    """Both lines have brought a tick that nobody else asks about."""
    race = Race(Matching())
    race.came(0, [tick(1, "000001")], 0)
    race.came(1, [tick(1, "000001")], 1)
    assert race.leads[0].count == 0, "what came before both flowed does not count"
    return race


def test_the_first_is_ahead_by_what_the_other_is_behind() -> None:
    """Each tick that both bring counts once, for who had it first."""
    race = begun()
    race.came(0, [tick(10), tick(11)], 1_000)
    race.came(1, [tick(10), tick(12)], 1_700)
    race.came(0, [tick(12)], 2_000)
    race.came(1, [tick(11)], 4_000)
    assert [lead.count for lead in race.leads] == [2, 1]
    assert (race.leads[0].least, race.leads[0].most) == (700, 3_000)
    assert race.leads[1].most == 300


def test_of_equal_trades_the_kth_meets_the_kth() -> None:
    """Two genuine trades of one ms, price and volume are two meetings."""
    race = begun()
    race.came(0, [tick(10), tick(10)], 1_000)
    race.came(1, [tick(10)], 1_100)
    race.came(1, [tick(10)], 1_500)
    assert race.leads[0].count == 2
    assert (race.leads[0].least, race.leads[0].most) == (100, 500)
    race.finish(GRACE * 10)
    assert race.alone == [0, 0]


def test_what_one_brings_alone_is_counted_but_for_what_may_be_under_way() -> None:
    """Ticks of the last moments before the end may still come on the other line."""
    race = begun()
    race.came(0, [tick(10)], 1_000)
    race.came(1, [tick(20)], 1_000)
    race.came(1, [tick(21)], GRACE * 3)
    race.finish(GRACE * 3 + 1)
    assert race.alone == [1, 1]


def test_a_head_start_is_no_lead() -> None:
    """What a line brought before the other had brought anything is neither ahead nor alone."""
    race = Race(Matching())
    race.came(0, [tick(time) for time in range(100)], 1_000)
    race.came(1, [tick(99)], 9_000_000)
    race.finish(GRACE * 100)
    assert race.alone == [0, 0]
    assert [lead.count for lead in race.leads] == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=60))
def test_every_tick_is_met_or_alone(brought: list[tuple[int, int]]) -> None:
    """Whatever the interleaving: two for each meeting, one for each that was alone, and no more."""
    race = begun()
    for moment, (line, time) in enumerate(brought):
        race.came(line, [tick(time)], 1_000 + moment)
    race.finish(GRACE * 10)
    met = sum(lead.count for lead in race.leads)
    assert 2 * met + sum(race.alone) == len(brought)
    for line in (0, 1):
        for time in range(4):
            mine, other = brought.count((line, time)), brought.count((1 - line, time))
            assert race.alone[line] >= mine - other


@pytest.mark.parametrize("limit", [1, 10])
def test_more_than_fit_are_brought_by_one_alone(limit: int) -> None:
    """The oldest give way."""
    race = Race(Matching(), limit)
    race.came(1, [tick(0, "000001")], 0)
    race.came(0, [tick(time) for time in range(50)], 1_000)
    assert race.alone[0] >= 50 - limit

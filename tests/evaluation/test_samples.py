"""What is kept of figures in bounded memory."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.samples import Samples, Series, Tally


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=200), st.floats(0, 1))
def test_as_long_as_all_are_kept_a_quantile_is_the_nearest_rank(values: list[int], share: float) -> None:
    """The least figure that at least this share of them do not exceed."""
    samples = Samples()
    for value in values:
        samples.add(value)
    (found,) = samples.at(share)
    assert found is not None
    needed = share * len(values)
    assert found in values
    assert sum(1 for value in values if value <= found) >= needed - 1e-6
    assert found == min(values) or sum(1 for value in values if value < found) < needed + 1e-6


def test_of_more_than_fit_the_quantiles_are_near_and_the_extremes_exact() -> None:
    """Of 50,000 in any order through 4,000 places: within 4 % of the rank."""
    values = list(range(50_000))
    random.Random(3).shuffle(values)
    samples = Samples(4_000)
    for value in values:
        samples.add(value)
    assert samples.count == 50_000
    assert (samples.least, samples.most) == (0, 49_999)
    for share, found in zip((0.1, 0.5, 0.9), samples.at(0.1, 0.5, 0.9), strict=True):
        assert found == pytest.approx(share * 50_000, abs=2_000)
    assert samples.beyond(5_000, 44_999)[0] == pytest.approx(5_000, abs=1_000)


def test_without_a_figure_there_is_no_quantile() -> None:
    """Nothing is not 0."""
    samples = Samples()
    assert samples.at(0.5, 0.9) == [None, None]
    assert samples.spread() == []
    assert samples.beyond(0, 1) == (0, 0)


def test_reasons_beyond_the_bound_are_others() -> None:
    """A server that words each refusal anew fills no memory; nothing goes uncounted."""
    tally = Tally(most=3, longest=8)
    for number in range(100):
        tally.add(f"reason{number}")
    tally.add("reason0", 4)
    assert tally.ordered() == {"other": 97, "reason0": 5, "reason1": 1, "reason2": 1}
    assert tally.total == 104


def counts(series: Series) -> Sequence[int]:
    return [one.ticks for one in series.bins]


def test_a_series_that_grows_too_long_halves_and_loses_nothing() -> None:
    """Two bins become one, with both their counts and the extremes of both."""
    series = Series(0, bins=4)
    for second in range(4):
        one = series.at(second * 1_000_000)
        one.ticks += second + 1
        one.latency(second, 10 * second)
    assert counts(series) == [1, 2, 3, 4]
    series.at(4_000_000).ticks += 100
    assert counts(series) == [3, 7, 100]
    assert series.width == 2_000_000
    assert [(one.lowest, one.highest) for one in series.bins] == [(0, 10), (2, 30), (None, None)]
    series.at(10**12).ticks += 1
    assert sum(counts(series)) == 111
    assert len(series.bins) <= 4

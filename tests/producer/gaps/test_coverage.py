"""A stream of several lines has a gap where none of them was there, and nowhere else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producer.gaps.coverage import Coverage

HORIZON = 60


def test_an_outage_that_another_line_covers_is_no_gap() -> None:
    """One line at a time may be away as long as it likes."""
    coverage = Coverage(2)
    assert coverage.resumed(0, 1) == []
    assert coverage.resumed(1, 2) == []
    assert coverage.lost(0, 10) == []
    assert coverage.resumed(0, 20) == []
    assert coverage.lost(1, 20) == []
    assert coverage.resumed(1, 30) == []


def test_silence_that_is_noticed_late() -> None:
    """A line that is given up at 40 and was silent since 15 did not cover the other's outage from 10 to 20."""
    coverage = Coverage(2)
    coverage.resumed(0, 1)
    coverage.resumed(1, 1)
    assert coverage.lost(0, 10) == []
    assert coverage.resumed(0, 20) == []
    assert coverage.lost(1, 15) == [(15, 20)]
    assert coverage.resumed(1, 50) == []


def test_a_line_alone() -> None:
    """With one line, each of its outages is a gap; before its first subscription, nothing is."""
    coverage = Coverage(1)
    assert coverage.resumed(0, 5) == []
    assert coverage.lost(0, 8) == []
    assert coverage.lost(0, 9) == []
    assert coverage.resumed(0, 12) == [(8, 12)]
    assert coverage.resumed(0, 13) == []


@given(
    st.lists(
        st.lists(st.integers(1, HORIZON), unique=True, max_size=12).map(sorted),
        min_size=2,
        max_size=3,
    )
)
def test_gaps_are_the_moments_without_a_line(changes: list[list[int]]) -> None:
    """Moment by moment, however lines come and go: told once, from the first subscription to the last."""
    coverage = Coverage(len(changes))
    moments = sorted((at, line, index % 2 == 0) for line, times in enumerate(changes) for index, at in enumerate(times))
    told = []
    for at, line, up in moments:
        told += coverage.resumed(line, at) if up else coverage.lost(line, at)
    there = {
        t
        for times in changes
        for a, b in zip(times[::2], [*times[1::2], HORIZON + 1], strict=False)
        for t in range(a, b)
    }
    missing = set(range(min(there), max(there))) - there if there else set()
    assert sorted(t for start, end in told for t in range(start, end)) == sorted(missing)

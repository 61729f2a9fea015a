"""Bounds against what log and archive hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumers.replay.bounds import Bound, Edge, ExchangeTime, Offsets, Received
from consumers.replay.plan import AHEAD_MS, Holdings, Piece, Plan, lookups, resolve

LOG = Holdings({0: (100, 200), 1: (0, 50)})
KEPT = Holdings({0: (100, 200), 1: (0, 50)}, {0: [(0, 40), (60, 120)]})
NOW = 2_000_000_000_000


def planned(start: Bound, end: Bound, holdings: Holdings = LOG, **found: Any) -> Plan:
    partial = found.pop("partial", False)
    return resolve(start, end, holdings, found, partial=partial)


def test_without_bounds_all_of_the_log_is_read() -> None:
    plan = planned(Edge.EARLIEST, Edge.END)
    assert plan.pieces == {0: [Piece(False, 100, 200)], 1: [Piece(False, 0, 50)]}
    assert plan.missing == {}
    assert (plan.records, plan.archived) == (150, 0)


def test_what_the_log_no_longer_has_comes_from_the_archive_and_the_log_has_its_own() -> None:
    plan = planned(Offsets(by_partition={0: 70}), Edge.END, KEPT)
    assert plan.pieces == {0: [Piece(True, 70, 100), Piece(False, 100, 200)]}
    assert plan.missing == {}
    assert (plan.records, plan.archived) == (130, 30)


def test_a_hole_that_neither_fills_is_missing_unless_a_part_is_enough() -> None:
    """Of a range of offsets it is named; with ``partial`` the pieces around it are read."""
    plan = planned(Offsets(by_partition={0: 10}), Edge.END, KEPT)
    assert plan.missing == {0: [(40, 60)]}
    plan = planned(Offsets(by_partition={0: 10}), Edge.END, KEPT, partial=True)
    assert plan.missing == {}
    assert plan.pieces[0] == [Piece(True, 10, 40), Piece(True, 60, 100), Piece(False, 100, 200)]


def test_a_log_that_never_held_anything_leaves_all_to_the_archive() -> None:
    """As on a new cluster. Else the log's end is the end."""
    assert planned(Edge.EARLIEST, Edge.END, Holdings({0: (0, 0)}, {0: [(5, 9)]})).pieces == {0: [Piece(True, 5, 9)]}
    assert planned(Edge.EARLIEST, Edge.END, Holdings({0: (0, 3)}, {0: [(5, 9)]})).pieces == {0: [Piece(False, 0, 3)]}


def test_an_offset_that_the_log_has_lost_is_missing() -> None:
    assert planned(Offsets(every=0), Edge.END).missing == {0: [(0, 100)]}


def test_an_offset_for_all_is_past_the_end_of_the_shorter_partitions() -> None:
    """Which then have no part; a partition's own offset has to be there, and so has the partition."""
    assert planned(Offsets(every=120), Offsets(every=130)).pieces == {0: [Piece(False, 120, 130)], 1: []}
    assert planned(Edge.EARLIEST, Offsets(by_partition={1: 51})).missing == {1: [(50, 51)]}
    assert 7 in planned(Offsets(by_partition={7: 0}), Edge.END).missing


def test_partitions_that_are_not_named_have_no_part() -> None:
    assert set(planned(Offsets(by_partition={1: 5}), Edge.END).pieces) == {1}


def test_an_exchange_time_narrows_from_below_alone() -> None:
    """A tick is received after it happened, by how much nobody knows: only the user's word narrows from above."""
    start, end = ExchangeTime(NOW - 10**9), ExchangeTime(NOW - 10**8)
    asked = lookups(start, end, now=NOW, scan=False, lateness=None)
    assert asked == {"floor": start.ms - AHEAD_MS, "claim": start.ms}
    assert lookups(start, end, now=NOW, scan=True, lateness=60_000) == {"claim": start.ms, "ceiling": end.ms + 60_000}
    assert planned(start, end, floor={0: 150, 1: 20}).pieces == {0: [Piece(False, 150, 200)], 1: [Piece(False, 20, 50)]}


def test_a_receive_time_narrows_from_both_sides() -> None:
    asked = lookups(Received(5), Received(9), now=NOW, scan=False, lateness=None)
    assert asked == {"floor": 5, "claim": 5, "ceiling": 60_009}
    plan = planned(Received(5), Received(9), floor={0: 150, 1: 20}, ceiling={0: 160, 1: 30}, claim={0: 150, 1: 20})
    assert plan.pieces == {0: [Piece(False, 150, 160)], 1: [Piece(False, 20, 30)]}
    assert plan.missing == {}


def test_a_log_that_begins_after_the_time_asked_for_has_lost_some() -> None:
    """Records may be gone: that is said, rather than a part given for the whole. A log from offset 0 has lost none."""
    plan = planned(Received(5), Edge.END, floor={0: 100, 1: 0}, claim={0: 100, 1: 0})
    assert plan.missing == {0: [(0, 100)]}


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple), max_size=4)


@given(spans, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_pieces_and_holes_are_the_range(kept: Any, begin: int, length: int, start: int, size: int) -> None:
    """In order, without overlap; each offset from where it is held, and a hole is held nowhere."""
    rising: list[tuple[int, int]] = []
    for low, high in sorted(kept):
        at = max(low, rising[-1][1] if rising else 0)
        if high > at:
            rising.append((at, high))
    log = (begin, begin + length)
    pieces, missing = Holdings({0: log}, {0: rising}).pieces(0, start, start + size)
    inside = [offset for piece in pieces for offset in range(piece.start, piece.end)]
    holes = [offset for low, high in missing for offset in range(low, high)]
    assert inside == sorted(set(inside))
    assert sorted(inside + holes) == list(range(start, start + size))
    for piece in pieces:
        for offset in range(piece.start, piece.end):
            in_log = log[0] <= offset < log[1]
            assert in_log != piece.archived
            assert in_log or any(low <= offset < high for low, high in rising)
    for offset in holes:
        assert not log[0] <= offset < log[1]
        assert not any(low <= offset < high for low, high in rising)

"""Snapshots' gap marks against the events that call for them."""

from __future__ import annotations

from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.marks import Due, MarkCheck, covering, due

S = 1_000_000
Json = dict[str, Any]


def event(name: str, at: int, *, source: str = "a", **fields: Any) -> Json:
    empty = {"start": None, "end": None, "codes": None}
    return {"event": name, "source": source, "at": at * S, "run": 1, "id": f"{source}/1/{at}"} | empty | fields


def snapshot(code: str, gap: Json | None, *, at: int = 1, source: str = "a", run: int = 1) -> Json:
    return {"code": code, "received": at * S, "lines": [{"source": source, "run": run}], "gap": gap}


EVENTS = [
    event("subscribed", 0, codes=["X", "Y"]),
    event("gap", 10, start=8 * S, end=10 * S, codes=["X"]),
    event("stopped", 20),
    event("subscribed", 0, source="b", codes="all"),
]
GAP = {"id": "a/1/10", "start": 8 * S, "end": 10 * S, "count": 1}
STOP = {"id": "a/1/20", "start": 20 * S, "end": None, "count": 1}
BOTH = {"id": "a/1/20", "start": 8 * S, "end": None, "count": 2}
RIGHT = [snapshot("X", None), snapshot("X", GAP), snapshot("X", BOTH), snapshot("Y", None), snapshot("Y", STOP)]


def found(snapshots: list[Json], events: list[Json] = EVENTS) -> int:
    """How many findings there are over published snapshots, the last of which are served as well."""
    findings = Findings()
    check = MarkCheck(due(events), findings)
    for one in snapshots:
        check.add(one)
    check.finish()
    check.check({one["code"]: one for one in snapshots}, "worker")
    return findings.counts["mark_mismatches"]


def test_marks_are_due_as_lines_go_and_come_back() -> None:
    """An outage begins one, only if the line was subscribed, and once; the gap that ends it is another."""
    events = [
        event("disconnected", 1, start=1 * S),
        event("subscribed", 2, codes="all"),
        event("disconnected", 5, start=4 * S),
        event("disconnected", 6, start=6 * S),
        event("stopped", 7),
    ]
    assert due(events) == [Due("a/1/5", 4 * S, None, 5 * S, "a", None, run=1)]


def shown(*told: Json) -> list[tuple[Any, ...]]:
    """What the mark of a code of these events covers after each: start, end and count."""
    return [(one.start[0] // S, one.end and one.end // S, one.count) for one in covering(due(told))]


SUBSCRIBED = event("subscribed", 1, codes="all")


def test_a_mark_covers_all_that_the_session_lacks() -> None:
    """From the earliest start to the latest end, and how many; what lasts is one gap with that which ends it."""
    gone = event("disconnected", 20, start=19 * S)
    back = event("subscribed", 25, codes="all")
    told = event("gap", 26, start=19 * S, end=25 * S, codes="all")
    gap = event("gap", 10, start=8 * S, end=12 * S, codes="all")
    assert shown(SUBSCRIBED, gap, gone, back, told) == [
        (8, 12, 1),
        (8, None, 2),
        (8, 12, 1),
        (8, 25, 2),
    ]
    assert shown(SUBSCRIBED, gap, gap) == [(8, 12, 1), (8, 12, 1)]


def test_what_another_producer_left_is_over_with_the_subscription() -> None:
    """Stopped, it lacks what is between; killed, nobody knows since when, until the next run has looked back."""
    again = [event("started", 30) | {"run": 2}, event("subscribed", 31, codes="all") | {"run": 2}]
    assert shown(SUBSCRIBED, event("stopped", 20), *again) == [(20, None, 1), (20, 31, 1)]
    killed = event("gap", 32, start=15 * S, end=31 * S, codes="all", detected="killed") | {"run": 2}
    assert shown(SUBSCRIBED, *again, killed) == [(1, None, 1), (1, 31, 1), (15, 31, 1)]


def test_snapshots_that_bear_their_marks_are_clean() -> None:
    """Those of another line bear none."""
    assert found([*RIGHT, snapshot("Z", None, source="b")]) == 0


@pytest.mark.parametrize(
    "snapshots",
    [
        [one for one in RIGHT if one["gap"] != GAP],
        [*RIGHT[:-1], snapshot("Y", GAP), snapshot("Y", STOP)],
        [*RIGHT[:1], snapshot("X", GAP | {"start": 7 * S}), *RIGHT[1:]],
        [*RIGHT[:2], snapshot("X", BOTH | {"start": 20 * S}), *RIGHT[2:]],
        [*RIGHT[:2], snapshot("X", BOTH | {"count": 1}), *RIGHT[2:]],
        [*RIGHT, snapshot("Z", STOP, source="b")],
        [*RIGHT, snapshot("X", GAP)],
        [*RIGHT, snapshot("Y", None)],
        [*RIGHT, {"code": "X", "received": S, "lines": []}],
    ],
    ids=[
        "never published",
        "of another code",
        "another start",
        "the first is forgotten",
        "another count",
        "of another line",
        "older than the last",
        "gone",
        "no such field",
    ],
)
def test_each_wrong_mark_is_found(snapshots: list[Json]) -> None:
    """Whichever way it is wrong."""
    assert found(snapshots) > 0


def test_a_mark_that_another_follows_at_once_need_not_show() -> None:
    """Snapshots are published a few times a second; nor need one of before a code's first tick."""
    soon = [*EVENTS[:2], event("gap", 11, start=10 * S, end=11 * S, codes=["X"])]
    last = {"id": "a/1/11", "start": 8 * S, "end": 11 * S, "count": 2}
    assert found([snapshot("X", last)], soon) == 0
    assert found([snapshot("X", BOTH, at=15)]) == 0


def test_a_code_that_came_after_a_clock_was_put_back_need_not_bear_what_was_told_before() -> None:
    """Its first tick was received at an earlier time than the telling, by the next run: times of runs don't compare."""
    events = [SUBSCRIBED, event("gap", 100, start=90 * S, end=95 * S, codes="all")]
    assert found([snapshot("Z", None, at=50, run=1)], events) > 0
    check = MarkCheck(due(events), findings := Findings())
    check.add(snapshot("Z", None, at=50, run=2))
    check.finish()
    assert not findings.counts["mark_mismatches"]

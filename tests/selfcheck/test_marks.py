"""Snapshots' gap marks against the events that call for them."""

from __future__ import annotations

from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.marks import Due, MarkCheck, due

S = 1_000_000
Json = dict[str, Any]


def event(name: str, at: int, *, source: str = "a", **fields: Any) -> Json:
    empty = {"start": None, "end": None, "codes": None}
    return {"event": name, "source": source, "at": at * S, "id": f"{source}/1/{at}"} | empty | fields


def snapshot(code: str, gap: Json | None, *, at: int = 1, source: str = "a") -> Json:
    return {"code": code, "received": at * S, "lines": [{"source": source}], "gap": gap}


EVENTS = [
    event("subscribed", 0, codes=["X", "Y"]),
    event("gap", 10, start=8 * S, end=10 * S, codes=["X"]),
    event("stopped", 20),
    event("subscribed", 0, source="b", codes="all"),
]
GAP = {"id": "a/1/10", "start": 8 * S, "end": 10 * S}
STOP = {"id": "a/1/20", "start": 20 * S, "end": None}
RIGHT = [snapshot("X", None), snapshot("X", GAP), snapshot("X", STOP), snapshot("Y", None), snapshot("Y", STOP)]


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
    assert due(events) == [Due({"id": "a/1/5", "start": 4 * S, "end": None}, 5 * S, "a", None)]


def test_snapshots_that_bear_their_marks_are_clean() -> None:
    """Those of another line bear none."""
    assert found([*RIGHT, snapshot("Z", None, source="b")]) == 0


@pytest.mark.parametrize(
    "snapshots",
    [
        [one for one in RIGHT if one["gap"] != GAP],
        [*RIGHT[:-1], snapshot("Y", GAP), snapshot("Y", STOP)],
        [*RIGHT[:1], snapshot("X", GAP | {"start": 7 * S}), *RIGHT[1:]],
        [*RIGHT, snapshot("Z", STOP, source="b")],
        [*RIGHT, snapshot("X", GAP)],
        [*RIGHT, snapshot("Y", None)],
        [*RIGHT, {"code": "X", "received": S, "lines": []}],
    ],
    ids=[
        "never published",
        "of another code",
        "another start",
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
    last = {"id": "a/1/11", "start": 10 * S, "end": 11 * S}
    assert found([snapshot("X", last)], soon) == 0
    assert found([snapshot("X", STOP, at=15)]) == 0

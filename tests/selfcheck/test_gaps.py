"""Injected gaps against announced ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.gaps import Gap, GapCheck, announced, check, injected, whole_tape

S = 1_000_000
AB, CD = frozenset({"A", "B"}), frozenset({"C", "D"})


def compared(was: list[Gap], told: list[Gap]) -> tuple[GapCheck, dict[str, int]]:
    findings = Findings()
    outcome = check(was, told, findings)
    return outcome, {str(kind): count for kind, count in findings.counts.items()}


def test_every_gap_that_is_told_of_is_clean() -> None:
    """Two lines are down at once: codes say which announcement is whose; a second of difference is none."""
    was = [Gap(10 * S, 20 * S, AB, "kill"), Gap(11 * S, 19 * S, CD, "kill")]
    told = [Gap(10 * S, 20 * S + 500_000, CD, "x/1/2"), Gap(11 * S, 21 * S, AB, "x/1/1")]
    assert compared(was, told) == (GapCheck(2, 2, 0), {})


@pytest.mark.parametrize(
    ("was", "told", "found"),
    [
        ([Gap(10 * S, 20 * S, AB, "kill")], [], {"gaps_untold": 1}),
        ([], [Gap(10 * S, 20 * S, AB, "x/1/1")], {"gaps_unreal": 1}),
        ([Gap(10 * S, 20 * S, AB, "kill")], [Gap(30 * S, 31 * S, AB, "x/1/1")], {"gaps_untold": 1, "gaps_unreal": 1}),
        ([Gap(10 * S, 20 * S, AB, "kill")], [Gap(10 * S, 20 * S, frozenset("A"), "x/1/1")], {"gap_codes_wrong": 1}),
        ([Gap(10 * S, 20 * S, None, "kill")], [Gap(10 * S, 20 * S, AB, "x/1/1")], {"gap_codes_wrong": 1}),
    ],
)
def test_what_does_not_pair_is_found(was: list[Gap], told: list[Gap], found: dict[str, int]) -> None:
    """Silent gaps, gaps that there were not, and codes left out."""
    assert compared(was, told)[1] == found


def test_gaps_that_follow_one_another_may_be_told_of_together() -> None:
    """A line that comes back to nothing has one gap, whatever the market counts; but all of it has to be told."""
    was = [Gap(10 * S, 20 * S, AB, "silence"), Gap(20 * S, 30 * S, AB, "silence")]
    assert compared(was, [Gap(10 * S, 30 * S, AB, "x/1/1")]) == (GapCheck(1, 1, 0), {})
    assert compared(was, [Gap(10 * S, 25 * S, AB, "x/1/1")])[1] == {"gaps_untold": 1}


def test_only_faults_that_withheld_ticks_are_gaps(tmp_path: Path) -> None:
    """One during which nothing traded lost nothing; a ledger without faults has none."""
    assert injected(tmp_path) == []
    fault: dict[str, Any] = {"at": 1, "ended": 2, "connection": "connection-0001", "kind": "kill", "codes": "all"}
    lines = [
        fault | {"from": 0, "to": 3, "loses_ticks": True},
        fault | {"from": 3, "to": 3, "loses_ticks": True},
        fault | {"from": 0, "to": 0, "loses_ticks": False},
    ]
    (tmp_path / "faults.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert injected(tmp_path) == [Gap(1, 2, None, "kill on connection-0001")]


def test_gaps_are_read_from_feed_events() -> None:
    """Other events are none."""
    gap = {"event": "gap", "id": "x/1/3", "reason": "silent", "start": 5, "end": 9, "codes": ["A", "B"]}
    assert announced([{"event": "connected"}, gap]) == [Gap(5, 9, AB, "x/1/3: silent")]


def test_a_pair_s_tape_goes_on_in_what_was_withheld_and_in_the_successor(tmp_path: Path) -> None:
    """1 and 2 are equal; 1 is ended and replaced by 3, then 2 by 4, then 3 by 5: one of them is the whole market."""
    for name in ("connection-0001", "connection-0002", "connection-0003", "connection-0004", "connection-0005"):
        (tmp_path / f"{name}.jsonl").touch()
        (tmp_path / f"withheld-{name}.jsonl").touch()
    faults = [{"at": at, "connection": f"connection-000{n}", "loses_ticks": True} for at, n in ((1, 1), (2, 2), (3, 3))]
    (tmp_path / "faults.jsonl").write_text("".join(json.dumps(fault) + "\n" for fault in faults), "utf-8")
    names = [file.stem.replace("connection-000", "") for file in whole_tape(tmp_path)]
    assert names == ["1", "withheld-1", "3", "withheld-3", "5", "withheld-5"]

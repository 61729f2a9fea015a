"""What a check of several workers adds: their groups' commits, their counters, and the pauses in the verdict."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from selfcheck.comparison import check_committed
from selfcheck.disturbing import Disturbance
from selfcheck.drain import Counts
from selfcheck.findings import Findings
from selfcheck.log import LogReader
from selfcheck.pauses import Pause
from selfcheck.verdict import Verdict

Json = dict[str, Any]


class _Reader:
    """A topic of two partitions that end at 10 and 0, and what groups have committed."""

    def __init__(self, committed: dict[str, dict[int, int]]) -> None:
        self._committed = committed

    async def ends(self, _topic: str) -> dict[int, int]:
        return {0: 10, 1: 0}

    async def committed(self, groups: list[str], _topic: str) -> dict[int, int]:
        return self._committed[groups[0]]


@pytest.mark.parametrize(
    ("position", "wrong"),
    [({0: 10}, 0), ({0: 10, 1: 0}, 0), ({0: 7}, 3), ({}, 10), ({0: 12}, 2)],
)
async def test_a_group_that_has_not_committed_exactly_all_that_there_is_is_found(
    position: dict[int, int], wrong: int
) -> None:
    """One that has does not hide another; the finding names the group, and counts its ticks."""
    findings = Findings()
    reader = _Reader({"ashare-changes": {0: 10, 1: 0}, "ashare-storage": position})
    await check_committed(cast("LogReader", reader), ["ashare-changes", "ashare-storage"], findings)
    assert findings.counts["uncommitted"] == wrong
    assert {one["group"] for one in findings.examples.get("uncommitted", ())} == (
        {"ashare-storage"} if wrong else set()
    )


def test_the_counters_of_a_worker_that_was_started_again_go_on() -> None:
    """While it does not answer they stand; a counter that falls is that of a new process."""
    counts = Counts()
    for status in ({"stored": 5, "ticks": 9}, {}, {"stored": 8, "ticks": 9}, {"stored": 2, "ticks": 1}, {"stored": 3}):
        counts.add(status)
    assert (counts.of("stored"), counts.of("ticks"), counts.of("chunks")) == (8 + 3, 9 + 1, 0)


def test_the_verdict_tells_the_longest_pause_of_all_groups_and_what_was_done_to_whom() -> None:
    """As one figure, with the group and partition that it was of; ``ok`` does not depend on it."""
    pauses = {"a": Pause(0.9, "a", 3, 1.0), "b": Pause(7.25, "b", 5, 12.4)}
    done = [Disturbance(7.0, 1, "killed"), Disturbance(9.0, 2, "restarted"), Disturbance(16.0, 3, "killed")]
    verdict = Verdict({}, sent=1, published=1, stored=1, pauses=pauses, disturbances=done, slowest_stop=1.5)
    told: Json = json.loads(verdict.as_json())
    assert told["ok"]
    assert told["longest_pause_s"] == 7.25
    assert [(one["group"], one["seconds"]) for one in told["pauses"]] == [("a", 0.9), ("b", 7.25)]
    assert told["disturbances"][1] == {"at_s": 9.0, "worker": 2, "what": "restarted"}
    assert told["slowest_stop_s"] == 1.5
    text = verdict.as_text()
    assert "pause      7.25 s at most, of b in partition 5, 12 s after the start" in text
    assert "workers    2 killed, 1 restarted; ended 1.5 s after SIGTERM at most" in text


def test_a_run_without_a_tick_that_waited_has_a_pause_of_nothing() -> None:
    told: Json = json.loads(Verdict({}).as_json())
    assert (told["longest_pause_s"], told["pauses"], "disturbances" in told) == (0.0, [], False)
    assert "pause" not in Verdict({}).as_text()

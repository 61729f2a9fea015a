"""Rules that change in the middle of a run: which one a tick is due, and what is found where marks say otherwise."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.log import Entry
from selfcheck.thresholds import LATE, Rules

SET = 1_795_147_200_000
"""When everything was set, ms since the epoch."""


def setting(version: int, scope: str, threshold: str | None) -> Entry:
    """A record of the thresholds' topic."""
    value = None if threshold is None else json.dumps({"scope": scope, "threshold": threshold}).encode()
    return Entry(0, version, SET, scope.encode(), (), value)


def mark(scope: str, threshold: str | None, start: int, version: int) -> Entry:
    """A mark in partition 3."""
    value: dict[str, Any] = {"scope": scope, "threshold": threshold, "start": start, "version": version}
    return Entry(3, 0, SET, scope.encode(), (), json.dumps(value | {"number": 1, "earlier": []}).encode())


def tick(code: str = "600519", *, ms: int = 0) -> dict[str, Any]:
    """A tick that came ``ms`` after the set."""
    return {"code": code, "received": (SET + ms) * 1000}


def due(rules: Rules, offset: int, code: str = "600519", *, ms: int = 0) -> tuple[Decimal, str]:
    """Size and unit of the rule that a tick is due."""
    rule = rules.of(3, offset, tick(code, ms=ms))
    return rule.size, rule.unit


def test_a_tick_is_due_the_narrowest_scope_in_force_at_its_offset() -> None:
    """Code beats board beats default; before its mark nothing is in force, and what is unset is not any more."""
    settings = [setting(0, "default", "3ticks"), setting(1, "board:STAR", "20bp"), setting(2, "code:688981", "0.5")]
    rules = Rules(Rule.parse("0.01"), Findings(), [*settings, setting(3, "default", None)])
    for entry in (
        mark("default", "3ticks", 10, 0),
        mark("board:STAR", "20bp", 20, 1),
        mark("code:688981", "0.5", 20, 2),
        mark("default", None, 30, 3),
    ):
        rules.mark(entry)
    assert due(rules, 9) == (Decimal("0.01"), "yuan")
    assert due(rules, 10) == due(rules, 29) == (Decimal(3), "ticks")
    assert due(rules, 30) == (Decimal("0.01"), "yuan")
    assert [due(rules, 25, code) for code in ("688001", "688981")] == [(Decimal(20), "bp"), (Decimal("0.5"), "yuan")]


def test_a_mark_replaces_those_at_or_behind_its_start() -> None:
    """What was to begin there was never in force."""
    rules = Rules(Rule.parse("0"), Findings(), [setting(0, "default", "1"), setting(1, "default", "2")])
    rules.mark(mark("default", "1", 10, 0))
    rules.mark(mark("default", "2", 10, 1))
    assert due(rules, 10) == (Decimal(2), "yuan")


def test_how_soon_it_was_in_force_is_measured_where_ticks_were_judged() -> None:
    """By the last tick that came after the set and was not judged by it."""
    rules = Rules(Rule.parse("0"), Findings(), [setting(0, "board:STAR", "1")])
    rules.mark(mark("board:STAR", "1", 3, 0))
    for offset, (code, ms) in enumerate([("688001", -5), ("688001", 40), ("688001", 90), ("600519", 95)]):
        due(rules, offset, code, ms=ms)
    (one,) = rules.settings
    assert (one.partitions, one.after_ms) == (0, 90), "no stock of the board was judged by it yet"
    due(rules, 4, "688002", ms=120)
    assert (one.partitions, one.after_ms) == (1, 90)


def test_a_threshold_that_does_not_take_effect_is_found() -> None:
    """Whether its mark is missing, or says another threshold, or is of something that nobody set."""
    findings = Findings()
    rules = Rules(Rule.parse("0"), findings, [setting(0, "default", "1")])
    due(rules, 0, ms=LATE)
    assert findings.clean
    due(rules, 1, ms=LATE + 1)
    due(rules, 2, ms=LATE + 2)
    assert findings.counts == {"threshold_mismatches": 1}
    rules.mark(mark("default", "7", 3, 0))
    rules.mark(mark("board:STAR", "1", 3, 0))
    assert findings.counts == {"threshold_mismatches": 3}


def test_without_settings_every_tick_is_due_the_default() -> None:
    assert due(Rules(Rule.parse("2ticks"), Findings()), 5) == (Decimal(2), "ticks")

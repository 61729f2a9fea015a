"""What a client of the gateway was sent is held against its own subscription: each kind of fault is seen."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.gateway import Section, _Judged

TICKS = array("d", (10.0, 0.0, 10.01, 100.0, 10.5, 200.0, 10.5, 200.01, 10.51, 300.0))
"""Price and receipt of five ticks of a code."""


def judged(*rows: tuple[int, float, float], threshold: str = "0.05", **section: Any) -> dict[str, int]:
    """What is found of rows (ticks, price, when it came) after a snapshot."""
    findings = Findings()
    asked = Section(None, Rule.parse(threshold), 1.0, section.get("trailing", True), known={"600519"})
    flat = array("d", [value for row in rows for value in row])
    _Judged(findings, 0, asked, "600519", TICKS, flat).judge(last=True)
    return {str(kind): count for kind, count in findings.counts.items()}


WHOLE = ((1, 10.0, 1.0), (2, 10.01, 101.0), (4, 10.5, 201.0), (5, 10.51, 301.0))


def test_what_is_as_it_was_asked_for_is_clean() -> None:
    assert judged(*WHOLE) == {}
    assert judged((1, 10.0, 1.0), (4, 10.5, 201.0), trailing=False) == {}


@pytest.mark.parametrize(
    ("rows", "trailing", "found"),
    [
        (WHOLE[:3], True, {"gateway_lost_last": 1}),
        ((), True, {"gateway_lost_last": 1}),
        (((1, 10.0, 1.0), (2, 10.02, 101.0)), True, {"gateway_mismatches": 1}),
        (((2, 10.01, 101.0), (1, 10.0, 102.0)), True, {"gateway_mismatches": 1}),
        (((1, 10.0, 1.0), (3, 10.5, 290.0), WHOLE[3]), True, {"gateway_mismatches": 1}),
        (((1, 10.0, 1.0), WHOLE[3]), True, {"gateway_mismatches": 1}),
        (((1, 10.0, 1.0), (2, 10.01, 101.0), (4, 10.5, 201.0)), False, {"gateway_mismatches": 1}),
        (((1, 10.0, 1.0),), False, {"gateway_lost_last": 1}),
    ],
    ids=["no last", "nothing", "no such state", "older", "late", "passed over", "within the threshold", "last beyond"],
)
def test_a_fault_is_seen(rows: Any, trailing: bool, found: dict[str, int]) -> None:
    if found == {"gateway_mismatches": 1}:
        assert judged(*rows, trailing=trailing).get("gateway_mismatches", 0) >= 1
    else:
        assert judged(*rows, trailing=trailing) == found


def test_a_move_within_the_threshold_is_not_sent_before_the_burst_is_over() -> None:
    """The third and the fourth tick are 10 ms apart: at one row a second the burst was not over."""
    assert judged((2, 10.01, 101.0), (3, 10.5, 200.0), (4, 10.5, 201.0), (5, 10.51, 301.0), threshold="1") == {
        "gateway_mismatches": 1
    }

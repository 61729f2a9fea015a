"""Rows that never go back."""

from __future__ import annotations

from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.rising import Rising

Json = dict[str, Any]


def row(offset: int, run: int, n: int, *, source: str = "a", received: int | None = None) -> Json:
    line = {"source": source, "run": run, "n": n, "received": received}
    return {"origin": {"partition": 3, "offset": offset}, "lines": [line]}


def found(*rows: Json) -> int:
    findings = Findings()
    check = Rising(findings)
    for one in rows:
        check.add("600519", one)
    check.add("000001", row(0, 0, 0))
    return findings.counts["rows_went_back"]


def test_rows_that_rise_or_stand_are_clean() -> None:
    """A row is published again with another mark; another line is not a step back."""
    assert found(row(5, 1, 9), row(5, 1, 9), row(6, 2, 0), row(7, 1, 1, source="b"), row(8, 1, 2, source="b")) == 0


@pytest.mark.parametrize("older", [row(4, 1, 10), row(6, 1, 8), row(6, 0, 12)])
@pytest.mark.parametrize("received", [None, 10_000_000])
def test_a_row_that_is_older_by_its_origin_or_its_line_is_found(older: Json, received: int | None) -> None:
    assert found(row(5, 1, 9, received=received), older) == 1


def test_a_line_may_go_back_where_its_last_name_was_wrong() -> None:
    """More than a minute of receipt after it."""
    assert found(row(5, 9, 9, received=1), row(6, 1, 1, received=60_000_001)) == 1
    assert found(row(5, 9, 9, received=1), row(6, 1, 1, received=60_000_002)) == 0

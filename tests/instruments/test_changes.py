"""What a file changes of what is known: fields that it has, of the day that it is of."""

from __future__ import annotations

from typing import Any

from instruments.changes import compare, differing
from instruments.columns import read as read_columns
from instruments.known import WHOLE, Known
from instruments.rows import Row, read
from schemas import Instrument


def row(header: str, *cells: str, day: str = "2026-11-20") -> dict[str, Row]:
    found = read(cells, read_columns(header.split(",")), day)
    return {found.record.code: found}


def held(**fields: Any) -> dict[str, Instrument | None]:
    return {"600519": Instrument("600519", "SSE", **fields)}


def test_what_a_file_does_not_say_stays() -> None:
    """A file of limits leaves names; an empty cell says nothing."""
    before = held(name="贵州茅台", shares=5, day="2026-11-19", previous_close=9.0, limit_up=9.9, limit_down=8.1)
    changes = compare(before, row("代码,名称,涨停,跌停", "600519", "", "11.0", "9.0"))
    ((_, after),) = changes.changed
    assert (after.name, after.shares, after.day) == ("贵州茅台", 5, "2026-11-20")
    assert (after.previous_close, after.limit_up, after.limit_down) == (None, 11.0, 9.0)
    assert ("limit_up", 9.9, 11.0) in list(differing(before["600519"], after))


def test_prices_of_an_earlier_day_change_none() -> None:
    before = held(name="A", day="2026-11-23", limit_up=9.9, limit_down=8.1)
    changes = compare(before, row("代码,名称,涨停,跌停", "600519", "B", "11.0", "9.0"))
    ((_, after),) = changes.changed
    assert (after.name, after.day, after.limit_up) == ("B", "2026-11-23", 9.9)
    assert changes.stale == ["600519"]


def test_added_unchanged_and_removed() -> None:
    rows = row("code,name", "600519", "贵州茅台") | row("code,name", "000001", "平安银行")
    first = compare({}, rows)
    assert [one.code for one in first.added] == ["600519", "000001"]
    known: dict[str, Instrument | None] = {one.code: one for one in first.records}
    again = compare(known | {"600000": None}, rows)
    assert (again.unchanged, again.nothing, again.removed) == (2, True, [])
    assert compare(known | {"600000": None}, rows, remove_missing=True).removed == ["600000"]
    mended = compare({"600519": None}, row("code,name", "600519", "贵州茅台"))
    assert mended.changed[0][0] is None


def test_a_list_says_who_is_not_listed_only_where_it_is_whole() -> None:
    """Of an exchange, by the number of its A shares."""
    known = Known(Instrument(f"{n}", "SSE") for n in range(600000, 600000 + WHOLE["SSE"] - 1))
    assert known.lists("600000", "SSE") is True
    assert known.lists("605999", "SSE") is None
    assert known.take([("688001", Instrument("688001", "SSE"))]) == ["688001"]
    assert [*known.whole, known.lists("605999", "SSE"), known.lists("000001", "SZSE")] == ["SSE", False, None]
    assert known.take([("688001", None), ("nonsense", None)]) == ["688001"]
    assert known.lists("605999", "SSE") is None

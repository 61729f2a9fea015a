"""Of the records of a state topic only some are read whole; the rows are those that all of them give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.snapshots import Snapshots
from processors.streaming.restoring import counting
from processors.streaming.tables import BulkRecovery
from schemas import RecordError, encode
from tests.jobs.chunks import chunk, tick
from tests.processors.test_tables import PlayedTable, record

CODES = ("600519", "000001")


def given_all(keys: list[bytes | None], values: list[bytes | None]) -> dict[str, bytes]:
    """The rows after each record in turn."""
    table = PlayedTable()
    for key, value in zip(keys, values, strict=True):
        try:
            table.apply(3, key, value)
        except RecordError:
            continue
    return shown(table)


def shown(table: PlayedTable) -> dict[str, bytes]:
    """The rows as they would be published."""
    return {code: encode(row.record()) for code, row in table.held.get(3, {}).items()}


class Noted:
    """Stands where the damage is noted."""

    def unreadable(self, *_: object) -> None:
        """Somebody looks elsewhere."""

    def replaced(self, *_: object) -> None:
        """Likewise."""


def restored(keys: list[bytes | None], values: list[bytes | None]) -> dict[str, bytes]:
    """The rows as a restoration makes them of one chunk."""
    table: Any = PlayedTable()
    recovery: Any = object.__new__(BulkRecovery)
    recovery.tables = type("Tables", (), {"_changelogs": {"state": table}})()
    recovery._apply(Chunked(keys, values), Noted())
    return shown(table)


class Chunked:
    """Records as a chunk has them."""

    topic, partition = "state", 3

    def __init__(self, keys: list[bytes | None], values: list[bytes | None]) -> None:
        """At rising offsets."""
        self.keys, self.values, self.offsets = keys, values, list(range(len(keys)))

    def __len__(self) -> int:
        """Records in it."""
        return len(self.keys)


def two_lines(code: str, first: int, second: int) -> tuple[str, bytes]:
    """A code's row after so many ticks of two lines."""
    rows: dict[str, Any] = {}
    ticks = [tick(n, 10.0, code=code, source="a") for n in range(1, first + 1)]
    ticks += [tick(n, 10.0, code=code, source="b") for n in range(1, second + 1)]
    Snapshots().apply(rows, chunk(ticks))
    return code, encode(rows[code].record())


ROWS = st.builds(two_lines, st.sampled_from(CODES), st.integers(1, 3), st.integers(0, 3)) | st.builds(
    two_lines, st.sampled_from(CODES), st.integers(0, 3), st.integers(1, 3)
)
RECORDS = st.one_of(
    ROWS.map(lambda row: (row[0].encode(), row[1])),
    ROWS.map(lambda row: (CODES[0].encode(), row[1])),  # now and then another code's row under this key
    st.tuples(
        st.sampled_from((b"600519", b"000001", b"x", None)), st.sampled_from((None, b"", b"{}", b'{"lines":[]}'))
    ),
    st.just((b"600519", b'{"lines":[{"source":"a","run":9,"n":9}]}')),  # marks, and nothing else of a row
)


@given(st.lists(RECORDS, max_size=12))
def test_the_rows_are_those_that_all_records_give(records: list[tuple[bytes | None, bytes | None]]) -> None:
    """Late copies, rows of two lines, tombstones, and what is not a row: in any order."""
    keys, values = [key for key, _ in records], [value for _, value in records]
    assert restored(keys, values) == given_all(keys, values)


def test_of_a_key_only_its_latest_row_counts() -> None:
    """A late copy behind it does not."""
    values: list[bytes | None] = [record(1), record(1, 2, 3), record(1, 2), record(1, code="000001")]
    assert counting([b"600519", b"600519", b"600519", b"000001"], values) == [1, 3]


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"lines":null}', b"[" * 5_000])
def test_all_records_of_a_key_count_where_one_can_not_be_told(value: bytes | None) -> None:
    """It may stand for a deletion, or for nothing at all."""
    assert counting([b"600519"] * 3 + [b"000001"] * 2, [record(1), value, record(1, 2), record(1), record(1, 2)]) == [
        0, 1, 2, 4,
    ]  # fmt: skip


def test_a_row_that_lacks_a_line_of_the_one_before_it_is_older() -> None:
    """Though the mark of the line that it has is the same."""
    values: list[bytes | None] = [two_lines("600519", 2, 1)[1], record(1, 2, source="a")]
    assert counting([b"600519"] * 2, values) == [0]


def test_what_is_refused_between_two_rows_decides_nothing_between_them() -> None:
    """A row of another code under this key, whose marks compare with neither."""
    keys: list[bytes | None] = [b"600519"] * 3
    values: list[bytes | None] = [
        two_lines("600519", 1, 2)[1],
        two_lines("000001", 2, 0)[1],
        two_lines("600519", 1, 1)[1],
    ]
    assert restored(keys, values) == given_all(keys, values)

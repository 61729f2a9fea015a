"""How many codes the jobs keep rows of."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from jobs import room
from jobs.changes import Changes
from jobs.snapshots import Snapshots
from jobs.thresholds import parse_overrides
from processors.streaming.tables import StateTable
from schemas import encode
from schemas.topics import TICKS, topics
from tests.jobs.chunks import chunk, tick


def _invented(count: int) -> list[str]:
    return [f"X{n:06}.SSE" for n in range(count)]


@pytest.mark.parametrize("job", ["snapshots", "changes"])
def test_invented_codes_take_no_memory_and_no_room_of_those_that_there_are(
    job: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows stop at the bound; a code that has one goes on as before; the refused are counted, and told now and then."""
    monkeypatch.setattr(room, "MAX_CODES", 100 * topics()[TICKS].partitions)
    rows: dict[str, Any] = {}
    made: Any = Snapshots() if job == "snapshots" else Changes(parse_overrides("0.01", ""))
    made.apply(rows, chunk([tick(1, 10.0, code="600519")]))
    with caplog.at_level(logging.ERROR):
        made.apply(rows, chunk([tick(n, 10.0, code=code) for n, code in enumerate(_invented(2_000), 1)], start=1))
    assert len(rows) == 100
    assert made.room.refused == 2_000 - 99
    assert len(caplog.messages) == 4  # at 1, 10, 100 and 1,000
    assert "of codes beyond the 100" in caplog.text
    made.apply(rows, chunk([tick(2, 11.0, code="600519")], start=5_000))
    assert rows["600519"].offset == 5_000


def test_a_market_and_all_that_its_exchanges_list_have_room() -> None:
    """However the codes fall on the partitions."""
    from schemas.topics import partition_of

    count = topics()[TICKS].partitions
    found = [0] * count
    for n in range(40_000):
        found[partition_of(f"{n:06}", count)] += 1
    assert max(found) < room.most()


def test_what_is_restored_has_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic that it comes from is public: whoever writes rows into it has no more memory of ours."""
    monkeypatch.setattr(room, "MAX_CODES", 10 * topics()[TICKS].partitions)
    job = Snapshots()
    source: dict[str, Any] = {}
    for start in range(0, 50, 10):
        rows: dict[str, Any] = {}
        some = _invented(50)[start : start + 10]
        job.apply(rows, chunk([tick(1, 10.0, code=code) for code in some]))
        source |= rows

    class Table(StateTable):
        def __init__(self) -> None:
            self._restore = cast("Any", job.restore)
            self.room = room.Room("restored state")
            self._held: dict[int, dict[str, Any]] = {}

        def rows(self, partition: int) -> dict[str, Any]:
            return self._held.setdefault(partition, {})

    table = Table()
    for code, row in source.items():
        table.apply(0, code.encode(), encode(row.record()))
    assert len(table.rows(0)) == 10
    assert table.room.refused == 40

"""Bars in an archive: byte for byte, each revision, and no repeat taken for another bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ashare_client.archive import Archive
from schemas import Bar, GapMark, Origin, encode
from schemas.topics import BARS
from tests.consumers.archive.records import NOON, Raw, chunk, keep


def bar(minute: int, revision: int = 0, offset: int = 10, **more: Any) -> Bar:
    start = NOON + minute * 60_000
    return Bar(
        "600519", "SSE", "2026-11-20", start, start + 60_000, 10.0, 10.5, 9.9, 10.1, 7, revision, Origin(3, offset),
        700, 7070.0, **more,
    )  # fmt: skip


def test_bars_are_kept_byte_for_byte_and_repeats_are_told(tmp_path: Path) -> None:
    """A later revision of an older bar is none; what a crash published again is one."""
    first, second = bar(60), bar(61, offset=20)
    marked = bar(60, 1, gap=GapMark("post-1/1/4", 1, 2))
    auction = bar(60, offset=12, auction="closing")
    bars = [first, second, marked, auction, first, second, bar(60, 2, 30)]
    made = [Raw(encode(one), timestamp=one.end) for one in bars]
    keep(tmp_path, [chunk(made, topic=BARS)], topic=BARS, kind="bar")
    archive = Archive(tmp_path)
    (day,) = archive.manifests(BARS)
    assert day.date == "2026-11-20"
    records = [one for batch in archive.read(BARS, 0, 0, 100) for one in archive.records(BARS, batch)]
    assert [one.value for one in sorted(records, key=lambda one: one.offset)] == [one.value for one in made]
    table = pq.read_table(tmp_path / day.parts[0].file)
    rows = sorted(zip(table["kafka_offset"].to_pylist(), table["kafka_repeated"].to_pylist(), strict=True))
    assert [offset for offset, repeated in rows if repeated] == [4, 5]
    assert table["kafka_value"].null_count == len(bars)
    assert table["start"].to_pylist() == sorted(one.start for one in bars)

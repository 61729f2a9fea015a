"""Archives are read in offset order, within bounds, and say what is wrong with them."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ashare_client import archive as module
from ashare_client.archive import Archive, ArchiveError, Day, Span, merged
from consumers.archive import stretches
from schemas.topics import TICKS
from tests.consumers.archive.records import (
    DAY,
    MIDNIGHT,
    NEXT,
    NOON,
    Raw,
    as_archived,
    chunk,
    keep,
    raw,
    records,
    tick,
    ticks,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and windows of few rows."""
    monkeypatch.setattr(stretches, "PART_ROWS", 100)
    monkeypatch.setattr(stretches, "MOST_ROWS", 200)
    monkeypatch.setattr(module, "WINDOW", 32)


def drawn(count: int, days: int, seed: int) -> list[Raw]:
    """Ticks of several days in any order, some with fields that nobody knows, some that are none."""
    rng = random.Random(seed)
    found = []
    for n in range(count):
        one = raw(
            tick(n, time=NOON + rng.randrange(days) * 86_400_000 - rng.randrange(1000), code=str(rng.randrange(10**6)))
        )
        if n % 11 == 0:
            one = Raw(b"{}" if n % 2 else (one.value or b"").replace(b"{", b'{"x":1,'), one.timestamp)
        found.append(one)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_range(tmp_path: Path, small: None, seed: int) -> None:
    """Whatever the days and parts, a range comes whole, in the order of offsets, in batches of a window at most."""
    every = drawn(700, 3 if seed % 2 else 1, seed)
    keep(tmp_path, [chunk(every[at : at + 90], start=at) for at in range(0, 700, 90)])
    archive = Archive(tmp_path)
    assert archive.spans(TICKS) == {0: [Span(0, 700)]}
    expected = as_archived(every)
    rng = random.Random(seed)
    for start, end in [(0, 700), (0, 10**9), *(sorted(rng.sample(range(701), 2)) for _ in range(20))]:
        batches = list(archive.read(TICKS, 0, start, end))
        assert all(batch.num_rows <= 32 for batch in batches)
        assert [r for batch in batches for r in archive.records(TICKS, batch)] == expected[start:end]
    batch = next(archive.read(TICKS, 0, 0, 700))
    assert list(archive.records(TICKS, batch.slice(3, 5))) == expected[3:8]
    assert list(archive.records(TICKS, batch.slice(3, 0))) == []
    assert list(archive.read(TICKS, 1, 0, 700)) == []
    assert list(archive.read("another", 0, 0, 700)) == []


def test_headers_of_a_slice(tmp_path: Path) -> None:
    """Headers stay with their record when a batch is cut."""
    every = [raw(tick(n), headers=[("n", b"%d" % n)] * (n % 3)) for n in range(50)]
    keep(tmp_path, [chunk(every)])
    archive = Archive(tmp_path)
    (batch,) = archive.read(TICKS, 0, 0, 50)
    assert list(archive.records(TICKS, batch.slice(10, 20))) == as_archived(every)[10:30]


def test_what_is_held(tmp_path: Path) -> None:
    """Topics, days and spans, as they grow under an archive that is open; nothing is not an error."""
    archive = Archive(tmp_path)
    assert (archive.topics(), archive.days(TICKS), archive.spans(TICKS), archive.at(TICKS, 0)) == ([], [], {}, {})
    keep(tmp_path, [chunk(ticks(10), start=5), chunk(ticks(10, first=50, time=MIDNIGHT), start=30)])
    assert (archive.topics(), archive.days(TICKS)) == ([TICKS], [DAY, NEXT])
    assert archive.spans(TICKS) == {0: [Span(5, 15), Span(30, 40)]}
    keep(tmp_path, [chunk(ticks(15, first=70), start=15), chunk(ticks(1), partition=11)])
    assert archive.spans(TICKS) == {0: [Span(5, 40)], 11: [Span(0, 1)]}


def test_offsets_without_records(tmp_path: Path) -> None:
    """What a log has no record of, at the beginning, between and at the end, belongs to the span of its neighbours."""
    keep(
        tmp_path,
        [
            chunk([], start=0, end=3),
            chunk(ticks(5), start=3),
            chunk([], start=8, end=10),
            chunk([], start=10, end=11),
            chunk(ticks(5, first=5), start=11, end=20),
            chunk([], start=20, end=22),
        ],
    )
    assert Archive(tmp_path).spans(TICKS) == {0: [Span(0, 22)]}
    assert [record.offset for record in records(tmp_path)] == [*range(3, 8), *range(11, 16)]


def test_at_a_time(tmp_path: Path, small: None) -> None:
    """The first offset stamped at or after a time, in stamps that don't rise; partitions without one are left out."""
    rng = random.Random(1)
    stamps = [NOON + n * 10 + rng.randrange(-200, 200) for n in range(500)]
    every = [raw(tick(n, time=NOON + n % 2 * 86_400_000), timestamp=stamp) for n, stamp in enumerate(stamps)]
    keep(tmp_path, [chunk(every, start=1000), chunk(every[:1], partition=1)])
    archive = Archive(tmp_path)
    for ms in [0, NOON + 1, NOON + 777, NOON + 2500, max(stamps)]:
        found = archive.at(TICKS, ms)
        assert found[0] == 1000 + next(n for n, stamp in enumerate(stamps) if stamp >= ms)
        assert (1 in found) == (stamps[0] >= ms)
    assert archive.at(TICKS, max(stamps) + 1) == {}


def test_fields_that_are_added_later(tmp_path: Path) -> None:
    """A part says of what its records are made: one of an older program gives what the log had then."""
    keep(tmp_path, [chunk(ticks(20))])
    (path,) = tmp_path.glob("ticks/*/*/*.parquet")
    table = pq.read_table(path, partitioning=None)
    fields = msgspec.json.decode(table.schema.metadata[module.FIELDS])
    older = [field for field in fields if field[0] != "previous_close"]
    metadata = {module.FIELDS: msgspec.json.encode(older)}
    pq.write_table(table.drop_columns(["previous_close"]).replace_schema_metadata(metadata), path)
    keep(tmp_path, [chunk(ticks(20, first=20), start=20)])
    found = records(tmp_path)
    expected = as_archived(ticks(40))
    assert [record.value for record in found[:20]] == [
        (record.value or b"").replace(b',"previous_close":null', b"") for record in expected[:20]
    ]
    assert found[20:] == expected[20:]


def test_damage(tmp_path: Path) -> None:
    """A part that is gone, cut off or changed on the disk is named, and never read as if it were whole."""
    keep(tmp_path, [chunk(ticks(2000))])
    (path,) = tmp_path.glob("ticks/*/*/*.parquet")
    whole = path.read_bytes()
    for content, why in [
        (None, "is missing"),
        (b"", "can't be read"),
        (whole[:-9], "can't be read"),
        (whole[:300] + bytes(200) + whole[500:], "is damaged"),
    ]:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ArchiveError, match=rf"part-.*parquet {why}.*`ashare archive verify`"):
            records(tmp_path)
    pq.write_table(pa.table({"kafka_offset": [1]}), path)
    with pytest.raises(ArchiveError, match="not part of an archive"):
        records(tmp_path)
    path.write_bytes(whole)
    assert len(records(tmp_path)) == 2000


def test_manifests(tmp_path: Path) -> None:
    """One that is none, or of a later version, is named."""
    keep(tmp_path, [chunk(ticks(1))])
    path = tmp_path / "manifests" / TICKS / f"{DAY}.json"
    day = msgspec.json.decode(path.read_bytes(), type=Day)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(day, version=99)))
    with pytest.raises(ArchiveError, match=f"{DAY}.json has version 99, this program reads 1: install a newer one"):
        Archive(tmp_path).spans(TICKS)
    path.write_bytes(b'{"topic":')
    with pytest.raises(ArchiveError, match=f"{DAY}.json is not a manifest of an archive"):
        Archive(tmp_path).days(TICKS), Archive(tmp_path).spans(TICKS)


def test_merged() -> None:
    """Neighbours and overlaps are one span."""
    assert merged([Span(5, 7), Span(0, 2), Span(2, 4), Span(6, 9)]) == [Span(0, 4), Span(5, 9)]


def test_without_pyarrow() -> None:
    """The module can be imported; an archive says what to install."""
    script = """
import sys
sys.modules["pyarrow"] = None
from ashare_client.archive import Archive, ArchiveError
try:
    Archive("x")
except ArchiveError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "install ashare-client[archive]" in done.stdout

"""Jobs over history."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from consumers.replay.through import Through, ThroughBars, ThroughChanges, ThroughSnapshots
from jobs.bars import Bars
from jobs.changes import Changes
from jobs.snapshots import Snapshots
from jobs.thresholds import parse_overrides
from schemas import Tick, cloudevents, encode
from schemas.topics import TICKS

NINE_THIRTY = 1_795_138_200_000
Row = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]


def ticks(count: int) -> list[Tick]:
    rng = random.Random(7)
    made = [
        Tick(
            code=rng.choice(("600519", "688001", "300750")), exchange="SSE", price=rng.randrange(900, 930) / 100,
            time=NINE_THIRTY + n, received=(NINE_THIRTY + n) * 1000, source="line", run=1, n=n + 1, volume=100,
        )
        for n in range(count)
    ]  # fmt: skip
    return [*made[:50], *made[40:50], *made[50:]]  # ten of them were sent again


def chunks(all_ticks: list[Tick], sizes: list[int]) -> list[Chunk]:
    made, at = [], 0
    for size in [*sizes, len(all_ticks)]:
        part = all_ticks[at : at + size]
        chunk = Chunk(TICKS, 3, at)
        chunk.offsets = list(range(at, at + len(part)))
        chunk.end = at = at + len(part)
        chunk.values = [encode(tick) for tick in part]
        chunk.keys = [tick.code.encode() for tick in part]
        chunk.timestamps = [tick.received // 1000 for tick in part]
        made.append(chunk)
    return made


def rows(job: Through, cut: list[Chunk]) -> list[Row]:
    out = [job.apply(chunk) for chunk in cut]
    for made, chunk in zip(out, cut, strict=True):
        assert (made.start, made.end) == (chunk.start, chunk.end)
    tail = job.finish(3)
    return [
        (offset, timestamp, key, value, tuple(headers))
        for made in ([*out, tail] if tail else out)
        for offset, timestamp, key, value, headers in zip(
            made.offsets, made.timestamps, made.keys, made.values, made.headers, strict=True
        )
    ]


@given(st.lists(st.integers(1, 90), max_size=8))
def test_changes_are_those_of_the_pipeline_however_the_ticks_are_cut(sizes: list[int]) -> None:
    """The same bytes, headers and origins as the live job makes of one chunk; a tick sent again counts once."""
    thresholds = parse_overrides("0.05", "board:STAR=2ticks")
    (whole,) = chunks(ticks(300), [])
    expected, _ = Changes(thresholds).apply({}, whole)
    job = ThroughChanges(thresholds, TICKS)
    assert rows(job, chunks(ticks(300), sizes)) == [
        (c.origin.offset, c.received // 1000, c.code.encode(), encode(c), tuple(cloudevents.headers(c)))
        for c in expected
    ]
    assert len(expected) > 20
    assert job.repeated == 10


@given(st.lists(st.integers(1, 90), max_size=8))
def test_snapshots_are_the_last_of_each_code(sizes: list[int]) -> None:
    """They come when the range is through, in the order of their last ticks."""
    (whole,) = chunks(ticks(300), [])
    state: dict[str, object] = {}
    Snapshots().apply(state, whole)  # type: ignore[arg-type]
    found = rows(ThroughSnapshots(), chunks(ticks(300), sizes))
    assert {key: value for _, _, key, value, _ in found} == {
        code.encode(): encode(row.record())  # type: ignore[attr-defined]
        for code, row in state.items()
    }
    assert [row[0] for row in found] == sorted(row[0] for row in found)


def test_another_threshold_gives_other_changes() -> None:
    """Which is what reprocessing is for."""
    few = rows(ThroughChanges(parse_overrides("0.15", ""), TICKS), chunks(ticks(300), []))
    many = rows(ThroughChanges(parse_overrides("0.01", ""), TICKS), chunks(ticks(300), []))
    assert 0 < len(few) < len(many)


@given(st.lists(st.integers(1, 90), max_size=8))
def test_bars_are_those_of_the_pipeline_however_the_ticks_are_cut(sizes: list[int]) -> None:
    """Where market time closes them; what is open at the end of the range comes with it."""
    spread = [msgspec.structs.replace(tick, time=NINE_THIRTY + tick.n * 700) for tick in ticks(300)]
    (whole,) = chunks(spread, [])
    live = Bars()
    made, _ = live.apply({}, whole)
    left = live.finish(3)
    job = ThroughBars()
    found = rows(job, chunks(spread, sizes))
    assert [row[3] for row in found] == [encode(one.bar) for one in [*made, *left]]
    assert [row[0] for row in found] == [*(one.offset for one in made), *[whole.end - 1] * len(left)]
    assert len(made) >= 6
    assert len(left) == 3
    assert job.repeated == 10

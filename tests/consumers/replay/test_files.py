"""Replays into files and lines, from a real log."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest

from broker.chunk import Chunk
from consumers.replay.bounds import Edge, ExchangeTime, Offsets, Received
from consumers.replay.merge import Batch
from consumers.replay.outputs.arrays import TYPES, arrow
from consumers.replay.outputs.columns import Columns, Kind
from consumers.replay.outputs.files import WholeFile
from consumers.replay.outputs.lines import Lines, Stream
from consumers.replay.outputs.tables import Table
from consumers.replay.pace import Pace
from consumers.replay.through import ThroughChanges
from jobs.thresholds import parse_overrides
from market.codes import Board, instrument
from schemas import DeadLetter, Level, RecordError, UsageError, dead_letters, decode, encode
from tests.consumers.replay.conftest import NINE_THIRTY, Play, Recorded, Written


async def lines(play: Play, recorded: Recorded, **options: object) -> list[bytes]:
    """What a replay writes as JSON lines."""
    stream = io.BytesIO()
    await play(recorded.request(**options), Lines(Stream(stream), "tick", "json"))
    return stream.getvalue().splitlines()


def values(ticks: list[Written]) -> list[bytes]:
    return [encode(one.tick) for one in ticks]


async def test_json_lines_are_the_records_byte_for_byte_in_order(
    recorded: Recorded, play: Play, said: list[str]
) -> None:
    """And the user hears where they came from."""
    assert await lines(play, recorded) == values(list(recorded.ticks))
    assert said == ["900 offsets from the log"]


async def test_bounds_codes_and_boards_cut_the_range(recorded: Recorded, play: Play) -> None:
    """Offsets, exchange times and receive times, from and to; the end is not in it."""
    ticks, noon = list(recorded.ticks), NINE_THIRTY + 1_500
    cases: list[tuple[dict[str, Any], list[Written]]] = [
        ({"start": Offsets(every=20), "end": Offsets(every=120)}, [t for t in ticks if 20 <= t.offset < 120]),
        ({"start": Offsets(by_partition={3: 5})}, [t for t in ticks if t.partition == 3 and t.offset >= 5]),
        ({"start": ExchangeTime(noon)}, [t for t in ticks if t.tick.time >= noon]),
        ({"end": ExchangeTime(noon), "lateness": 10_000}, [t for t in ticks if t.tick.time < noon]),
        (
            {"start": Received(noon), "end": Received(noon + 50)},
            [t for t in ticks if noon <= t.tick.time + 7 < noon + 50],
        ),
        ({"codes": frozenset({b"600519"})}, [t for t in ticks if t.tick.code == "600519"]),
        ({"boards": frozenset({Board.STAR})}, [t for t in ticks if instrument(t.tick.code).board is Board.STAR]),
        ({"end": Edge.EARLIEST}, []),
    ]
    for options, expected in cases:
        assert await lines(play, recorded, **options) == values(expected), options
        assert len(expected) < len(ticks)
        assert expected or options == {"end": Edge.EARLIEST}


async def test_csv_has_a_column_a_field_and_the_place(recorded: Recorded, play: Play, tmp_path: Path) -> None:
    """As exact as the records; what a tick does not carry is empty."""
    path = tmp_path / "ticks.csv"
    await play(recorded.request(), Lines(WholeFile(path), "tick", "csv"))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(recorded.ticks)
    for row, one in zip(rows, recorded.ticks, strict=True):
        fields = json.loads(encode(one.tick))
        place = (recorded.topic, str(one.partition), str(one.offset), str(one.tick.received // 1000))
        assert (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"], row["kafka_timestamp"]) == place
        for name, value in fields.items():
            text = json.dumps(value, separators=(",", ":")) if isinstance(value, list) else str(value)
            assert row[name] == ("" if value is None else text)
        assert len(row) == len(fields) + 4


def _levels(side: Sequence[Level] | None) -> list[dict[str, float]] | None:
    return None if side is None else [{"price": level.price, "volume": level.volume} for level in side]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
async def test_tables_hold_every_record_with_its_types(
    recorded: Recorded, play: Play, tmp_path: Path, form: Any
) -> None:
    """Written twice, the file is the same to the byte; Polars reads it as it is."""
    paths = [tmp_path / f"{name}.{form}" for name in ("once", "twice")]
    for path in paths:
        await play(recorded.request(), Table(WholeFile(path), "tick", form))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    frame = pl.read_parquet(paths[0]) if form == "parquet" else pl.read_ipc(paths[0])
    expected = [
        msgspec.structs.asdict(one.tick)
        | {side: _levels(getattr(one.tick, side)) for side in ("bids", "asks")}
        | {"kafka_topic": recorded.topic, "kafka_partition": one.partition, "kafka_offset": one.offset}
        | {"kafka_timestamp": one.tick.received // 1000}
        for one in recorded.ticks
    ]
    assert frame.to_dicts() == expected
    assert frame.schema["price"] == frame.schema["volume"] == pl.Float64
    assert frame.schema["n"] == frame.schema["received"] == pl.Int64


async def test_reprocessing_twice_gives_the_same_bytes(recorded: Recorded, play: Play, tmp_path: Path) -> None:
    """What the changes topic would have been, whatever the sizes of the fetches."""
    written = []
    for name in ("once", "twice"):
        path = tmp_path / name
        job = ThroughChanges(parse_overrides("0.2", ""), recorded.topic)
        await play(recorded.request(), Lines(WholeFile(path), job.kind, "json"), job)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    changes = [json.loads(line) for line in written[0].splitlines()]
    assert 20 < len(changes) < 900
    for change in changes:
        assert change["previous"] is None or abs(change["change"]) > 0.2
    path = tmp_path / "changes.csv"
    job = ThroughChanges(parse_overrides("0.2", ""), recorded.topic)
    await play(recorded.request(), Lines(WholeFile(path), job.kind, "csv"), job)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["code"], int(row["origin_offset"])) for row in rows] == [
        (change["code"], change["origin"]["offset"]) for change in changes
    ]


async def test_a_file_that_is_not_complete_is_not_there(recorded: Recorded, play: Play, tmp_path: Path) -> None:
    """What a replay that was ended had written is removed; a file that exists is not touched unless asked for."""
    path = tmp_path / "ticks.jsonl"
    running = asyncio.ensure_future(play(recorded.request(pace=Pace(rate=1.0)), Lines(WholeFile(path), "tick", "json")))
    part = tmp_path / "ticks.jsonl.part"
    async with asyncio.timeout(20):
        while not part.exists():  # noqa: ASYNC110 - a file makes no event
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not part.exists()
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(UsageError, match="--overwrite"):
        WholeFile(path)
    await play(recorded.request(), Lines(WholeFile(path, overwrite=True), "tick", "json"))
    assert path.read_bytes().splitlines() == values(list(recorded.ticks))
    with pytest.raises(UsageError, match="no folder"):
        WholeFile(tmp_path / "nowhere" / "ticks.csv")


def batch(*values: bytes | None, headers: Any = ()) -> Batch:
    """Records of partition 1, keyed k."""
    chunk = Chunk("topic", 1, 0)
    chunk.values = list(values)
    chunk.offsets = list(range(len(values)))
    chunk.timestamps = [5] * len(values)
    chunk.keys = [b"k"] * len(values)
    chunk.headers = list(headers)
    return Batch.of(chunk, [5] * len(values))


async def written(kind: str, form: Any, records: Batch) -> tuple[list[bytes], int]:
    stream = io.BytesIO()
    output = Lines(Stream(stream), kind, form)
    await output.open([1])
    await output.write(records)
    await output.close(complete=True)
    return stream.getvalue().splitlines(), output.unreadable


async def test_a_line_is_always_one_line_of_json() -> None:
    """A deleted key, a value with line breaks, and one that is not JSON at all."""
    got, _ = await written("snapshot", "json", batch(b'{"a":1}', None, b'{\n"a": 2}', b"no\njson \xff", b""))
    assert [json.loads(line) for line in got] == [
        {"a": 1},
        {"key": "k", "value": None},
        {"a": 2},
        {"key": "k", "value": "no\njson \ufffd"},
        {"key": "k", "value": ""},
    ]


async def test_a_dead_letter_keeps_its_reason() -> None:
    """As JSON with the payload as text; as CSV in columns. One without its headers is left out of the columns."""
    letter = DeadLetter(payload=b"\xff{", reason="not JSON", part="frame", source="line", run=1, received=2)
    value, headers = dead_letters.to_kafka(letter)
    records = batch(value, b"x", headers=[headers, []])
    got, _ = await written("dead-letter", "json", records)
    first, second = (json.loads(line) for line in got)
    assert (first["reason"], first["payload"], first["run"]) == ("not JSON", "\ufffd{", 1)
    assert second == {"payload": "x"}
    rows, unreadable = await written("dead-letter", "csv", records)
    assert rows[0].startswith(b"payload,reason,part,source,run,received,kafka_topic")
    assert rows[1] == "\ufffd{,not JSON,frame,line,1,2,topic,1,0,5".encode()
    assert (len(rows), unreadable) == (2, 1)


async def test_records_of_no_known_kind_are_keys_and_values() -> None:
    """A topic that is not declared can be written as it is; a record that is none of its kind is counted."""
    rows, _ = await written("", "csv", batch(b'{"a":1}', None))
    assert rows[1:] == [b'k,"{""a"":1}",topic,1,0,5', b"k,,topic,1,1,5"]
    rows, unreadable = await written("feed-event", "csv", batch(b"{}"))
    assert (len(rows), unreadable) == (1, 1)


def test_every_kind_of_record_has_columns_for_its_fields() -> None:
    """Origins as two columns, lists as JSON text."""
    assert list(Columns("price-change").kinds)[-8:] == [
        "origin_partition", "origin_offset", "cause", "quality",
        "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp",
    ]  # fmt: skip
    kinds = Columns("snapshot").kinds
    assert (kinds["lines"], kinds["volume"], kinds["ticks"], kinds["session"]) == ("json", "real", "whole", "text")
    assert Columns("feed-event").kinds["codes"] == "json"


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("text", ["a", None, "", "上海", "b" * 300] * 9),
        ("text", ["plain", "text"]),
        ("json", [None, "{}"]),
        ("whole", [1, None, -(2**63), 2**63 - 1, 0]),
        ("whole", [1, 2, 3]),
        ("real", [1.5, None, 0.0, 100, -3.25]),
        ("bytes", [b"\xff", None, b"", b"abc"]),
        ("text", [None, None]),
        ("real", []),
    ],
)
def test_arrays_made_of_buffers_are_those_that_arrow_makes(kind: Kind, column: list[Any]) -> None:
    """For every kind, with and without nulls."""
    made = arrow(column, kind)
    made.validate(full=True)
    assert made.equals(pa.array(column, TYPES[kind]))


@pytest.mark.parametrize(
    "column",
    [
        [None, [], [Level(10.0, 100), Level(9.99, 0.5)], None, [Level(1.0, 10**15)]],
        [[Level(10.0, 100)], [Level(9.5, 1), Level(9.4, 2)]],
        [None, None],
        [],
        [[], []],
    ],
)
def test_sides_of_books_are_lists(column: list[Any]) -> None:
    """As Arrow makes them of the same levels; none is not an empty one."""
    made = arrow(column, "levels")
    made.validate(full=True)
    assert made.equals(pa.array([_levels(side) for side in column], TYPES["levels"]))


async def test_a_tick_that_is_none_is_left_out_of_columns_and_kept_in_lines(
    recorded: Recorded, play: Play, tmp_path: Path
) -> None:
    """The contract's own reader says which is one."""
    from broker.publisher import Publisher

    publisher = Publisher(recorded.bootstrap, client_id="test")
    await publisher.start(recorded.topic)
    publisher.queue(recorded.topic, 0).add(b"600519", b'{"code":"600519"}', NINE_THIRTY)
    await publisher.stop()
    got = await lines(play, recorded)
    assert len(got) == 901
    with pytest.raises(RecordError):
        [decode(type(recorded.ticks[0].tick), line) for line in got]
    summary = await play(recorded.request(), Table(WholeFile(tmp_path / "t.parquet"), "tick", "parquet"))
    assert summary.unreadable == 1
    assert pl.read_parquet(tmp_path / "t.parquet").height == 900

"""Whatever bytes a topic holds, reading them gives a record within the contract's bounds, or the documented refusal."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from schemas import DeadLetter, RecordError, Tick, bounds, decode, decode_each, encode, usable
from schemas.dead_letters import from_kafka, to_kafka
from schemas.json_schema import KINDS, json_schema
from schemas.usable import read_ticks, reason, too_deep
from tests.schemas.foreign import EVERY_KIND, foreign, nested

NOW = 1_796_002_200_000
VALIDATORS: dict[str, Any] = {kind: jsonschema.Draft7Validator(json_schema(kind)) for kind in EVERY_KIND}


def value(**fields: Any) -> bytes:
    """A tick's JSON with some fields of others."""
    tick = {"code": "600519", "exchange": "SSE", "price": 10.0, "time": NOW, "received": NOW * 1000, "source": "a"}
    return json.dumps(tick | {"run": 1, "n": 1} | fields).encode()


@pytest.mark.parametrize("kind", EVERY_KIND)
@given(st.data())
def test_any_bytes_are_a_record_or_the_documented_refusal(kind: str, data: st.DataObject) -> None:
    """For every kind: what is taken is within the schema, and its own JSON is taken again."""
    value = data.draw(foreign(kind))
    try:
        record = decode(KINDS[kind], value)
    except RecordError:
        return
    VALIDATORS[kind].validate(json.loads(encode(record)))
    assert decode(KINDS[kind], encode(record)) == record


@pytest.mark.parametrize("kind", EVERY_KIND)
@given(st.data())
def test_many_are_read_as_one_by_one(kind: str, data: st.DataObject) -> None:
    """A value that is not a record is ``None``, and costs none of the others."""
    values = data.draw(st.lists(st.none() | foreign(kind), max_size=6))
    expected: list[Any] = []
    for one in values:
        try:
            expected.append(decode(KINDS[kind], one))
        except RecordError:
            expected.append(None)
    assert decode_each(KINDS[kind], values, [-1] * len(values)) == expected


@given(st.lists(st.none() | foreign("tick"), max_size=8))
def test_a_chunk_names_each_value_that_is_no_usable_tick(values: list[bytes | None]) -> None:
    """Its place among the others and the reason; the rest are ticks."""
    chunk = Chunk("ashare.ticks.v1", 0, 0)
    chunk.values, chunk.timestamps, chunk.offsets = values, [NOW] * len(values), list(range(len(values)))
    assert [index for index, _ in chunk.bad] == [index for index, tick in enumerate(chunk.ticks) if tick is None]
    assert all(why for _, why in chunk.bad)


@given(
    st.binary(), st.lists(st.tuples(st.text(max_size=9) | st.sampled_from(["run", "part"]), st.binary()), max_size=7)
)
def test_any_headers_are_a_dead_letter_or_the_documented_refusal(
    payload: bytes, headers: list[tuple[str, bytes]]
) -> None:
    """Its payload is whatever it is."""
    with contextlib.suppress(RecordError):
        assert from_kafka(payload, headers).payload == payload


def test_a_dead_letter_of_a_long_reason_can_be_read() -> None:
    """It is cut where it is written: a letter that nobody can read would be lost."""
    letter = DeadLetter(b"x", "é" * 9_999, "frame", "s" * 300, 1, 2)
    again = from_kafka(*to_kafka(letter))
    assert len(again.reason) == bounds.MAX_TEXT
    assert again.source == "s" * bounds.MAX_SOURCE


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"run": NOW + bounds.RUN_AHEAD_MS + 1}, "run"),
        ({"run": 2**63 - 1}, "run"),
        ({"n": 2**53}, "n"),
        ({"received": (NOW + bounds.RECEIVED_AHEAD_MS) * 1000 + 1000}, "received"),
        ({"price": 1e305}, "price"),
        ({"turnover": 1e308}, "turnover"),
        ({"time": 253_402_300_800_000}, "time"),
        ({"time": NOW * 1000}, "time"),
        ({"extra": [[]] * 3 + [json.loads(nested(bounds.MAX_DEPTH))]}, "nested deeper than 32"),
        ({"extra": json.loads('{"a":' * 32 + "0" + "}" * 32)}, "nested deeper than 32"),
    ],
)
def test_what_is_no_usable_tick(fields: dict[str, Any], named: str) -> None:
    """The table of ``docs/decisions.md``: refused among good ones, and each field named."""
    values = [value(), value(**fields), value(n=2)]
    ticks, refused = read_ticks(values, [NOW] * 3)
    assert refused == [1]
    assert [tick is None for tick in ticks] == [False, True, False]
    assert named in reason(values[1], NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"run": NOW + bounds.RUN_AHEAD_MS},
        {"received": (NOW + bounds.RECEIVED_AHEAD_MS) * 1000},
        {"price": 1e9, "turnover": 1e18, "volume": 10**15},
        {"time": bounds.EARLIEST_MS},
        {"time": bounds.LATEST_MS},
        {"extra": json.loads(nested(bounds.MAX_DEPTH - 1))},
        {"extra": "[" * 99 + '"{' * 99},
        {"source": "s" * 255, "quality": "q" * 256},
    ],
)
def test_what_is_a_usable_tick_still(fields: dict[str, Any]) -> None:
    """Each bound itself is within."""
    assert read_ticks([value(**fields)], [NOW])[1] == []
    assert reason(value(**fields), NOW) == ""


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("levels", [33, 1_200, 100_000])
def test_nesting_is_refused_before_it_is_followed(opening: str, levels: int) -> None:
    """As many levels as end a parser that recurses: the same refusal, at the same depth, on every machine."""
    deep = value()[:-1] + b',"extra":' + opening.encode() * levels
    with pytest.raises(RecordError, match="nested deeper than 32 levels"):
        decode(Tick, deep)
    assert read_ticks([deep], [NOW])[1] == [0]


@given(
    st.recursive(st.text('[]{}"\\a', max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=30),
    st.integers(0, 40),
)
def test_depth_is_counted_as_json_counts_it(tree: Any, more: int) -> None:
    """Brackets within texts are not levels."""

    def depth(one: Any) -> int:
        return 1 + max(map(depth, one), default=0) if isinstance(one, list) else 0

    for _ in range(more):
        tree = [tree, "[" * 40]
    assert too_deep(json.dumps(tree).encode()) == (depth(tree) > bounds.MAX_DEPTH)


BOOK = [[10.0, 100]] * bounds.MAX_LEVELS
SHAPES = st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b'"a":', b"1,", b"[[1.0,2]]"])


@given(st.lists(st.tuples(st.booleans(), st.lists(SHAPES, max_size=90)), min_size=1, max_size=5))
def test_what_the_quick_look_lets_pass_is_not_too_deep(drawn: list[tuple[bool, list[bytes]]]) -> None:
    """Whatever lies in records that begin as objects, with a book or without: it errs on the safe side alone."""
    values = [(value(bids=BOOK, asks=BOOK) if book else value())[:-1] + b"".join(rest) for book, rest in drawn]
    if any(map(too_deep, values)):
        assert usable._any_nested(values)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2), st.booleans())
def test_depth_beside_a_book_is_seen(arrays: int, objects: int, others: int, book: bool) -> None:
    """Among good ticks with books, one nested too deep is refused, and no other."""
    extra = json.loads('{"a":' * objects + "[" * arrays + ("" if arrays else "0") + "]" * arrays + "}" * objects)
    deep = value(extra=extra, **({"bids": BOOK, "asks": BOOK} if book else {}))
    good = value(bids=BOOK, asks=BOOK)
    _, refused = read_ticks([good] * others + [deep] + [good] * others, [NOW] * (2 * others + 1))
    assert refused == ([others] if 1 + arrays + objects > bounds.MAX_DEPTH else [])


def test_a_full_book_is_read_at_once() -> None:
    """A tick with ten levels a side costs no second look."""
    full = value(bids=BOOK, asks=BOOK, day_open=10.0, day_high=10.5)
    assert not usable._any_nested([full, value()] * 300)
    ticks, refused = read_ticks([full], [NOW])
    assert refused == []
    assert ticks[0] is not None
    assert [tuple(map(float, level)) for level in json.loads(encode(ticks[0]))["bids"]] == [(10.0, 100.0)] * 10


@pytest.mark.parametrize(
    "data", [b"[" * 16 + b"[]," * 300_000, b'"\\' * 500_000, b'"' * 999_999, b"{" * 33 + b'"a' * 400_000, b"1" * 10**6]
)
def test_a_megabyte_is_refused_in_time(data: bytes) -> None:
    """Reading is linear: none of the shapes that make a parser try again and again."""
    started = time.perf_counter()
    with pytest.raises(RecordError):
        decode(Tick, data)
    assert time.perf_counter() - started < 5

"""Lists to Arrow arrays by their buffers. ``pyarrow.array`` would import pandas, 55 MB, to ask what a list is."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from consumers.replay.outputs.columns import Kind

TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "whole": pa.int64(),
    "real": pa.float64(),
    "bytes": pa.binary(),
    "levels": pa.list_(pa.struct([("price", pa.float64()), ("volume", pa.float64())])),
}
"""The Arrow type of a kind of column."""


def arrow(column: Sequence[Any], kind: Kind) -> pa.Array:
    """A column as an array; ``None`` is null."""
    count = len(column)
    nulls = column.count(None)
    if nulls == count:
        return pa.nulls(count, TYPES[kind])
    bitmap = _bitmap(column) if nulls else None
    if kind == "levels":
        return _sides(column, bitmap, nulls)
    buffers = _BUFFERS[kind](column, nulls)
    return pa.Array.from_buffers(TYPES[kind], count, [bitmap, *buffers], nulls)


def _sides(column: Sequence[Any], bitmap: pa.Buffer | None, nulls: int) -> pa.Array:
    """Sides of books."""
    levels = [level for side in column if side for level in side]
    numbers = ([level.price for level in levels], [level.volume for level in levels])
    fields = [pa.Array.from_buffers(TYPES["real"], len(levels), [None, *_real(some, 0)], 0) for some in numbers]
    kind = TYPES["levels"]
    pairs = pa.Array.from_buffers(kind.value_type, len(levels), [None], 0, children=fields)
    bounds = pa.py_buffer(array("i", accumulate((len(side or ()) for side in column), initial=0)))
    return pa.Array.from_buffers(kind, len(column), [bitmap, bounds], nulls, children=[pairs])


def _bitmap(column: Sequence[Any]) -> pa.Buffer:
    """Which entries are there: a bit each, the first the lowest of the first byte."""
    bits = int("".join("0" if entry is None else "1" for entry in reversed(column)), 2)
    return pa.py_buffer(bits.to_bytes((len(column) + 7) // 8, "little"))


def _whole(column: Sequence[Any], nulls: int) -> list[pa.Buffer]:
    return [pa.py_buffer(array("q", [entry or 0 for entry in column] if nulls else column))]


def _real(column: Sequence[Any], nulls: int) -> list[pa.Buffer]:
    return [pa.py_buffer(array("d", [entry or 0.0 for entry in column] if nulls else column))]


def _text(column: Sequence[Any], nulls: int) -> list[pa.Buffer]:
    joined = "".join([entry or "" for entry in column] if nulls else column)
    if joined.isascii():
        return _laid_out(column, nulls, joined.encode())
    return _bytes([(entry or "").encode() for entry in column], 0)


def _bytes(column: Sequence[Any], nulls: int) -> list[pa.Buffer]:
    return _laid_out(column, nulls, b"".join([entry or b"" for entry in column] if nulls else column))


def _laid_out(column: Sequence[Any], nulls: int, data: bytes) -> list[pa.Buffer]:
    lengths = (0 if entry is None else len(entry) for entry in column) if nulls else map(len, column)
    return [pa.py_buffer(array("i", accumulate(lengths, initial=0))), pa.py_buffer(data)]


_BUFFERS: dict[Kind, Callable[[Sequence[Any], int], list[pa.Buffer]]] = {
    "text": _text,
    "json": _text,
    "whole": _whole,
    "real": _real,
    "bytes": _bytes,
}

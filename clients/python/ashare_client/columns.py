"""A bounded range as columns: for Polars, pandas and Arrow, with types that do not depend on what came.

One column per field of the record, an `origin` as `origin_partition` and `origin_offset` (a `gap` likewise, empty where
there is none), then the place in Kafka: `kafka_partition`, `kafka_offset`, `kafka_timestamp`. Times are timestamps in
UTC, in the unit that the record has; numbers of shares and yuan are floating point; `run`, being a name, stays a whole
number.

A tick's `bids` and `asks` are lists of `{price, volume}`, best first: in Polars, the best bid is
`pl.col("bids").list.first().struct.field("price")`. With `levels=5` they are plain numbers instead, as pandas likes
them: `bid1`, `bid1_volume` … `bid5_volume`, `ask1` … `ask5_volume`, empty where a side has no such level.

Rows are in the order in which they were received, whichever partition they lie in: by `kafka_timestamp`, within its
millisecond by the µs of `received` (of a feed event: `at`). A partition's rows are in the order of their offsets even
where its times fall, as they do when a producer's clock is set back: such a row counts as received when the one before
it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from ashare_client.batch import Batch
from ashare_client.errors import ArgumentError
from ashare_client.records import Level, LineMark, Record

Kind = Literal["text", "texts", "float", "integer", "ms", "us", "marks", "levels"]
MOST_LEVELS = 10
"""Of one side of a book."""

_PLACE: dict[str, Kind] = {"kafka_partition": "integer", "kafka_offset": "integer", "kafka_timestamp": "ms"}
_NAMES = frozenset({"run"})


def schema(record: type[Record]) -> dict[str, Kind]:
    """Column names and kinds of a record type."""
    kinds: dict[str, Kind] = {}
    for field in msgspec.inspect.type_info(record).fields:  # type: ignore[attr-defined]
        kind = _kind(field.name, field.type)
        if kind == "nested":
            kinds |= {f"{field.name}_{name}": inner for name, inner in schema(_struct(field.type)).items()}
        else:
            kinds[field.name] = kind
    return kinds


def _struct(kind: Any) -> Any:
    """The record type of a nested field, which may be empty."""
    info = msgspec.inspect
    kind = kind.type if isinstance(kind, info.Metadata) else kind
    if isinstance(kind, info.UnionType):
        return next(_struct(one) for one in kind.types if not isinstance(one, info.NoneType))
    return kind.cls


def _kind(name: str, kind: Any) -> Any:
    info = msgspec.inspect
    unit = kind.extra["unit"] if isinstance(kind, info.Metadata) and kind.extra else None
    kind = kind.type if isinstance(kind, info.Metadata) else kind
    if isinstance(kind, info.UnionType):
        kinds = {_kind(name, one) for one in kind.types if not isinstance(one, info.NoneType)}
        return "texts" if "texts" in kinds else "float" if "float" in kinds else kinds.pop()
    if unit and name not in _NAMES:
        return unit
    if isinstance(kind, info.ListType):
        if not isinstance(kind.item_type, info.StructType):
            return "texts"
        return "levels" if kind.item_type.cls is Level else "marks"
    if isinstance(kind, info.StructType):
        return "nested"
    plain: dict[type, Kind] = {info.StrType: "text", info.FloatType: "float", info.IntType: "integer"}
    return plain[type(kind)]


class Columns:
    """Records gathered column by column."""

    def __init__(self, record: type[Record], levels: int | None = None) -> None:
        """No rows yet.

        Args:
            levels: as many of a book's levels have columns of their own, and its sides are no lists.

        Raises:
            ArgumentError: a book has never so many, or the records have none.
        """
        self._gathered = schema(record) | _PLACE
        self.kinds = self._gathered if levels is None else _flat(self._gathered, levels)
        self._levels = levels
        self._optional = _optional(record)
        self.rows = 0
        self._micros = next((name for name in ("received", "at") if name in self.kinds), "")
        self._getters = [(name, _getter(name, record)) for name in schema(record)]
        self._parts: dict[int, dict[str, list[Any]]] = {}

    def add(self, batch: Batch[Any]) -> None:
        """Put a batch's records at the end of their partitions."""
        self.rows += len(batch)
        start = 0
        for partition, run in itertools.groupby(batch.partitions):
            end = start + sum(1 for _ in run)
            part = self._parts.setdefault(partition, {name: [] for name in self._gathered})
            records = batch.records[start:end]
            for name, get in self._getters:
                part[name].extend(map(get, records))
            part["kafka_partition"].extend(batch.partitions[start:end])
            part["kafka_offset"].extend(batch.offsets[start:end])
            part["kafka_timestamp"].extend(batch.timestamps[start:end])
            start = end

    def values(self) -> dict[str, list[Any]]:
        """All columns, in the order in which rows were received; can be asked for once."""
        parts = [part for _, part in sorted(self._parts.items())]
        self._parts = {}
        received = [at for part in parts for at in _times(part["kafka_timestamp"], part.get(self._micros))]
        # Stable: rows of one time stay in the order of partitions and offsets.
        order = sorted(range(len(received)), key=received.__getitem__) if len(parts) > 1 else None
        columns: dict[str, list[Any]] = {}
        for name, kind in self._gathered.items():
            column: list[Any] = list(itertools.chain.from_iterable(part.pop(name) for part in parts))
            if order is not None:
                column = [column[row] for row in order]
            if kind == "levels" and self._levels is not None:
                columns |= _numbers(name, column, self._levels)
                continue
            columns[name] = [_shaped(kind, value) for value in column] if kind in _SHAPES else column
        return columns

    def polars(self) -> Any:
        """A `polars.DataFrame`."""
        pl = _imported("polars")
        mark = pl.Struct({"source": pl.String, "run": pl.Int64, "n": pl.Int64, "received": pl.Int64})
        types = {
            "text": pl.String,
            "texts": pl.List(pl.String),
            "float": pl.Float64,
            "integer": pl.Int64,
            "ms": pl.Datetime("ms", "UTC"),
            "us": pl.Datetime("us", "UTC"),
            "marks": pl.List(mark),
            "levels": pl.List(pl.Struct({"price": pl.Float64, "volume": pl.Float64})),
        }
        numbers = {"ms", "us"}
        columns = []
        for name, values in self.values().items():
            kind = self.kinds[name]
            column = pl.Series(name, values, dtype=pl.Int64 if kind in numbers else types[kind], strict=True)
            if kind in numbers:
                column = column.cast(pl.Datetime(kind)).dt.replace_time_zone("UTC")
            columns.append(column)
        return pl.DataFrame(columns)

    def arrow(self) -> Any:
        """A `pyarrow.Table`."""
        pa = _imported("pyarrow", "arrow")
        numbers = ("run", "n", "received")
        mark = pa.struct([("source", pa.string()), *((name, pa.int64()) for name in numbers)])
        types = {
            "text": pa.string(),
            "texts": pa.list_(pa.string()),
            "float": pa.float64(),
            "integer": pa.int64(),
            "ms": pa.timestamp("ms", "UTC"),
            "us": pa.timestamp("us", "UTC"),
            "marks": pa.list_(mark),
            "levels": pa.list_(pa.struct([("price", pa.float64()), ("volume", pa.float64())])),
        }
        fields = pa.schema([(name, types[kind]) for name, kind in self.kinds.items()])
        return pa.table(self.values(), schema=fields)

    def pandas(self) -> Any:
        """A `pandas.DataFrame`: whole numbers that may be missing are `Int64`, texts pandas' own type for them."""
        pd = _imported("pandas")
        columns = {}
        for name, values in self.values().items():
            kind = self.kinds[name]
            if kind == "float":
                columns[name] = pd.Series(values, dtype="float64")
            elif kind == "integer":
                columns[name] = pd.Series(values, dtype="Int64" if name in self._optional else "int64")
            elif kind in {"ms", "us"}:
                whole = pd.Series(values, dtype="Int64")
                columns[name] = whole.astype(f"datetime64[{kind}]").dt.tz_localize("UTC")
            else:
                columns[name] = pd.Series(values, dtype="string" if kind == "text" else "object")
        return pd.DataFrame(columns)


def _times(timestamps: Sequence[int], micros: Sequence[int] | None) -> Iterator[int]:
    """When rows of one partition were received, µs since the epoch, never falling.

    Args:
        timestamps: ms since the epoch, as Kafka has them.
        micros: the records' own, µs since the epoch, of which what is below a millisecond is taken.
    """
    own = itertools.repeat(0) if micros is None else micros
    return itertools.accumulate((ms * 1000 + us % 1000 for ms, us in zip(timestamps, own, strict=False)), max)


_SHAPES = frozenset({"float", "texts", "marks", "levels"})


def _flat(kinds: dict[str, Kind], levels: int) -> dict[str, Kind]:
    """The columns with numbers in place of the sides of a book."""
    if not 1 <= levels <= MOST_LEVELS:
        raise ArgumentError(f"levels={levels!r}: a book has 1 to {MOST_LEVELS} levels a side")
    if "levels" not in kinds.values():
        raise ArgumentError(f"levels={levels!r}: these records have no book, ticks have")
    flat: dict[str, Kind] = {}
    for name, kind in kinds.items():
        flat |= dict.fromkeys(_names(name, levels), "float") if kind == "levels" else {name: kind}
    return flat


def _names(side: str, levels: int) -> list[str]:
    """`bid1`, `bid1_volume`, `bid2` …, of `bids`."""
    one = side.removesuffix("s")
    return [f"{one}{number}{what}" for number in range(1, levels + 1) for what in ("", "_volume")]


def _numbers(side: str, column: list[Any], levels: int) -> dict[str, list[Any]]:
    """A side of the book as columns of numbers."""
    numbers: list[list[Any]] = []
    for place in range(levels):
        some = [None if book is None or len(book) <= place else book[place] for book in column]
        numbers.append([None if level is None else level.price for level in some])
        numbers.append([None if level is None else float(level.volume) for level in some])
    return dict(zip(_names(side, levels), numbers, strict=True))


def _optional(record: type[Record]) -> frozenset[str]:
    """The columns that may be empty."""
    info = msgspec.inspect
    found: set[str] = set()
    for field in info.type_info(record).fields:  # type: ignore[attr-defined]
        may_lack = isinstance(field.type, info.UnionType) and info.NoneType() in field.type.types
        if _kind(field.name, field.type) == "nested":
            inner = _struct(field.type)
            names = schema(inner) if may_lack else _optional(inner)
            found |= {f"{field.name}_{name}" for name in names}
        elif may_lack:
            found.add(field.name)
    return frozenset(found)


def _shaped(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "float":
        return float(value)
    if kind == "texts":
        return [value] if isinstance(value, str) else value
    if kind == "levels":
        return [{"price": level.price, "volume": float(level.volume)} for level in value]
    return [
        {"source": mark.source, "run": mark.run, "n": mark.n, "received": mark.received}
        for mark in value
        if isinstance(mark, LineMark)
    ]


def _getter(name: str, record: type[Record]) -> Callable[[Any], Any]:
    if name in record.__struct_fields__:
        return lambda value: getattr(value, name)
    outer, _, inner = name.partition("_")
    return lambda value: getattr(getattr(value, outer), inner, None)


def _imported(library: str, extra: str = "") -> Any:
    try:
        return __import__(library)
    except ImportError as error:
        raise ArgumentError(f"{library} is not installed: install ashare-client[{extra or library}]") from error

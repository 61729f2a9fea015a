"""What an archive keeps of each kind of record: columns, made of the record types, and what tells a repeat. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from ashare_client.archive import BESIDE, FIELDS, Field, columns
from market.times import DAY_MS
from schemas import Bar, BareTick, Level, PriceChange, Record, Tick, UsageError
from schemas.topics import topics

_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "number": pa.float64(),
    "levels": pa.list_(pa.struct([("price", pa.float64()), ("volume", pa.float64())])),
}
HEADERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
PLACE = (
    pa.field("kafka_topic", pa.string()),
    pa.field("kafka_partition", pa.int64()),
    pa.field("kafka_offset", pa.int64()),
    pa.field("kafka_timestamp", pa.int64()),
    pa.field("kafka_repeated", pa.bool_()),
    pa.field("kafka_key", pa.binary()),
    pa.field("kafka_value", pa.binary()),
    pa.field("kafka_headers", HEADERS),
)
"""The columns behind the record's fields: where it came from, and what the fields alone don't say.

``kafka_repeated``: the partition has had the record before. ``kafka_value``: the JSON, only where it is not what the
columns give.
"""

Getter = Callable[[Any], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of record.

    Attributes:
        name: as ``topics.yaml`` says it.
        fields: in the order in which the pipeline writes them.
        about: of a record, what it is about.
        number: likewise, what only rises among those: a record whose does not is a repeat.
        beside: fields behind the others; a record that has none of them is written without.
        time: the field that says of which day it is, in ms since the epoch.
        received: of a record, when its tick was received; what was received long after another is no repeat of it.
    """

    name: str
    type: type[Record]
    fields: tuple[Field, ...]
    about: Getter
    number: Getter
    beside: tuple[Field, ...] = ()
    time: str = "time"
    received: Getter = attrgetter("received")

    @property
    def schema(self) -> pa.Schema:
        """The schema of a part, which may lack the columns of ``beside`` where all are null."""
        plain = [pa.field(name, _TYPES[kind]) for name, kind in columns(self.fields + self.beside)]
        metadata = {FIELDS: msgspec.json.encode(self.fields)}
        if self.beside:
            metadata[BESIDE] = msgspec.json.encode(self.beside)
        return pa.schema([*plain, *PLACE], metadata=metadata)

    def arrays(self, records: Sequence[Record | None]) -> list[pa.Array]:
        """The fields' columns; a record that could not be read is null in all of them."""
        whole = None not in records
        arrays = [_array(_values(records, path, whole=whole), _TYPES[kind]) for path, kind in _paths(self.fields)]
        return arrays + self._beside(records, whole=whole)

    def _beside(self, records: Sequence[Record | None], *, whole: bool) -> list[pa.Array]:
        paths = _paths(self.beside)
        if not paths:
            return []
        nothing = (None,) * len(paths)
        given = attrgetter(*(path for path, _ in paths))
        if all(record is None or given(record) == nothing for record in records):
            return [pa.nulls(len(records), _TYPES[kind]) for _, kind in paths]
        return [
            (_sides if kind == "levels" else _array)(_values(records, path, whole=whole), _TYPES[kind])
            for path, kind in paths
        ]

    def lean(self, table: pa.Table) -> pa.Table:
        """A table without the columns of ``beside`` where all of them are null: as if there were none."""
        names = [name for name, _ in columns(self.beside)]
        if not names or any(table[name].null_count < table.num_rows for name in names):
            return table
        kept = {name: value for name, value in table.schema.metadata.items() if name != BESIDE}
        return table.drop_columns(names).replace_schema_metadata(kept)


def kind_of(topic: str) -> Kind:
    """The kind of a topic's records.

    Raises:
        UsageError: it is none that is archived.
    """
    declared = topics().get(topic)
    kind = kinds().get(declared.record) if declared else None
    if kind is None:
        possible = ", ".join(name for name, one in topics().items() if one.record in kinds())
        raise UsageError(
            f"topic {topic!r} is not archived: {possible} are (ticks, price-changes and bars-1m for short)"
        )
    return kind


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds that can be archived, by name."""
    return {
        "tick": Kind(
            "tick",
            Tick,
            _fields(BareTick),
            attrgetter("code", "source"),
            attrgetter("run", "n"),
            _fields(Tick)[len(_fields(BareTick)) :],
        ),
        "price-change": Kind(
            "price-change",
            PriceChange,
            _fields(PriceChange),
            _of_change,
            _number_of_change,
        ),
        "bar": Kind("bar", Bar, _fields(Bar), _of_bar, _number_of_bar, time="start", received=_never),
    }


def _of_change(change: PriceChange) -> object:
    """What a change's number rises among: its tick's line; before changes carried their cause, its partition."""
    cause = change.cause
    return (change.code, change.origin.partition) if cause is None else (change.code, cause.source)


def _number_of_change(change: PriceChange) -> object:
    cause = change.cause
    return change.origin.offset if cause is None else (cause.run, cause.n)


def _of_bar(bar: Bar) -> object:
    """A minute of the day, whichever day: so there are not more with each."""
    return bar.code, bar.start % DAY_MS, bar.auction


def _number_of_bar(bar: Bar) -> object:
    return bar.start, bar.origin.offset, bar.revision


def _never(_: object) -> int:
    return 0


def _fields(record: type[msgspec.Struct]) -> tuple[Field, ...]:
    return tuple(_field(field.name, field.type) for field in msgspec.inspect.type_info(record).fields)  # type: ignore[attr-defined]


def _field(name: str, kind: Any) -> Field:
    info = msgspec.inspect
    parts = _alternatives(kind)
    found = {type(part) for part in parts} - {info.NoneType}
    if found == {info.ListType}:
        inner = next(part.item_type for part in parts if isinstance(part, info.ListType))
        assert inner == info.type_info(Level), f"{name}: a list of {inner} has no column"
        return Field(name, "levels")
    if found == {info.StructType}:
        inner = next(part for part in parts if isinstance(part, info.StructType))
        return Field(name, None, _fields(inner.cls))
    if found <= {info.StrType, info.LiteralType}:
        return Field(name, "text")
    if found == {info.IntType}:
        return Field(name, "integer")
    if found == {info.FloatType}:
        return Field(name, "real")
    assert found == {info.IntType, info.FloatType}, f"{name}: a field of {found} has no column"
    return Field(name, "number")


def _alternatives(kind: Any) -> list[Any]:
    """The types that a field can be of, without what is said about them."""
    info = msgspec.inspect
    if isinstance(kind, info.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, info.UnionType):
        return [one for part in kind.types for one in _alternatives(part)]
    return [kind]


def _paths(fields: Sequence[Field], prefix: str = "") -> list[tuple[str, str]]:
    """Where each column's value is in a record, and its kind, in the order of ``columns``."""
    found: list[tuple[str, str]] = []
    for field in fields:
        if field.kind is None:
            found += _paths(field.fields, f"{prefix}{field.name}.")
        else:
            found.append((prefix + field.name, field.kind))
    return found


def _values(records: Sequence[Record | None], path: str, *, whole: bool) -> list[Any]:
    get = attrgetter(path)
    outer = path.rpartition(".")[0]
    if outer:
        # An object that may be null has null columns; its JSON is kept beside them.
        of = attrgetter(outer)
        return [None if record is None or of(record) is None else get(record) for record in records]
    return list(map(get, records)) if whole else [None if record is None else get(record) for record in records]


def _sides(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Sides of books, which may be none."""
    bounds: list[int | None] = []
    prices: list[float] = []
    volumes: list[float] = []
    for side in values:
        bounds.append(None if side is None else len(prices))
        for level in side or ():
            prices.append(level.price)
            volumes.append(level.volume)
    bounds.append(len(prices))
    pairs = pa.StructArray.from_arrays(
        [pa.array(prices, pa.float64()), _array(volumes, pa.float64())], fields=list(kind.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pairs, type=kind)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid:
        # A whole number that no float holds: the nearest; the record keeps its JSON beside it.
        return pa.array([None if value is None else float(value) for value in values], kind)

"""Days of a topic that have left Kafka, as Parquet: what there is, and the records as they were, in offset order.

`ashare archive` writes them. `DIR/ticks/date=YYYY-MM-DD/bucket=NN/part-*.parquet` are the records of one Kafka
partition (the bucket) and one Shanghai day, a column per field: DuckDB, Polars and pandas read them as they are. A part
is a stretch of offsets, its rows sorted by code, time and offset. `DIR/manifests/TOPIC/YYYY-MM-DD.json` says which
parts belong to the archive and which offsets they hold; it is written last, so what it does not name does not count.
"""

from __future__ import annotations

import importlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from ashare_client.errors import ClientError

MANIFESTS = "manifests"
VERSION = 1
WINDOW = 8_192
"""Offsets that `Archive.read` has in memory at once: some 1 MB of ticks."""
_AT_ONCE = 4_096
"""Rows that are made into records at once: some 4 MB."""
FIELDS = b"ashare.fields"
"""The key of a part's own metadata under which it says of which fields, in which order, its records are made."""

BESIDE = b"ashare.fields.beside"
"""Likewise, of which fields behind those: a record that has none of them was written without. Readers of before these
came leave them out always."""

Kind = Literal["text", "integer", "real", "number", "levels"]


class ArchiveError(ClientError):
    """An archive that can't be read; the text names the file and what to do."""


class Span(NamedTuple):
    """Offsets from `start` to before `end`."""

    start: int
    end: int


class ArchivedRecord(NamedTuple):
    """A record as Kafka had it; `timestamp` in ms since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Field(msgspec.Struct, frozen=True, array_like=True):
    """A field of a record's JSON: a plain one, or an object with fields of its own, whose columns are `outer_inner`.

    A `number` is a whole one where it can be. `levels` are arrays of price and volume, a column of lists of structs.
    """

    name: str
    kind: Kind | None = None
    fields: tuple[Field, ...] = ()


class Part(msgspec.Struct, frozen=True):
    """One Parquet file, as its day's manifest has it.

    Attributes:
        file: path within the archive.
        spans: offsets that it stands for, rising; those without a record had none in the log either.
        timestamps: least and largest Kafka timestamp, ms since the epoch.
        bytes: size of the file.
        source: `log`, its records being those of the log byte for byte, or `store`, which keeps their fields.
    """

    file: str
    partition: int
    rows: int
    spans: list[Span]
    timestamps: tuple[int, int]
    bytes: int
    sha256: str
    source: Literal["log", "store"] = "log"

    @property
    def start(self) -> int:
        """The first offset."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """The offset behind the last."""
        return self.spans[-1].end


class Day(msgspec.Struct, frozen=True):
    """One day's manifest.

    Attributes:
        date: Shanghai date of the records' exchange time.
        closed: the day was over, and what was read reached back to before it: only a straggler can be missing.
        read: when the newest of it was read, ms since the epoch.
    """

    topic: str
    record: str
    date: str
    closed: bool
    read: int
    parts: list[Part]
    version: int = VERSION


class Archive:
    """An archive directory. Cheap to make; files are looked at when something is asked, so new days are found."""

    def __init__(self, directory: str | Path) -> None:
        """Nothing is read yet.

        Raises:
            ArchiveError: pyarrow is not installed.
        """
        _arrow()
        self.directory = Path(directory)
        self._known: dict[Path, tuple[tuple[int, int, int], Day]] = {}

    def topics(self) -> list[str]:
        """The topics that there is something of."""
        root = self.directory / MANIFESTS
        found = (path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else ()
        return [topic for topic in sorted(found) if self._paths(topic)]

    def days(self, topic: str) -> list[str]:
        """The days (YYYY-MM-DD) that there is something of, oldest first."""
        return [path.stem for path in self._paths(topic)]

    def manifests(self, topic: str) -> list[Day]:
        """What is known of each day, oldest first."""
        return [self._day(path) for path in self._paths(topic)]

    def spans(self, topic: str) -> dict[int, list[Span]]:
        """The offsets that are held, by partition: rising, neighbours merged, whatever day they are of."""
        found: dict[int, list[Span]] = {}
        for part in self._parts(topic):
            found.setdefault(part.partition, []).extend(part.spans)
        return {partition: merged(spans) for partition, spans in sorted(found.items())}

    def at(self, topic: str, ts_ms: int) -> dict[int, int]:
        """The first offset of each partition with a Kafka timestamp at or after a time; none, no entry."""
        found: dict[int, int] = {}
        for part in sorted(self._parts(topic), key=attrgetter("partition", "start")):
            best = found.get(part.partition)
            if part.timestamps[1] < ts_ms or (best is not None and best < part.start):
                continue
            offset = self._first(part, ts_ms)
            if offset is not None:
                found[part.partition] = offset if best is None else min(best, offset)
        return found

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Any]:
        """What is held of a range of offsets, in their order, as `pyarrow.RecordBatch`es of at most `WINDOW` rows.

        A batch has the columns of the record's fields and `kafka_offset`, `kafka_timestamp`, `kafka_key`,
        `kafka_value`, `kafka_headers`; `records` makes records of it. Memory: one batch, and one row group of a part.

        Raises:
            ArchiveError: a part is missing or damaged.
        """
        parts = [p for p in self._parts(topic) if p.partition == partition and p.start < end and p.end > start]
        parts.sort(key=attrgetter("start"))
        opened = _Opened(self.directory)
        for low, high, some in _windows(parts, start, end):
            files = [opened.file(part) for part in some]
            if len({file.fields for file in files}) > 1:
                # Made by programs that knew different fields: a row is rebuilt from its own part's.
                for piece, file in _pieces(some, files, low, high):
                    yield from _sorted([file.rows(*piece)])
            else:
                yield from _sorted([file.rows(low, high) for file in files])

    def records(self, topic: str, batch: Any) -> Iterator[ArchivedRecord]:
        """The records of a batch of `read`, or of a slice of one; a value is the JSON that the log had, byte for byte.

        Of a part that was made from a store, it is the JSON that the pipeline writes of the same fields.
        """
        del topic  # what a batch is made of is said by its part, so that fields which are added later don't matter
        for start in range(0, batch.num_rows, _AT_ONCE):
            some = batch.slice(start, _AT_ONCE)
            column = some.column
            yield from map(
                ArchivedRecord._make,
                zip(
                    column("kafka_offset").to_pylist(),
                    column("kafka_timestamp").to_pylist(),
                    listed(column("kafka_key")),
                    values(some),
                    _headers(column("kafka_headers")),
                    strict=True,
                ),
            )

    def _paths(self, topic: str) -> list[Path]:
        root = self.directory / MANIFESTS / topic
        return sorted(root.glob("[0-9]*-[0-9]*-[0-9]*.json")) if root.is_dir() else []

    def _day(self, path: Path) -> Day:
        try:
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(path)
            if known is None or known[0] != version:
                known = self._known[path] = version, load(path)
        except OSError as error:
            raise ArchiveError(f"{path} can't be read: {error.strerror}") from error
        return known[1]

    def _parts(self, topic: str) -> list[Part]:
        return [part for day in self.manifests(topic) for part in day.parts]

    def _first(self, part: Part, ts_ms: int) -> int | None:
        _, pc, _ = _arrow()
        file = _File(self.directory, part)
        best: int | None = None
        for table in file.groups(["kafka_offset", "kafka_timestamp"]):
            late = table.filter(pc.greater_equal(table["kafka_timestamp"], ts_ms))
            if late.num_rows:
                offset = pc.min(late["kafka_offset"]).as_py()
                best = offset if best is None else min(best, offset)
        return best


def load(path: Path) -> Day:
    """A manifest.

    Raises:
        OSError: it can't be read.
        ArchiveError: it is none, or of a later version.
    """
    try:
        day = msgspec.json.decode(path.read_bytes(), type=Day)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path} is not a manifest of an archive: {error}") from error
    if day.version > VERSION:
        raise ArchiveError(f"{path} has version {day.version}, this program reads {VERSION}: install a newer one")
    return day


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, neighbours and overlapping ones joined."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def values(batch: Any) -> list[bytes | None]:
    """The JSON of each row: as kept, where `kafka_value` has it, else made of the columns again."""
    kept = batch.column("kafka_value")
    rows = batch.num_rows
    if kept.null_count == 0:
        found: list[bytes | None] = kept.to_pylist()
        return found
    metadata = batch.schema.metadata
    fields = metadata[FIELDS]
    make = _maker(fields, metadata.get(BESIDE, b"[]"))
    made: list[bytes | None] = list(_lines(make(batch)))
    # A record without a value has no first field either, nor has one that was kept as it is.
    first = batch.column(_decoded(fields)[0].name)
    if first.null_count:
        made = [None if text is None else value for text, value in zip(listed(first), made, strict=True)]
    if kept.null_count < rows:
        made = [value if raw is None else raw for raw, value in zip(kept.to_pylist(), made, strict=True)]
    return made


def listed(column: Any) -> list[Any]:
    """A column's values; texts that are equal are one object."""
    if hasattr(column, "dictionary"):
        texts = column.dictionary.to_pylist()
        return [None if index is None else texts[index] for index in column.indices.to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


def _headers(column: Any) -> Iterable[Sequence[tuple[str, bytes]]]:
    if column.null_count == len(column):
        return [()] * len(column)
    bounds = column.offsets.to_pylist()
    first, pairs = bounds[0], column.values.slice(bounds[0], bounds[-1] - bounds[0])
    flat = list(zip(listed(pairs.field("name")), pairs.field("value").to_pylist(), strict=True))
    return [tuple(flat[low - first : high - first]) for low, high in pairwise(bounds)]


_encoder = msgspec.json.Encoder()


def _lines(rows: list[Any]) -> list[bytes]:
    lines = _encoder.encode_lines(rows).split(b"\n")
    lines.pop()
    return lines


@lru_cache(64)
def _decoded(fields: bytes) -> tuple[Field, ...]:
    return msgspec.json.decode(fields, type=tuple[Field, ...])


@lru_cache(64)
def _maker(fields: bytes, beside: bytes) -> Callable[[Any], list[Any]]:
    """What makes the rows of a batch into objects that encode as its records did."""
    plain = _objects(_decoded(fields), "")
    names = [name for name, _ in columns(_decoded(beside))]
    if not names:
        return plain
    full = _objects(_decoded(fields) + _decoded(beside), "")

    def make(batch: Any) -> list[Any]:
        some = [batch.column(name) for name in names]
        some = [column for column in some if column.null_count < len(column)]
        if not some:
            return plain(batch)
        if any(column.null_count == 0 for column in some):
            return full(batch)
        _, pc, _ = _arrow()
        given = reduce(pc.or_, map(pc.is_valid, some)).to_pylist()
        return [one if has else other for has, one, other in zip(given, full(batch), plain(batch), strict=True)]

    return make


def _objects(fields: Sequence[Field], prefix: str) -> Callable[[Any], list[Any]]:
    made = msgspec.defstruct("Row", [(field.name, Any) for field in fields], gc=False)
    getters = [
        _objects(field.fields, f"{prefix}{field.name}_") if field.fields else _getter(prefix + field.name, field.kind)
        for field in fields
    ]
    if not prefix:
        return lambda batch: list(map(made, *(get(batch) for get in getters)))
    first = f"{prefix}{fields[0].name}"

    def inner(batch: Any) -> list[Any]:
        values = [get(batch) for get in getters]
        objects = list(map(made, *values))
        if batch.column(first).null_count == 0:
            return objects
        # An object that is null as a whole is null in all of its columns.
        return [
            None if all(value is None for value in row) else one
            for one, row in zip(objects, zip(*values, strict=True), strict=True)
        ]

    return inner


def _getter(name: str, kind: Kind | None) -> Callable[[Any], list[Any]]:
    if kind == "levels":
        return lambda batch: _levels(batch.column(name))
    if kind == "number":
        return lambda batch: _whole(batch.column(name))
    return lambda batch: listed(batch.column(name))


def _whole(column: Any) -> list[Any]:
    """Numbers, whole ones where they can be."""
    return [int(value) if value is not None and value.is_integer() else value for value in column.to_pylist()]


def _levels(column: Any) -> list[list[tuple[Any, Any]] | None]:
    """Each row's side of a book, or none."""
    if column.null_count == len(column):
        return [None] * len(column)
    bounds = column.offsets.to_pylist()
    first, pairs = bounds[0], column.values.slice(bounds[0], bounds[-1] - bounds[0])
    flat = list(zip(pairs.field("price").to_pylist(), _whole(pairs.field("volume")), strict=True))
    sides: list[list[tuple[Any, Any]] | None] = [flat[low - first : high - first] for low, high in pairwise(bounds)]
    if column.null_count:
        sides = [side if there else None for side, there in zip(sides, column.is_valid().to_pylist(), strict=True)]
    return sides


def columns(fields: Sequence[Field], prefix: str = "") -> list[tuple[str, Kind]]:
    """Name and kind of each column that fields have."""
    found: list[tuple[str, Kind]] = []
    for field in fields:
        if field.kind is None:
            found += columns(field.fields, f"{prefix}{field.name}_")
        else:
            found.append((prefix + field.name, field.kind))
    return found


class _File:
    """A part that is open."""

    def __init__(self, directory: Path, part: Part) -> None:
        _, _, pq = _arrow()
        self._path = directory / part.file
        self._part = part
        try:
            plain = pq.read_schema(self._path)
            metadata = plain.metadata or {}
            if FIELDS not in metadata:
                raise ArchiveError(f"{self._path} is not part of an archive: its metadata lacks {FIELDS.decode()}")
            self.fields = metadata[FIELDS], metadata.get(BESIDE, b"[]")
            plain_columns = [column for fields in self.fields for column in columns(_decoded(fields))]
            texts = [name for name, kind in plain_columns if kind == "text"]
            self._columns = [name for name, _ in plain_columns] + [
                "kafka_offset",
                "kafka_timestamp",
                "kafka_key",
                "kafka_value",
                "kafka_headers",
            ]
            self._file = pq.ParquetFile(
                self._path, read_dictionary=[*texts, "kafka_key"], page_checksum_verification=True
            )
        except FileNotFoundError as error:
            raise self._lost("is missing") from error
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise self._lost(f"can't be read ({error})") from error
        if self._file.metadata.num_rows != part.rows:
            raise self._lost(f"has {self._file.metadata.num_rows:,} rows, its manifest says {part.rows:,}")

    def groups(self, names: Sequence[str]) -> Iterator[Any]:
        """Some columns of one row group after the other."""
        for group in range(self._file.num_row_groups):
            try:
                yield self._file.read_row_group(group, columns=list(names), use_threads=False)
            except (OSError, ValueError) as error:
                raise self._lost(f"is damaged ({error})") from error

    def rows(self, low: int, high: int) -> Any:
        """The rows of a range of offsets, in no order."""
        pa, pc, _ = _arrow()
        found = []
        for table in self.groups(self._columns):
            if low > self._part.start or high < self._part.end:
                offsets = table["kafka_offset"]
                table = table.filter(pc.and_(pc.greater_equal(offsets, low), pc.less(offsets, high)))  # noqa: PLW2901
            found.append(table)
        return pa.concat_tables(found)

    def _lost(self, why: str) -> ArchiveError:
        return ArchiveError(f"{self._path} {why}: restore it, or see what is left with `ashare archive verify`")


class _Opened:
    """The parts that were used last: reading goes over each several times, window by window."""

    _MOST = 2

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, _File] = {}

    def file(self, part: Part) -> _File:
        file = self._files.pop(part.file, None) or _File(self._directory, part)
        self._files[part.file] = file
        if len(self._files) > self._MOST:
            del self._files[next(iter(self._files))]
        return file


def _windows(parts: Sequence[Part], start: int, end: int) -> Iterator[tuple[int, int, list[Part]]]:
    """A range cut into windows that are held, with the parts (sorted by start) that have offsets in each."""
    held = merged(span for part in parts for span in part.spans)
    for span in held:
        low, stop = max(span.start, start), min(span.end, end)
        while low < stop:
            some = [part for part in parts if part.start < low + WINDOW and part.end > low]
            # Up to where a part ends, so that each is gone over as seldom as can be.
            high = min(stop, low + WINDOW, *(part.end for part in some))
            yield low, high, [part for part in some if part.start < high and _holds(part, low, high)]
            low = high


def _holds(part: Part, low: int, high: int) -> bool:
    """Whether a part has offsets of a range."""
    at = bisect_left(part.spans, high, key=attrgetter("start"))
    return at > 0 and part.spans[at - 1].end > low


def _pieces(parts: Sequence[Part], files: Sequence[_File], low: int, high: int) -> list[tuple[tuple[int, int], _File]]:
    """A window cut so that each piece is of one part."""
    pieces = [
        ((max(low, span.start), min(high, span.end)), file)
        for part, file in zip(parts, files, strict=True)
        for span in part.spans
        if span.start < high and span.end > low
    ]
    return sorted(pieces, key=lambda piece: piece[0])


def _sorted(tables: list[Any]) -> Sequence[Any]:
    """Tables as batches in the order of offsets; not a generator, which would hold every step while it waits."""
    pa, _, _ = _arrow()
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    tables.clear()
    batches: Sequence[Any] = table.sort_by("kafka_offset").combine_chunks().to_batches() if table.num_rows else ()
    return batches


@lru_cache(1)
def _arrow() -> tuple[Any, Any, Any]:
    try:
        return tuple(importlib.import_module(name) for name in ("pyarrow", "pyarrow.compute", "pyarrow.parquet"))  # type: ignore[return-value]
    except ImportError as error:
        raise ArchiveError(f"archives are read with pyarrow: install ashare-client[archive] ({error})") from error

"""Instrument files: CSV in UTF-8, UTF-16 or GBK, and Parquet, read whole into records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from instruments import columns, rows
from instruments.columns import ColumnError, Columns
from instruments.known import CODES
from instruments.rows import Row, RowError
from schemas import UsageError
from schemas.text_files import decoded

LARGEST = 64 << 20
"""Bytes of a file: a list of all kinds with every column takes 2 MiB."""
_ROWS = 4 * CODES
"""Rows of a file: several days of a market's limits."""
_CELL = 10_000
_PARQUET = b"PAR1"
_HEAD = 4_096


@dataclass(frozen=True)
class Refused:
    """A row that can't be read: where it stands, and why it is none."""

    place: str
    why: str


@dataclass
class Content:
    """What a file holds.

    Attributes:
        form: whose export it was taken for.
        fields: fields that it has columns for.
        rows: by code.
        refused: rows that can't be read, in order.
    """

    form: str
    fields: frozenset[str]
    rows: dict[str, Row] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    @property
    def dated(self) -> set[str]:
        """The days that prices of the file are of."""
        return {row.record.day for row in self.rows.values() if row.record.day is not None}


def read(path: Path, day: str) -> Content:
    """The rows of a file.

    Args:
        day: of the prices, YYYY-MM-DD, where the file does not say it.

    Raises:
        UsageError: the file can't be read, or has no column of codes; the text names the fix.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise UsageError(f"{path} has more than {LARGEST >> 20} MiB: it holds one instrument a line")
    table = _parquet(content, path) if content.startswith(_PARQUET) else _csv(content, path)
    _, header = next(table, ("", []))
    if not header:
        raise UsageError(f"{path} is empty: its first line names the columns (docs/instruments.md)")
    try:
        known = columns.read(header)
    except ColumnError as error:
        raise UsageError(f"{path}: {error}") from error
    return _content(table, known, day, path)


def _content(table: Iterator[tuple[str, Sequence[str]]], known: Columns, day: str, path: Path) -> Content:
    found = Content(known.form, known.fields)
    places: dict[str, str] = {}
    for number, (place, cells) in enumerate(table):
        if number >= _ROWS:
            raise UsageError(f"{path} has more than {_ROWS:,} rows: it holds one instrument a line")
        if not any(cell.strip() for cell in cells):
            continue
        try:
            row = rows.read(cells, known, day)
        except RowError as error:
            found.refused.append(Refused(place, str(error)))
            continue
        code = row.record.code
        before = found.rows.get(code)
        if before is not None and _same_day(before, row):
            found.refused.append(Refused(place, f"{code} stands in {places[code]} already"))
        elif before is None or (row.record.day or "") > (before.record.day or ""):
            found.rows[code], places[code] = row, place
    return found


def _same_day(one: Row, other: Row) -> bool:
    """Whether two rows of a code are not those of two days, of which the later counts."""
    return one.record.day is None or other.record.day is None or one.record.day == other.record.day


def _csv(content: bytes, path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        text = decoded(content)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is neither CSV in UTF-8 or GBK nor Parquet: save it as CSV, UTF-8")
    first = text[:_HEAD].partition("\n")[0]
    separator = max(",\t;|", key=first.count)
    csv.field_size_limit(_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    line = 1
    try:
        for cells in reader:
            yield f"line {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}, line {line}: {error}") from error


def _parquet(content: bytes, path: Path) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa  # noqa: PLC0415 - it takes a while, and CSV needs none of it
    from pyarrow import parquet  # noqa: PLC0415 - as above

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > _ROWS:
            raise UsageError(f"{path} has more than {_ROWS:,} rows: it holds one instrument a line")
        names = [name for name in file.schema_arrow.names if not pa.types.is_nested(file.schema_arrow.field(name).type)]
        table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} is not a Parquet file that can be read: {error}") from error
    yield "", list(table.column_names)
    number = 0
    for batch in table.to_batches():
        held = [column.to_pylist() for column in batch.columns]
        for cells in zip(*held, strict=True):
            number += 1
            yield f"row {number}", [_text(cell) for cell in cells]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime | date):
        return cell.isoformat()[:10]
    return cell if isinstance(cell, str) else str(cell)

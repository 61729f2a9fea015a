"""Records as lines: JSON, a record a line as it is, or CSV, a column a field. To a file or to standard output."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Literal, Protocol

import orjson

from consumers.replay.merge import Batch
from consumers.replay.outputs.columns import Columns, as_json
from schemas import RecordError, dead_letters

Format = Literal["json", "csv"]
Encoder = Callable[[Batch], bytes]


class Sink(Protocol):
    """Where the lines go."""

    def begin(self) -> None:
        """Before the first write."""

    def write(self, data: bytes) -> None:
        """Take bytes."""

    def end(self, *, complete: bool) -> None:
        """After the last write."""


class Lines:
    """An output of lines."""

    apart = False

    def __init__(self, sink: Sink, kind: str, form: Format, *, seekable: bool = False) -> None:
        """Lines of one kind of record, its name as in ``topics.yaml``."""
        self.typed = form == "csv"
        self.headers = kind == "dead-letter"
        self.seekable = seekable
        self._sink = sink
        self._any = False
        self._csv = Csv(kind) if form == "csv" else None
        self._encode: Encoder = self._csv.encode if self._csv else _letters if kind == "dead-letter" else json_lines

    @property
    def unreadable(self) -> int:
        """As ``Output.unreadable``."""
        return self._csv.columns.unreadable if self._csv else 0

    async def open(self, partitions: Sequence[int]) -> None:
        """As ``Output.open``."""
        del partitions
        self._sink.begin()
        if self._csv:
            self._sink.write(self._csv.header())

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        self._any = True
        self._sink.write(self._encode(batch))

    async def jumped(self) -> None:
        """As ``Output.jumped``: lines carry their own times."""

    async def close(self, *, complete: bool) -> None:
        """As ``Output.close``; a file without a record is not kept."""
        self._sink.end(complete=complete and self._any)


class Stream:
    """A binary stream that stays open, as standard output is."""

    def __init__(self, stream: BinaryIO) -> None:
        """Nothing is written yet."""
        self._stream = stream

    def begin(self) -> None:
        """As ``Sink.begin``."""

    def write(self, data: bytes) -> None:
        """As ``Sink.write``; whoever reads gets it at once."""
        self._stream.write(data)
        self._stream.flush()

    def end(self, *, complete: bool) -> None:
        """As ``Sink.end``."""
        del complete
        self._stream.flush()


def json_lines(batch: Batch) -> bytes:
    """Each value as it is; a deleted key as ``{"key":…,"value":null}``, what is not one line of UTF-8 as its text."""
    values = batch.values
    try:
        joined = b"\n".join(values) + b"\n"  # type: ignore[arg-type]
    except TypeError:
        return _one_by_one(batch)
    # A whole value ends where its object does: what holds a line break, or nothing, is put right one by one.
    if joined.count(b"\n") != len(values) or b"" in values:
        return _one_by_one(batch)
    return joined


def _one_by_one(batch: Batch) -> bytes:
    lines: list[bytes] = []
    for key, value in zip(batch.keys, batch.values, strict=True):
        if value and b"\n" not in value:
            lines.append(value)
            continue
        try:
            lines.append(orjson.dumps(orjson.loads(value or b"")))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the second: nested deeper than it writes
            lines.append(orjson.dumps({"key": _text(key), "value": _text(value)}))
    return b"\n".join(lines) + b"\n"


def _letters(batch: Batch) -> bytes:
    """Dead letters with their reason; the payload need not be text, and is shown as what text it is."""
    lines: list[bytes] = []
    for value, headers in zip(batch.values, batch.headers, strict=True):
        fields: dict[str, Any]
        try:
            letter = dead_letters.from_kafka(value or b"", headers)
            fields = {name: getattr(letter, name) for name in dead_letters.HEADERS}
        except RecordError:
            fields = {name: _text(content) for name, content in headers}
        lines.append(orjson.dumps(fields | {"payload": _text(value)}))
    return b"\n".join(lines) + b"\n"


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")


class Csv:
    """Rows with a header line; a missing value is empty, numbers are as exact as in the record.

    A side of a book is JSON, as in the record: ``[[10.01,1200],[10.0,300]]``.
    """

    def __init__(self, kind: str) -> None:
        """Rows of one kind of record."""
        self.columns = Columns(kind)
        kinds = list(enumerate(self.columns.kinds.values()))
        self._bytes = [index for index, of in kinds if of == "bytes"]
        self._levels = [index for index, of in kinds if of == "levels"]
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, lineterminator="\n")

    def header(self) -> bytes:
        """The header line."""
        self._writer.writerow(self.columns.kinds)
        return self._taken()

    def encode(self, batch: Batch) -> bytes:
        """The rows of a batch."""
        columns = self.columns.of(batch)
        for index in self._bytes:
            columns[index] = [_text(data) for data in columns[index]]
        for index in self._levels:
            columns[index] = [as_json(side) for side in columns[index]]
        self._writer.writerows(zip(*columns, strict=True))
        return self._taken()

    def _taken(self) -> bytes:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode()

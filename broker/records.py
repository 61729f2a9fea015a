"""The records of a fetch, read one by one, also where keys of headers are not text.

aiokafka (0.14.0) decodes the key of each header as UTF-8, in C, and raises over one that is none. A broker takes any
bytes there, so one record of a stranger's would end every reader at its offset, for as long as the record is kept.
Here such a batch is read a second time, with an escape for each byte that is not text.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_PLACE = Struct(">qi")


class Records:
    """aiokafka's ``MemoryRecords``, whose batches can be read to their ends.

    Attributes:
        memory: aiokafka's own; its batches may raise ``UnicodeDecodeError``, and ``lenient`` reads them then.
    """

    __slots__ = ("_data", "has_next", "memory", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        """Read a partition's part of a fetch answer."""
        self._data = data
        self.memory = memory = MemoryRecords(data)
        self.has_next, self.size_in_bytes = memory.has_next, memory.size_in_bytes

    def next_batch(self) -> Any:
        """The next batch; every record of it can be read."""
        batch = self.memory.next_batch()
        return None if batch is None else _Batch(batch, self)

    def lenient(self, batch: Any) -> Iterator[Any]:
        """All records of a batch of these, with escapes for what is not text in a header's key."""
        at, data = 0, self._data
        while True:
            offset, size = _PLACE.unpack_from(data, at)
            end = at + _PLACE.size + size
            if offset == batch.base_offset:
                return iter(_LenientBatch(data[at:end]))
            at = end


class _Batch:
    """A batch as aiokafka's fetcher reads it."""

    __slots__ = ("_batch", "_records")

    def __init__(self, batch: Any, records: Records) -> None:
        self._batch = batch
        self._records = records

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._batch:
                given += 1
                yield record
        except UnicodeDecodeError:
            rest = self._records.lenient(self._batch)
            for _ in range(given):
                next(rest)
            yield from rest

    def __next__(self) -> Any:
        return next(self._batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)


class _Text(bytearray):
    """Bytes whose slices decode without an error."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return found if isinstance(found, int) else _Text(found)

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Text(self._buffer)


def install() -> None:
    """Have every consumer of aiokafka's in this process read so."""
    fetcher.MemoryRecords = Records

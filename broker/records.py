"""The records of a fetch, read one by one, also where keys of headers are not text.

aiokafka (0.14.0) decodes the key of each header as UTF-8, in C, and raises over one that is none. A broker takes any
bytes there, so one record of a stranger's would end every reader at its offset, for as long as the record is kept.
Here such a batch is read a second time, with an escape for each byte that is not text.

Checksums are google-crc32c's, which reckons several times as fast as aiokafka's own function.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

import google_crc32c
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_PLACE = Struct(">qi")
_MAGIC, _CHECKSUM, _CHECKED = 16, 17, 21
"""Where a batch has its format's version and its checksum, and where begins what that is of."""
_checksum_at = Struct(">I").unpack_from
_FAST = google_crc32c.implementation == "c"


class Records:
    """aiokafka's ``MemoryRecords``, whose batches can be read to their ends."""

    __slots__ = ("_at", "_data", "_end", "_memory", "has_next", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        """Read a partition's part of a fetch answer."""
        self._data = data
        self._at = self._end = 0
        self._memory = memory = MemoryRecords(data)
        self.has_next, self.size_in_bytes = memory.has_next, memory.size_in_bytes

    def next_batch(self) -> Any:
        """The next batch; every record of it can be read."""
        batch = self.next_plain()
        return None if batch is None else _Batch(batch, self)

    def next_plain(self) -> Any:
        """The next batch as aiokafka has it: reading it may raise ``UnicodeDecodeError``; then ``lenient`` reads it."""
        batch = self._memory.next_batch()
        if batch is not None:
            self._at = self._end
            self._end += _PLACE.size + _PLACE.unpack_from(self._data, self._at)[1]
        return batch

    def intact(self, batch: Any) -> bool:
        """Whether the batch that was read last has its checksum."""
        data, at = self._data, self._at
        if not _FAST or data[at + _MAGIC] < 2:  # older formats have another checksum
            return bool(batch.validate_crc())
        return google_crc32c.value(data[at + _CHECKED : self._end]) == _checksum_at(data, at + _CHECKSUM)[0]  # type: ignore[no-any-return]

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

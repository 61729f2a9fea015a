"""Records are read whatever their headers' keys are.

aiokafka (0.14) decodes the key of each header as UTF-8 and raises over one that is none. A broker takes any bytes
there, so one such record would end every reader at its offset. Here its batch is read a second time, with an escape
for each byte that is not text. Only the consumers of this package read so, not others in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from types import FunctionType, MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_PLACE = Struct(">qi")


def read_any_header(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was started, and has no partitions yet, read so."""
    fetcher = consumer._fetcher
    take: Any = type(fetcher)._proc_fetch_request
    # The same function, which finds `_Records` where it looks for aiokafka's.
    names = {**take.__globals__, "MemoryRecords": _Records}
    own = FunctionType(take.__code__, names, take.__name__, take.__defaults__, take.__closure__)
    fetcher._proc_fetch_request = MethodType(own, fetcher)


class _Records:
    """aiokafka's `MemoryRecords`, whose batches can be read to their ends."""

    __slots__ = ("_data", "_memory", "has_next", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._memory = memory = MemoryRecords(data)
        self.has_next, self.size_in_bytes = memory.has_next, memory.size_in_bytes

    def next_batch(self) -> Any:
        batch = self._memory.next_batch()
        return None if batch is None else _Batch(batch, self._data)


class _Batch:
    __slots__ = ("_batch", "_data")

    def __init__(self, batch: Any, data: bytes) -> None:
        self._batch = batch
        self._data = data

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._batch:
                given += 1
                yield record
        except UnicodeDecodeError:
            rest = iter(_LenientBatch(_bytes(self._data, self._batch.base_offset)))
            for _ in range(given):
                next(rest)
            yield from rest

    def __next__(self) -> Any:
        return next(self._batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)


def _bytes(data: bytes, offset: int) -> bytes:
    """The batch that begins at an offset, out of several."""
    at = 0
    while True:
        found, size = _PLACE.unpack_from(data, at)
        end = at + _PLACE.size + size
        if found == offset:
            return data[at:end]
        at = end


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

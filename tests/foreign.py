"""Records as another program may write them: with headers whose keys are not text, which aiokafka itself refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
NO_TEXT = [b"\xff\xfe", b"\x80", b"", b"ce_id\xc3", b"\xed\xa0\x80", b"\x00"]


class Key(str):
    """A header's key of any bytes."""

    __slots__ = ("raw",)
    raw: bytes

    def __new__(cls, raw: bytes) -> Self:
        """Of these bytes."""
        key = super().__new__(cls, raw.decode("utf-8", "backslashreplace"))
        key.raw = raw
        return key

    def encode(self, *_: Any, **__: Any) -> bytes:
        """As they are."""
        return self.raw


Foreign = tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]
"""Key, value and headers."""


def batch_of(records: Sequence[Foreign], timestamp: int, codec: str = "none") -> Any:
    """One batch that is built, but for its place in a log."""
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], False, -1, -1, -1, 1 << 20)
    for offset, (key, value, headers) in enumerate(records):
        keys: list[tuple[str, bytes | None]] = [(Key(name), content) for name, content in headers]
        assert builder.append(offset, timestamp, key, value, keys) is not None
    return builder


async def write(
    bootstrap: str, topic: str, partition: int, records: Sequence[Foreign], timestamp: int, *, codec: str = "none"
) -> None:
    """Write records as one batch; they are there when this returns."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await (await send(producer, topic, partition, records, timestamp, codec=codec))


async def send(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[Foreign],
    timestamp: int,
    *,
    codec: str = "none",
) -> asyncio.Future[Any]:
    """Send records as one batch; what is returned is done when they are there."""
    batch = producer.create_batch()
    batch._builder = batch_of(records, timestamp, codec)
    batch._relative_offset = len(records)
    batch.close()
    sent: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
    return sent

"""Topics of a test's own, with the pipeline's records in them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from broker import admin
from broker.publisher import Publisher
from schemas import Level, Origin, PriceChange, Snapshot, Tick, encode
from schemas.cloudevents import headers
from schemas.records import FeedEvent, LineMark, Record
from schemas.topics import Topic, partition_of

RECEIVED = 1_795_138_200_187_342
PARTITIONS = 3


def change(
    code: str, offset: int, price: float = 10.0, *, previous: float | None = None, received: int = 0
) -> PriceChange:
    """A price change that the tick at an offset caused."""
    moved = None if previous is None else round(price - previous, 4)
    basis = None if moved is None or previous is None else round(moved / previous * 10_000, 2)
    return PriceChange(
        code,
        price,
        previous,
        moved,
        basis,
        1_795_138_200_123 + offset,
        received or RECEIVED + offset * 1000,
        100,
        1,
        0.01,
        Origin(partition_of(code, PARTITIONS), offset),
    )


def tick(code: str, n: int, price: float = 10.0) -> Tick:
    """A tick."""
    return Tick(code, "SSE", price, 1_795_138_200_123 + n, RECEIVED + n * 1000, "post-1", 7, n, 100, price * 100, "buy")


def book(code: str, n: int, **other: Any) -> Tick:
    """A tick with a book, three levels on one side and none on the other, and the day's high."""
    bids = [Level(10.0, 100 + n), Level(9.99, 200), Level(9.98, 0.5)]
    return msgspec.structs.replace(tick(code, n), **({"bids": bids, "asks": [], "day_high": 10.5} | other))


def snapshot(code: str, offset: int, price: float) -> Snapshot:
    """A snapshot as of the tick at an offset."""
    return Snapshot(
        code,
        "SSE",
        price,
        1_795_138_200_123 + offset,
        RECEIVED + offset * 1000,
        "2026-11-20",
        price,
        price,
        price,
        offset + 1,
        Origin(partition_of(code, PARTITIONS), offset),
        [LineMark("post-1", 7, offset)],
    )


class Written:
    """A topic, and what writes into it."""

    def __init__(self, bootstrap: str, name: str, publisher: Publisher, partitions: int) -> None:
        """Made by `written`."""
        self.bootstrap = bootstrap
        self.name = name
        self._publisher = publisher
        self._partitions = partitions

    async def put(self, records: Iterable[Record]) -> None:
        """Write records as the pipeline does: keyed, stamped with their receive time; wait until they are there."""
        for record in records:
            if isinstance(record, FeedEvent):
                self.add(record.source, encode(record), record.at // 1000)
                continue
            assert isinstance(record, PriceChange | Tick | Snapshot)
            with_id = headers(record) if isinstance(record, PriceChange) else []
            self.add(record.code, encode(record), record.received // 1000, with_id)
        await self._publisher.flush()

    async def put_raw(self, key: str, value: bytes) -> None:
        """Write one value as it is."""
        self.add(key, value, RECEIVED // 1000)
        await self._publisher.flush()

    async def delete(self, key: str) -> None:
        """Write a record without a value."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            partition = partition_of(key, self._partitions)
            await producer.send_and_wait(self.name, None, key=key.encode(), partition=partition)
        finally:
            await producer.stop()

    def add(self, key: str, value: bytes, timestamp: int, with_headers: list[tuple[str, bytes]] | None = None) -> None:
        """Hand one record to the publisher."""
        partition = partition_of(key, self._partitions)
        self._publisher.queue(self.name, partition).add(key.encode(), value, timestamp, with_headers or [])

    async def close(self) -> None:
        """Stop writing."""
        await self._publisher.stop()


async def written(
    bootstrap: str, *, partitions: int = PARTITIONS, compacted: bool = False, retention_ms: int = -1, name: str = ""
) -> Written:
    """A new topic, from which by default nothing is deleted."""
    name = name or f"client-{uuid.uuid4().hex}"
    config = {"cleanup.policy": "compact" if compacted else "delete", "retention.ms": str(retention_ms)}
    await admin.apply(bootstrap, {name: Topic(name, "code", "none", "test", partitions, 1, config)})
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start()
    return Written(bootstrap, name, publisher, partitions)

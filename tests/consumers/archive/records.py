"""Records as a log has them, put into an archive without one, or into a real topic."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from msgspec.structs import astuple

from ashare_client.archive import Archive, ArchivedRecord
from broker import admin
from broker.chunk import Chunk
from consumers.archive.keeper import Keeper
from consumers.archive.kinds import kinds
from consumers.archive.run import Request, _commit
from consumers.archive.sink import Sink
from market.times import DAY_MS, day_start
from schemas import BareTick, Level, Tick, encode
from schemas.topics import TICKS, Topic

DAY = "2026-11-20"
NEXT = "2026-11-21"
MIDNIGHT = day_start(NEXT)
NOON = day_start(DAY) + DAY_MS // 2
LATER = MIDNIGHT + 5 * DAY_MS
"""A time at which both days are over."""


@dataclass(frozen=True)
class Raw:
    """A record as it is written: its value, byte for byte."""

    value: bytes | None
    timestamp: int = NOON
    key: bytes | None = b"600519"
    headers: Sequence[tuple[str, bytes]] = ()


def tick(n: int, *, time: int = NOON, **other: Any) -> Tick:
    """A plausible tick; the code of number n is one of seven."""
    fields: dict[str, Any] = {
        "code": f"{600_000 + n % 7}",
        "exchange": "SSE",
        "price": 10 + n % 500 / 100,
        "time": time,
        "received": time * 1000 + n,
        "source": "post-1",
        "run": 1,
        "n": n,
        "volume": 100 * (n % 50),
        "turnover": n / 7,
    }
    return Tick(**(fields | other))


def written(tick: Tick) -> bytes:
    """A tick as the producer writes it: without the fields of a book and of the day where it has none of them."""
    values = astuple(tick)
    bare = len(BareTick.__struct_fields__)
    return encode(tick if any(value is not None for value in values[bare:]) else BareTick(*values[:bare]))


def book(n: int, **other: Any) -> Tick:
    """A plausible tick with a book and the figures of the day."""
    fields: dict[str, Any] = {
        "bids": [Level(10.0 - level / 100, 100 * n + level) for level in range(5)],
        "asks": [Level(10.02, 300), Level(10.03, 0.5)],
        "day_high": 10.5,
        "day_volume": 812_300 + n,
        "day_turnover": 1e9 / 7 + n,
        "average": 10.0025,
    }
    return tick(n, **(fields | other))


def raw(tick: Tick, **other: Any) -> Raw:
    """A tick as the producer writes it."""
    fields: dict[str, Any] = {"value": written(tick), "timestamp": tick.received // 1000, "key": tick.code.encode()}
    return Raw(**(fields | other))


def ticks(count: int, *, first: int = 0, time: int = NOON) -> list[Raw]:
    """So many ticks, a millisecond apart."""
    return [raw(tick(n, time=time + n)) for n in range(first, first + count)]


def chunk(
    records: Sequence[Raw], *, partition: int = 0, start: int = 0, end: int | None = None, topic: str = TICKS
) -> Chunk:
    """Records at successive offsets; behind them none up to ``end``."""
    made = Chunk(topic, partition, start)
    made.offsets = list(range(start, start + len(records)))
    made.end = start + len(records) if end is None else end
    made.timestamps = [record.timestamp for record in records]
    made.keys = [record.key for record in records]
    made.values = [record.value for record in records]
    made.headers = [record.headers for record in records]
    return made


def keep(directory: Path, chunks: Iterable[Chunk], *, now: int = LATER, topic: str = TICKS, kind: str = "tick") -> None:
    """Archive chunks as if they were what a log has."""
    request = Request(directory, topic, kinds()[kind], now=now)
    with Keeper(directory) as keeper:
        archive = Archive(directory)
        sink = Sink(archive, topic, request.kind, wanted=request.wanted, staging=keeper.staging, source="log")
        for one in chunks:
            sink.add(one)
        sink.close()
        _commit(keeper, archive, request, sink, lambda _: True)


def records(directory: Path, topic: str = TICKS, partition: int = 0, start: int = 0, end: int = 1 << 40) -> list[Any]:
    """What an archive gives of a range."""
    archive = Archive(directory)
    return [record for batch in archive.read(topic, partition, start, end) for record in archive.records(topic, batch)]


def as_archived(records: Sequence[Raw], start: int = 0) -> list[ArchivedRecord]:
    """What an archive must give of records at successive offsets."""
    return [
        ArchivedRecord(start + index, record.timestamp, record.key, record.value, tuple(record.headers))
        for index, record in enumerate(records)
    ]


def tree(directory: Path) -> dict[str, bytes]:
    """Every file of an archive but its lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@dataclass
class Log:
    """A topic of a test's own."""

    bootstrap: str
    topic: str
    producer: AIOKafkaProducer

    async def put(self, records: Iterable[Raw], partition: int = 0) -> None:
        """Write records and wait until they are there."""
        sent = [
            await self.producer.send(
                self.topic,
                record.value,
                record.key,
                partition,
                record.timestamp,
                list(record.headers),
            )
            for record in records
        ]
        for future in sent:
            await future

    async def read(self) -> dict[int, list[ArchivedRecord]]:
        """All of the topic, by an ordinary consumer."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed")
        await consumer.start()
        try:
            cluster = await consumer._client.fetch_all_metadata()
            places = [TopicPartition(self.topic, p) for p in cluster.partitions_for_topic(self.topic)]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            found: dict[int, list[ArchivedRecord]] = {tp.partition: [] for tp in places}
            while any([await consumer.position(tp) < ends[tp] for tp in places]):
                for tp, some in (await consumer.getmany(timeout_ms=200)).items():
                    found[tp.partition] += [
                        ArchivedRecord(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in some
                    ]
            return found
        finally:
            await consumer.stop()

    async def expire(self, before: dict[int, int]) -> None:
        """Take away the records before these offsets, as retention does."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await client.start()
        try:
            await client.delete_records(
                {TopicPartition(self.topic, p): RecordsToDelete(before_offset=offset) for p, offset in before.items()}
            )
        finally:
            await client.close()


@asynccontextmanager
async def log(bootstrap: str, *, partitions: int = 2, **config: str) -> AsyncIterator[Log]:
    """A new topic."""
    name = f"archive-{uuid.uuid4().hex[:8]}"
    await make(bootstrap, name, partitions, config)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        yield Log(bootstrap, name, producer)
    finally:
        await producer.stop()


async def make(bootstrap: str, name: str, partitions: int, config: dict[str, str]) -> None:
    """Make a topic."""
    kept = {"cleanup.policy": "delete", "retention.ms": "-1"}
    await admin.apply(bootstrap, {name: Topic(name, "code", "tick", "a test's own", partitions, 1, kept | config)})

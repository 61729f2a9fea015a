"""What nothing here can be faster than: reading a topic without doing anything with it, and each step on top of that.

``python -m benchmarks.limits``: the same ticks from the same Kafka, by chunks, by chunks with typed decoding, by
aiokafka's ``getmany`` and by librdkafka's ``consume``, one after the other, again and again; then the values alone,
without Kafka, through orjson and msgspec.
"""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable

import confluent_kafka
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.kafka import own_kafka, read
from benchmarks.load import Load
from benchmarks.results import Result, begin, finish, options
from schemas import Tick, decoder, encode
from schemas.topics import TICKS, topics

PARTITIONS = topics()[TICKS].partitions
Way = Callable[[str, int], Awaitable[int]]


async def chunks(bootstrap: str, _: int) -> int:
    """As the workers read."""
    return sum([len(chunk) async for fetched in read(bootstrap, TICKS) for chunk in fetched])


async def decoded_chunks(bootstrap: str, _: int) -> int:
    """With every tick decoded and checked."""
    return sum([len(chunk.ticks) async for fetched in read(bootstrap, TICKS) for chunk in fetched])


async def getmany(bootstrap: str, ticks: int) -> int:
    """What aiokafka offers: an object a record."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    count = 0
    try:
        consumer.assign([TopicPartition(TICKS, partition) for partition in range(PARTITIONS)])
        while count < ticks:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                count += len(records)
    finally:
        await consumer.stop()
    return count


async def librdkafka(bootstrap: str, ticks: int) -> int:
    """confluent-kafka: an object a record, made in C; fetching in threads of its own."""

    def consume() -> int:
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-limits", "enable.auto.commit": False}
        )
        consumer.assign([confluent_kafka.TopicPartition(TICKS, partition, 0) for partition in range(PARTITIONS)])
        count = 0
        while count < ticks:
            count += len(consumer.consume(10_000, 1.0))
        consumer.close()
        return count

    return await asyncio.to_thread(consume)


WAYS: dict[str, Way] = {
    "chunks": chunks,
    "chunks, decoded": decoded_chunks,
    "aiokafka getmany": getmany,
    "librdkafka consume": librdkafka,
}


async def rate(way: Way, bootstrap: str, ticks: int) -> tuple[float, float]:
    """Ticks/s and µs of CPU a tick of one way, connecting included."""
    begun, used = time.perf_counter(), time.process_time()
    count = await way(bootstrap, ticks)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    assert count == ticks, f"{way.__name__} read {count} of {ticks}"
    return ticks / seconds, cpu / ticks * 1e6


def alone(values: list[bytes], decode: Callable[[bytes], object]) -> float:
    """Values/s of a decoder."""
    begun = time.perf_counter()
    for value in values:
        decode(value)
    return len(values) / (time.perf_counter() - begun)


async def measure(given: Namespace, result: Result) -> None:
    """Every way in turn."""
    async with own_kafka() as bootstrap:
        await Load(given.ticks).publish(bootstrap)
        for _ in range(given.repeats):
            for name, way in WAYS.items():
                got, cpu = await rate(way, bootstrap, given.ticks)
                result.add(name, {"ticks/s": got, "µs CPU a tick": cpu})
    values = [encode(tick) for tick in Load(min(given.ticks, 300_000)).draw()]
    for _ in range(given.repeats):
        for name, decode in {
            "orjson.loads, no Kafka": orjson.loads,
            "msgspec, typed, no Kafka": decoder(Tick).decode,
        }.items():
            result.add(name, {"ticks/s": (got := alone(values, decode)), "µs CPU a tick": 1e6 / got})


def main() -> None:
    """Measure, and print."""
    given = options(__doc__, ticks=2_000_000, repeats=3).parse_args()
    result = begin(given, "limits")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""Records that are ready into a topic: the project's publisher, librdkafka, and aiokafka a record at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from benchmarks.load import Load
from broker.publisher import Publisher
from schemas import encode
from schemas.topics import partition_of

TOPIC = "bench.publish"
PARTITIONS = 12
Record = tuple[int, bytes, bytes, int]
"""Partition, key, value and timestamp (ms)."""
Way = Callable[[str, list[Record]], Awaitable[None]]


@dataclass(frozen=True)
class Published:
    """Records/s until all are acknowledged, and µs of this process's CPU per record, all threads included."""

    rate: float
    cpu: float


def records(ticks: int) -> list[Record]:
    """Ticks as the producer encodes them."""
    return [
        (partition_of(tick.code, PARTITIONS), tick.code.encode(), encode(tick), tick.received // 1000)
        for tick in Load(ticks).draw()
    ]


async def publisher(bootstrap: str, ready: list[Record]) -> None:
    """The project's: wide batches, one in flight a partition."""
    out = Publisher(bootstrap, client_id="bench-publisher")
    await out.start()
    queues = [out.queue(TOPIC, partition) for partition in range(PARTITIONS)]
    try:
        for at, (partition, key, value, timestamp) in enumerate(ready):
            queues[partition].add(key, value, timestamp)
            # As frames come: many ticks at a time, and the loop is free between them.
            if not at % 500:
                await asyncio.sleep(0)
                if out.full:
                    await out.room()
        await out.flush()
    finally:
        await out.stop()


async def librdkafka(bootstrap: str, ready: list[Record]) -> None:
    """confluent-kafka with idempotence."""

    def produce() -> None:
        out = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        for partition, key, value, timestamp in ready:
            while True:
                try:
                    out.produce(TOPIC, value, key, partition=partition, timestamp=timestamp)
                    break
                except BufferError:
                    out.poll(0.05)
        out.flush()

    await asyncio.to_thread(produce)


async def send(bootstrap: str, ready: list[Record]) -> None:
    """Aiokafka, one ``send`` a record, batches that linger a little."""
    out = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=262_144
    )
    await out.start()
    try:
        for partition, key, value, timestamp in ready:
            await out.send(TOPIC, value, key=key, partition=partition, timestamp_ms=timestamp)
        await out.flush()
    finally:
        await out.stop()


WAYS: dict[str, Way] = {
    "Publisher": publisher,
    "librdkafka": librdkafka,
    "aiokafka send": send,
}


async def publish(way: Way, bootstrap: str, ready: list[Record]) -> Published:
    """Let one way publish them all; connecting counts."""
    begun, used = time.perf_counter(), time.process_time()
    await way(bootstrap, ready)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    return Published(len(ready) / seconds, cpu / len(ready) * 1e6)

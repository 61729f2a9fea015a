"""What nothing here can be faster than: reading a topic without doing anything with it, and each step on top of that.

``python -m benchmarks.limits``: the same ticks from the same Kafka, by chunks, by chunks with typed decoding, by
aiokafka's ``getmany`` and by librdkafka's ``consume``, one after the other, again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import confluent_kafka
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.load import Load
from broker import admin
from broker.reader import ChunkReader
from deploy.embedded import KafkaBroker
from schemas.topics import TICKS, topics

PARTITIONS = topics()[TICKS].partitions
Way = Callable[[str, int], Awaitable[int]]


async def chunks(bootstrap: str, _: int, *, decoded: bool = False) -> int:
    """As the workers read, with or without decoding every tick."""
    count = 0
    async with ChunkReader(bootstrap, client_id="bench-limits", fetch_bytes=256 << 10) as reader:
        partitions = await reader.partitions(TICKS)
        begins, ends = await reader.begins(partitions), await reader.ends(partitions)
        reader.assign({tp: (begins[tp], ends[tp]) for tp in partitions})
        while fetched := await reader.fetch():
            for chunk in fetched:
                count += len(chunk.ticks) if decoded else len(chunk)
    return count


async def decoded_chunks(bootstrap: str, ticks: int) -> int:
    """With every tick decoded and checked."""
    return await chunks(bootstrap, ticks, decoded=True)


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

    def read() -> int:
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-limits", "enable.auto.commit": False}
        )
        consumer.assign([confluent_kafka.TopicPartition(TICKS, partition, 0) for partition in range(PARTITIONS)])
        count = 0
        while count < ticks:
            count += len(consumer.consume(10_000, 1.0))
        consumer.close()
        return count

    return await asyncio.to_thread(read)


WAYS: dict[str, Way] = {
    "chunks": chunks,
    "chunks, decoded": decoded_chunks,
    "aiokafka getmany": getmany,
    "librdkafka consume": librdkafka,
}


async def measure(ticks: int, repeats: int) -> dict[str, list[float]]:
    """Ticks/s of each way, each time."""
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory(prefix="ashare-bench-kafka-") as directory, KafkaBroker(Path(directory)) as kafka:
        await admin.apply(kafka.bootstrap)
        await Load(ticks).publish(kafka.bootstrap)
        for _ in range(repeats):
            for name, way in WAYS.items():
                begun = time.perf_counter()
                count = await way(kafka.bootstrap, ticks)
                assert count == ticks, f"{name} read {count} of {ticks}"
                rates[name].append(ticks / (time.perf_counter() - begun))
    return rates


def main() -> None:
    """Print the medians, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rates = asyncio.run(measure(given.ticks, given.repeats))
    if given.json:
        sys.stdout.write(json.dumps(rates, indent=1) + "\n")
        return
    for name, each in rates.items():
        sys.stdout.write(
            f"{name:20} {statistics.median(each):>12,.0f} ticks/s ({min(each):,.0f} to {max(each):,.0f})\n"
        )


if __name__ == "__main__":
    main()

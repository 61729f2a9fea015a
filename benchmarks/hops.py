"""The latency of two raw hops through Kafka: what socket to reader can be compared with.

One process produces ticks at an even rate with aiokafka's ``send`` and reads the second topic; another, this module run
with ``--forward``, reads the first topic and sends each record on. No decoding, no state, nothing written.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import uuid
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

_RECORD = b'{"code":"600519","exchange":"SSE","price":1700.01,"volume":300}'


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    p50: float
    p99: float
    p999: float
    samples: int


def latency(milliseconds: list[float]) -> Latency:
    """Percentiles of what was seen."""
    ordered = sorted(milliseconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)

    return Latency(at(0.5), at(0.99), at(0.999), len(ordered))


async def measure(bootstrap: str, rate: int, seconds: float, *, partitions: int = 12) -> Latency:
    """Two hops at a rate; the first two seconds do not count."""
    topics = [f"bench.hop-{number}.{uuid.uuid4().hex[:8]}" for number in (1, 2)]
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    await client.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    await client.close()
    await asyncio.sleep(1)
    forwarder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.hops", "--forward", bootstrap, *topics), stdout=asyncio.subprocess.PIPE
    )
    assert forwarder.stdout is not None
    await forwarder.stdout.readline()
    consumer = AIOKafkaConsumer(topics[1], bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await asyncio.gather(consumer.start(), producer.start())
    seen: list[float] = []
    reading = asyncio.create_task(_read(consumer, seen))
    try:
        begun = time.monotonic()
        counted_from = 0
        sent = 0
        while (passed := time.monotonic() - begun) < seconds + 2:
            if passed < 2:
                counted_from = len(seen)
            for number in range(sent, int(passed * rate)):
                value = b"%d %s" % (time.time_ns(), _RECORD)
                await producer.send(topics[0], value, key=b"%06d" % (600_000 + number % 5_000))
                sent = number + 1
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
    finally:
        reading.cancel()
        forwarder.kill()
        await forwarder.wait()
        await asyncio.gather(producer.stop(), consumer.stop())
    return latency(seen[counted_from:])


async def _read(consumer: AIOKafkaConsumer, seen: list[float]) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            now = time.time_ns()
            seen += [(now - int(record.value.split(b" ", 1)[0])) / 1e6 for record in records]


async def forward(bootstrap: str, source: str, target: str) -> None:
    """Send every record of a topic on to another."""
    consumer = AIOKafkaConsumer(source, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await asyncio.gather(consumer.start(), producer.start())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                await producer.send(target, record.value, key=record.key)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forward", nargs=3, metavar=("BOOTSTRAP", "FROM", "TO"), required=True)
    asyncio.run(forward(*parser.parse_args().forward))

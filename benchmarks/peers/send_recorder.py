"""A recorder on aiokafka that sends each tick and lets the client batch; a failed one would only be logged."""

from __future__ import annotations

import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.peers.feed import BOOTSTRAP, TOPIC, records


async def main() -> None:
    """Record until killed."""
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=262_144
    )
    await producer.start()
    async for made in records():
        for key, value, timestamp in made:
            await producer.send(TOPIC, value, key=key, timestamp_ms=timestamp)


if __name__ == "__main__":
    uvloop.run(main())

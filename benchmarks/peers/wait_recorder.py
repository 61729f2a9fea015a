"""A recorder on aiokafka that waits for each tick's acknowledgement: what most recorders do, and safe."""

from __future__ import annotations

import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.peers.feed import BOOTSTRAP, TOPIC, records


async def main() -> None:
    """Record until killed."""
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True)
    await producer.start()
    async for made in records():
        for key, value, timestamp in made:
            await producer.send_and_wait(TOPIC, value, key=key, timestamp_ms=timestamp)


if __name__ == "__main__":
    uvloop.run(main())

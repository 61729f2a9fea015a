"""A recorder on confluent-kafka: librdkafka batches and sends in threads of its own."""

from __future__ import annotations

import uvloop
from confluent_kafka import Producer

from benchmarks.peers.feed import BOOTSTRAP, TOPIC, records


async def main() -> None:
    """Record until killed."""
    producer = Producer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    produce, poll = producer.produce, producer.poll
    async for made in records():
        for key, value, timestamp in made:
            while True:
                try:
                    produce(TOPIC, value, key, timestamp=timestamp)
                    break
                except BufferError:
                    poll(0.1)
        poll(0)


if __name__ == "__main__":
    uvloop.run(main())

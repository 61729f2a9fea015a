"""Every tick to every client, as a page on a socket is usually begun: ``websockets.broadcast`` of each record."""

from __future__ import annotations

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.asyncio.server import ServerConnection, broadcast, serve

CLIENTS: set[ServerConnection] = set()


async def _serve(connection: ServerConnection) -> None:
    CLIENTS.add(connection)
    try:
        await connection.wait_closed()
    finally:
        CLIENTS.discard(connection)


async def main() -> None:
    """Serve until killed; says where."""
    consumer = AIOKafkaConsumer(bootstrap_servers=os.environ["BENCH_BOOTSTRAP"], fetch_max_wait_ms=50)
    await consumer.start()
    topic = os.environ["BENCH_INPUT"]
    consumer.assign([TopicPartition(topic, number) for number in range(12)])
    await consumer.seek_to_end()
    async with serve(_serve, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        sys.stdout.write(f"serving http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/\n")
        sys.stdout.flush()
        async for record in consumer:
            broadcast(CLIENTS, record.value.decode())


if __name__ == "__main__":
    asyncio.run(main())

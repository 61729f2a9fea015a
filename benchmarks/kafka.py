"""A broker for one benchmark, what is made anew on it between two contenders, and a whole topic read at once."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from broker import admin
from broker.chunk import Chunk
from broker.reader import ChunkReader
from deploy.embedded import KafkaBroker
from schemas.topics import topics

_GROUP_SECONDS = 90.0
_LATER = {
    KafkaError.NON_EMPTY_GROUP,  # a member that was killed is one until its session has run out
    # A new broker makes the topic of the groups when the first is asked for.
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
FETCH_BYTES = 256 << 10
"""What the workers ask of a partition at once."""


@contextlib.asynccontextmanager
async def own_kafka() -> AsyncIterator[str]:
    """An embedded broker with the project's topics; gives ``HOST:PORT``."""
    with tempfile.TemporaryDirectory(prefix="ashare-bench-kafka-") as directory:
        broker = KafkaBroker(Path(directory))
        await asyncio.to_thread(broker.start)
        try:
            await admin.apply(broker.bootstrap)
            yield broker.bootstrap
            await check_whole(broker.bootstrap)
        finally:
            await asyncio.to_thread(broker.stop)


async def check_whole(bootstrap: str) -> None:
    """See that the broker still has every record that it was given: what was measured was measured on all of it.

    Raises:
        SystemExit: it has deleted some, so that readers jumped over them.
    """
    async with ChunkReader(bootstrap, client_id="bench-check") as reader:
        for topic in topics():
            begins = await reader.begins(await reader.partitions(topic))
            gone = sum(begins.values())
            if gone:
                raise SystemExit(
                    f"{topic}: {gone:,} records were deleted while they were measured with: the figures mean nothing"
                )


async def make(bootstrap: str, topic: str, partitions: int) -> None:
    """A topic of a contender's own."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await client.close()
    await asyncio.sleep(1)


async def renew(bootstrap: str, topics: Collection[str], groups: Collection[str] = ()) -> None:
    """Topics of the project as if nobody had written into them, groups as if they had never been."""
    await asyncio.to_thread(_forget, bootstrap, groups)
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_topics(list(topics))
    finally:
        await client.close()
    # A topic that is still being deleted can be there when it is asked for, and gone a moment later.
    await asyncio.sleep(2)
    await admin.apply(bootstrap)


def _forget(bootstrap: str, groups: Collection[str]) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap})
    for group in groups:
        until = time.monotonic() + _GROUP_SECONDS
        while True:
            try:
                client.delete_consumer_groups([group], request_timeout=10)[group].result(timeout=20)
                break
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.GROUP_ID_NOT_FOUND:  # the first run's is not there yet
                    break
                if code not in _LATER or time.monotonic() > until:
                    raise
            time.sleep(0.5)


async def read(bootstrap: str, topic: str, *, fetch_bytes: int = FETCH_BYTES) -> AsyncIterator[list[Chunk]]:
    """Everything that a topic holds now, fetch by fetch, as the workers read it."""
    async with ChunkReader(bootstrap, client_id="bench-reader", fetch_bytes=fetch_bytes) as reader:
        partitions = await reader.partitions(topic)
        begins, ends = await reader.begins(partitions), await reader.ends(partitions)
        reader.assign({tp: (begins[tp], ends[tp]) for tp in partitions})
        while chunks := await reader.fetch():
            yield chunks

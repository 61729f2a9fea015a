"""Reading a topic for a person: outside of any group, from the beginning or from now on."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncGenerator, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

import broker  # noqa: F401 - importing it is what lets aiokafka read any record, whatever its headers are
from broker import security
from broker.login import explain
from broker.probe import absent
from schemas import UsageError
from schemas.topics import topics


def topic_name(given: str) -> str:
    """The full name of a topic: ``price-changes`` is ``ashare.price-changes.v1``.

    Raises:
        UsageError: the pipeline has no such topic.
    """
    short = {name.split(".")[1]: name for name in topics()}
    if given in topics():
        return given
    if given in short:
        return short[given]
    near = difflib.get_close_matches(given, [*short, *topics()], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(short)}"
    raise UsageError(f"no topic is called {given!r}: {hint}")


async def follow(
    bootstrap: str, topic: str, *, earliest: bool, limit: int | None = None, codes: Collection[str] = ()
) -> AsyncGenerator[list[Any], None]:
    """Records as they come, in lists, for ever or until ``limit``.

    Args:
        earliest: begin with the oldest record kept; else with what comes from now on.
        codes: only records with these keys; empty for all.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
    """
    consumer = AIOKafkaConsumer(
        **security.options(),
        bootstrap_servers=bootstrap.split(","),
        client_id="ashare-tail",
        enable_auto_commit=False,
        auto_offset_reset="earliest" if earliest else "latest",
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
    except (KafkaError, OSError) as error:
        await consumer.stop()
        raise await asyncio.to_thread(explain, bootstrap, error) from error
    try:
        partitions = await _partitions(consumer, topic)
        if not partitions:
            raise await absent(bootstrap, topic)
        places = [TopicPartition(topic, number) for number in sorted(partitions)]
        consumer.assign(places)
        if not earliest:
            await consumer.seek_to_end(*places)
        keys = {code.encode() for code in codes}
        left = limit
        while left is None or left > 0:
            fetched = await consumer.getmany(timeout_ms=1000)
            some = [record for records in fetched.values() for record in records if not keys or record.key in keys]
            # Partitions come one after the other: by their timestamps the records read as they happened.
            some.sort(key=lambda record: record.timestamp)
            some = some[:left]
            if some:
                yield some
            if left is not None:
                left -= len(some)
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    # What the client knows of a topic that it does not read yet may be stale, or nothing.
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    found: set[int] = cluster.partitions_for_topic(topic) or set()
    return found

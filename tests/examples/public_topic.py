"""The public topic, written as the pipeline writes it, with every null and every largest number of a change."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from broker.publisher import Headers, Publisher
from schemas import LineMark, Origin, PriceChange, cloudevents, encode
from schemas.bounds import EARLIEST_MS, INT64, LATEST_MS, LATEST_US, MAX_PRICE
from schemas.topics import PRICE_CHANGES, TICKS, partition_of, topics

FIRST = PriceChange(
    code="600519",
    price=1700.01,
    previous=None,
    change=None,
    change_bp=None,
    time=1795138200123,
    received=1795138200187342,
    volume=300,
    ticks=1,
    threshold=0.01,
    origin=Origin(partition=7, offset=118420),
)
LARGEST = PriceChange(
    code="000001",
    price=MAX_PRICE,
    previous=0.0001,
    change=999999999.9999,
    change_bp=-9.78,
    time=LATEST_MS,
    received=LATEST_US,
    volume=INT64,
    ticks=INT64,
    threshold=0.0,
    origin=Origin(partition=11, offset=INT64 - 10_000),
)
ODD = PriceChange(
    code="920799",
    price=10.22,
    previous=10.23,
    change=-0.01,
    change_bp=-9.78,
    time=EARLIEST_MS,
    received=EARLIEST_MS * 1000 + 1,
    volume=1234567.5,
    ticks=2**31,
    threshold=1e-4,
    origin=Origin(partition=0, offset=0),
)
FOREIGN = PriceChange(
    code="00700.HKEX",
    price=612.5,
    previous=612.0,
    change=0.5,
    change_bp=8.17,
    time=1795138200124,
    received=1795138200187343,
    volume=None,
    ticks=41,
    threshold=0.3,
    origin=Origin(partition=3, offset=2**53 + 1),  # the first integer that a double can't hold
    cause=LineMark("post-1", 1795138200000, 41, 1795138200187343),
    quality="future",
)
Line = dict[str, Any]

KINDS = (FIRST, LARGEST, ODD, FOREIGN)


class PublicTopic:
    """The public topic, written by the pipeline's own publisher and encoder."""

    def __init__(self, bootstrap: str) -> None:
        """Nothing is published."""
        self.bootstrap = bootstrap
        self.published: list[PriceChange] = []

    def publish(self, *changes: PriceChange) -> list[PriceChange]:
        """Publish changes, acknowledged, each with an origin of its own; gives them as published."""
        offsets = [change.origin.offset + number for number, change in enumerate(changes, len(self.published))]
        numbered = [
            msgspec.structs.replace(
                change,
                origin=Origin(partition=change.origin.partition, offset=offset),
                cause=change.cause and msgspec.structs.replace(change.cause, n=offset % 2**53),
            )
            for change, offset in zip(changes, offsets, strict=True)
        ]
        send(self.bootstrap, PRICE_CHANGES, ((c.code, encode(c), cloudevents.headers(c, TICKS)) for c in numbered))
        self.published += numbered
        return numbered


def send(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes, Headers]]) -> None:
    """Publish records (key, value, headers) as the pipeline does, stamped with the time that it is, acknowledged."""

    async def publish() -> None:
        publisher = Publisher(bootstrap, client_id="examples")
        await publisher.start(topic)
        for key, value, headers in records:
            queue = publisher.queue(topic, partition_of(key, topics()[topic].partitions))
            queue.add(key.encode(), value, time.time_ns() // 1_000_000, headers)
        await publisher.stop()

    # In a thread of its own: pytest-asyncio's event loop belongs to the tests.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(publish())).result()


def as_printed(change: PriceChange) -> Line:
    """What an example prints of a change."""
    return {"ce_id": cloudevents.change_id(change), **json.loads(encode(change))}


def by_code(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Lines by their code: within it, order is promised."""
    codes = defaultdict(list)
    for line in lines:
        codes[line["code"]].append(line)
    return codes

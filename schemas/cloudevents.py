"""CloudEvents 1.0 headers (Kafka binding, binary mode) of the public topic.

The id comes from the tick that caused the change, so it is the same after any replay, and a reader drops what comes
again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from schemas.records import PriceChange
from schemas.topics import TICKS

FIXED = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"ashare.price-change.v1"),
    ("ce_source", b"ashare-stream/changes"),
    ("content-type", b"application/json"),
]
"""The headers that are the same on every change."""


def change_id(change: PriceChange, topic: str = TICKS) -> str:
    """The event id of a change: ``topic/partition/offset`` of its tick."""
    return f"{topic}/{change.origin.partition}/{change.origin.offset}"


def headers(change: PriceChange, topic: str = TICKS) -> list[tuple[str, bytes]]:
    """The CloudEvents headers of a change, always in the same order."""
    seconds, ms = divmod(change.time, 1000)
    origin = change.origin
    return [
        ("ce_id", b"%s/%d/%d" % (topic.encode(), origin.partition, origin.offset)),
        *FIXED,
        ("ce_time", b"%s.%03dZ" % (_second(seconds), ms)),
    ]


@lru_cache(1 << 12)
def _second(seconds: int) -> bytes:
    """A time to its second: nearly all changes share theirs with others."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".encode()

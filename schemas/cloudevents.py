"""CloudEvents 1.0 headers (Kafka binding, binary mode) of the public topic.

The id comes from the tick that caused the change, so it is the same after any replay, and a reader drops what comes
again.
"""

from __future__ import annotations

from datetime import UTC, datetime

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
    at = datetime.fromtimestamp(change.time // 1000, UTC)
    time = f"{at:%Y-%m-%dT%H:%M:%S}.{change.time % 1000:03d}Z"
    return [("ce_id", change_id(change, topic).encode()), *FIXED, ("ce_time", time.encode())]

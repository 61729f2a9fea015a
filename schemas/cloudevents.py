"""CloudEvents 1.0 headers (Kafka binding, binary mode) of the public topic.

The id is the name of the tick that caused the change, so it is the same after any replay and names one content for
ever, and a reader drops what comes again: ``docs/decisions.md``, "What names a price change".
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from schemas.records import PriceChange, Tick
from schemas.topics import TICKS

FIXED = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"ashare.price-change.v1"),
    ("ce_source", b"ashare-stream/changes"),
    ("content-type", b"application/json"),
]
"""The headers that are the same on every change."""


def change_id(change: PriceChange, topic: str = TICKS) -> str:
    """The event id of a change: ``SOURCE/RUN/N`` of its tick.

    Args:
        topic: of the ticks; it names a change that was written before changes carried their ``cause``.
    """
    return _id(change, topic).decode()


def headers(change: PriceChange, topic: str = TICKS) -> list[tuple[str, bytes]]:
    """The CloudEvents headers of a change, always in the same order."""
    seconds, ms = divmod(change.time, 1000)
    return [
        ("ce_id", _id(change, topic)),
        *FIXED,
        ("ce_time", b"%s.%03dZ" % (_second(seconds), ms)),
    ]


def of_tick(tick: Tick, kind: str, source: str, tag: str = "") -> list[tuple[str, bytes]]:
    """The CloudEvents headers of a record that a tick causes, whose id is the tick's name.

    Args:
        kind: ``ce_type``.
        source: ``ce_source``.
        tag: added to the id, where one tick causes several records.
    """
    seconds, ms = divmod(tick.time, 1000)
    name = b"%s/%d/%d" % (_quoted(tick.source), tick.run, tick.n)
    return [
        ("ce_id", name + b"/" + quote(tag, safe="").encode() if tag else name),
        ("ce_specversion", b"1.0"),
        ("ce_type", kind.encode()),
        ("ce_source", source.encode()),
        ("content-type", b"application/json"),
        ("ce_time", b"%s.%03dZ" % (_second(seconds), ms)),
    ]


def _id(change: PriceChange, topic: str) -> bytes:
    cause = change.cause
    if cause is None:
        return b"%s/%d/%d" % (topic.encode(), change.origin.partition, change.origin.offset)
    return b"%s/%d/%d" % (_quoted(cause.source), cause.run, cause.n)


@lru_cache(1 << 12)
def _quoted(source: str) -> bytes:
    """A source percent-encoded but for letters, digits and ``-._~``: a slash in it must not look like another run."""
    return quote(source, safe="").encode()


@lru_cache(1 << 12)
def _second(seconds: int) -> bytes:
    """A time to its second: nearly all changes share theirs with others."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".encode()

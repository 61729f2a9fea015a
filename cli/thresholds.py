"""The topic of the thresholds that are set at run time: read whole, and written one record at a time."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass

from broker.publisher import Publisher
from broker.reader import whole
from schemas import RecordError, Threshold, decode, encode
from schemas.topics import THRESHOLDS

_ORDER = ("default", "board", "code")


@dataclass(frozen=True)
class Kept:
    """What is set for a scope; ``at`` is when, ms since the epoch."""

    scope: str
    threshold: str
    at: int


async def read(bootstrap: str) -> list[Kept]:
    """What the topic holds: the default first, then boards, then codes.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        ReadError: it stops answering.
    """
    kept: dict[str, Kept] = {}
    async with aclosing(whole(bootstrap, THRESHOLDS, client_id="ashare-threshold")) as chunks:
        async for chunk in chunks:
            for key, value, at in zip(chunk.keys, chunk.values, chunk.timestamps, strict=True):
                scope = (key or b"").decode("utf-8", "replace")
                kept.pop(scope, None)
                if value is not None:
                    kept[scope] = Kept(scope, _threshold(value), at)
    return sorted(kept.values(), key=lambda one: (_rank(one.scope), one.scope))


def _rank(scope: str) -> int:
    kind = scope.partition(":")[0]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _threshold(value: bytes) -> str:
    try:
        return decode(Threshold, value).threshold
    except RecordError as error:
        return f"unreadable: {error}"


async def write(bootstrap: str, scope: str, threshold: str | None) -> None:
    """Set a scope's threshold, or unset it; the broker has it when this returns.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        DeliveryError: it does not take the record.
    """
    publisher = Publisher(bootstrap, client_id="ashare-threshold", insist=False)
    await publisher.start(THRESHOLDS)
    value = None if threshold is None else encode(Threshold(scope, threshold))
    publisher.queue(THRESHOLDS, 0).add(scope.encode(), value, time.time_ns() // 1_000_000)
    await publisher.stop()

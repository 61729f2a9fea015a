"""``ashare.instruments.v1``, read whole and written by ``ashare instruments``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import aclosing

from broker.publisher import Publisher
from broker.reader import whole
from schemas import Instrument, RecordError, decode, encode
from schemas.topics import INSTRUMENTS

_CLIENT = "ashare-instruments"


async def read(bootstrap: str) -> dict[str, Instrument | None]:
    """What the topic holds, by code; ``None`` for a record that is no instrument: it is written anew, or removed.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        ReadError: it stops answering.
    """
    held: dict[str, Instrument | None] = {}
    async with aclosing(whole(bootstrap, INSTRUMENTS, client_id=_CLIENT)) as chunks:
        async for chunk in chunks:
            for key, value in zip(chunk.keys, chunk.values, strict=True):
                code = (key or b"").decode("utf-8", "replace")
                held.pop(code, None)
                if value is not None:
                    held[code] = _decoded(value)
    return held


async def write(bootstrap: str, records: Iterable[Instrument], removed: Iterable[str] = ()) -> None:
    """Write records, and what removes codes; the broker has all of it when this returns.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        DeliveryError: it does not take the records.
    """
    publisher = Publisher(bootstrap, client_id=_CLIENT)
    await publisher.start(INSTRUMENTS)
    try:
        now, queue = time.time_ns() // 1_000_000, publisher.queue(INSTRUMENTS, 0)
        for record in records:
            queue.add(record.code.encode(), encode(record), now)
        for code in removed:
            queue.add(code.encode(), None, now)
    finally:
        await publisher.stop()


def _decoded(value: bytes) -> Instrument | None:
    try:
        return decode(Instrument, value)
    except RecordError:
        return None

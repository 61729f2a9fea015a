"""State of codes whose row can't be read, made anew from the ticks that the log still holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import TopicPartition

from broker.chunk import Chunk
from broker.reader import ChunkReader
from schemas.topics import TICKS

log = logging.getLogger(__name__)

Rebuild = Callable[[dict[str, Any], Chunk], object]
"""Applies ticks to the rows of their partition; what they would emit was emitted when they were first applied."""
SHOWN = 8
"""Rows of one restoration that the log tells of one by one."""


class Damage:
    """Rows that could not be read, by partition and key, until a later record replaces them."""

    def __init__(self) -> None:
        """None so far."""
        self._found: dict[int, set[bytes]] = {}
        self._told = 0

    def unreadable(self, place: TopicPartition, offset: int, key: bytes | None, why: Exception) -> None:
        """A record is not a row: its code has no state, or the one before it."""
        if key is not None:
            self._found.setdefault(place.partition, set()).add(key)
        self._told += 1
        if self._told <= SHOWN:
            log.error(
                "%s/%d offset %d is not a state row, and is passed over: %s", place.topic, place.partition, offset, why
            )
        elif self._told == SHOWN + 1:
            log.error("%s: more records that are not state rows, and are passed over", place.topic)

    def replaced(self, partition: int, key: bytes | None) -> None:
        """A later record of the key could be read."""
        if key is not None and partition in self._found:
            self._found[partition].discard(key)

    def left(self) -> dict[int, frozenset[bytes]]:
        """The keys whose last record can't be read, by partition."""
        return {partition: frozenset(keys) for partition, keys in self._found.items() if keys}


async def rebuild(
    bootstrap: str, rows: Callable[[int], dict[str, Any]], apply: Rebuild, damage: Damage, ends: Mapping[int, int]
) -> None:
    """Apply the ticks of damaged codes again, up to where the worker goes on by itself.

    Args:
        ends: by partition, the offset that the worker goes on from.

    Raises:
        UsageError, ReadError: the log of the ticks can't be read.
    """
    left = damage.left()
    places = {TopicPartition(TICKS, partition): ends.get(partition, 0) for partition in left}
    async with ChunkReader(bootstrap, client_id="ashare-rebuild", fetch_bytes=4 << 20) as reader:
        begins = await reader.begins(places)
        reader.assign({place: (begins[place], end) for place, end in places.items()})
        found = 0
        while chunks := await reader.fetch():
            for chunk in chunks:
                keys = left[chunk.partition]
                chunk.select([index for index, key in enumerate(chunk.keys) if key in keys])
                found += len(chunk)
                apply(rows(chunk.partition), chunk)
    codes = sum(map(len, left.values()))
    log.warning(
        "the state of %s codes was made anew from %s ticks that the log still holds", f"{codes:,}", f"{found:,}"
    )

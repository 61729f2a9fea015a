"""A store's ticks as chunks, as the archive takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from broker.chunk import Chunk
from schemas import Tick, UsageError, encode
from stores import TickReader
from stores.columns import NAMES

_FIELDS = Tick.__struct_fields__


def chunks(store: TickReader, day: str, topic: str) -> Iterator[Chunk]:
    """A day's ticks of a topic by partition and offset.

    Raises:
        UsageError: two ticks have one place, so they are of two topics of the same name.
    """
    place = NAMES.index("kafka_partition")
    before = (-1, -1)
    for rows in store.rows(day, topic):
        for partition, some in groupby(rows, key=lambda row: row[place]):
            chunk = _chunk(topic, partition, list(some))
            if (partition, chunk.start) <= before or len(set(chunk.offsets)) < len(chunk.offsets):
                raise UsageError(
                    f"the store has two ticks of {day} under one offset of partition {partition}: {topic} was made"
                    " anew between them, and an archive holds one topic"
                )
            before = (partition, chunk.end - 1)
            yield chunk


def _chunk(topic: str, partition: int, rows: Sequence[Sequence[Any]]) -> Chunk:
    fields = len(_FIELDS)
    volume = _FIELDS.index("volume")
    chunk = Chunk(topic, partition, rows[0][fields + 2])
    for row in rows:
        values = [*row[:volume], _whole(row[volume]), *row[volume + 1 : fields]]
        tick = Tick(*values)
        chunk.offsets.append(row[fields + 2])
        chunk.timestamps.append(row[fields + 3])
        chunk.keys.append(tick.code.encode())
        chunk.values.append(encode(tick))
    chunk.end = chunk.offsets[-1] + 1
    return chunk


def _whole(value: float | None) -> float | int | None:
    """Whole shares as a whole number, as the log has them; a store may keep them as floating point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

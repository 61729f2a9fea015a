"""A store's ticks as chunks, as the archive takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from broker.chunk import Chunk
from schemas import BareTick, Tick, UsageError, encode
from stores import TickReader
from stores.columns import NAMES, levels

_BARE, _FIELDS = len(BareTick.__struct_fields__), len(Tick.__struct_fields__)
_VOLUME, _OFFSET = NAMES.index("volume"), NAMES.index("kafka_offset")
_DAY_VOLUME = NAMES.index("day_volume") - NAMES.index("day_open")


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
    """Rows as the pipeline writes them: a tick with nothing beside the trade without the fields for that."""
    chunk = Chunk(topic, partition, rows[0][_OFFSET])
    for row in rows:
        tick = _tick(row)
        chunk.offsets.append(row[_OFFSET])
        chunk.timestamps.append(row[_OFFSET + 1])
        chunk.keys.append(tick.code.encode())
        chunk.values.append(encode(tick))
    chunk.end = chunk.offsets[-1] + 1
    return chunk


def _tick(row: Sequence[Any]) -> BareTick:
    plain = [*row[:_VOLUME], _whole(row[_VOLUME]), *row[_VOLUME + 1 : _BARE]]
    bids, asks, *figures = row[_BARE:_FIELDS]
    if bids is None and asks is None and figures.count(None) == len(figures):
        return BareTick(*plain)
    figures[_DAY_VOLUME] = _whole(figures[_DAY_VOLUME])
    try:
        return Tick(*[*plain, levels(bids), levels(asks), *figures])
    except msgspec.MsgspecError as error:
        place = f"{row[_OFFSET - 1]}/{row[_OFFSET]}"
        raise UsageError(f"the store has a book that can't be read, of the tick at {place}: {error}") from error


def _whole(value: float | None) -> float | int | None:
    """Whole shares as a whole number, as the log has them; a store may keep them as floating point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

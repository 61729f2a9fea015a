"""The time of a record, and a partition's times made to rise, so that partitions can be merged by them.

Pure. Times are ms since the epoch: the exchange's, as the record's value has it, or the receipt's, Kafka's timestamp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import sub
from typing import Any

import msgspec

from broker.chunk import Chunk

REWIND_MS = 30 * 60_000
"""Times that go back by more are another run of the market in the same log, not a late record."""
ERA = 1 << 48
"""What is added to a merge key for each such rewind; beyond any time in ms until the year 10889."""
_LATEST = ERA - 1


class _Timed(msgspec.Struct, gc=False):
    time: int | None = None


class _Event(msgspec.Struct, gc=False):
    at: int | None = None


_time = msgspec.json.Decoder(_Timed).decode
_at = msgspec.json.Decoder(_Event).decode


def _of_value(value: Any) -> int | None:
    return _time(value).time


def _of_event(value: Any) -> int | None:
    at = _at(value).at
    return None if at is None else at // 1000


_READERS: dict[str, Callable[[Any], int | None] | None] = {
    "feed-event": _of_event,
    "dead-letter": None,
    "threshold": None,
    "change-state": None,
}


def exchange_times(kind: str, chunk: Chunk, *, typed: bool = False) -> list[int]:
    """Each record's exchange time; its receive time where it has none, or can't be read.

    Args:
        kind: the record type's name in ``topics.yaml``, "" for a topic that is not declared.
        typed: the chunk's ticks are decoded anyway: take the times from them.
    """
    read = _READERS.get(kind, _of_value)
    if read is None:
        return chunk.timestamps
    try:
        if typed and not chunk.bad:
            times: list[int | None] = [tick.time for tick in chunk.ticks]  # type: ignore[union-attr]
        elif read is _of_value:
            times = [_time(value).time for value in chunk.values]  # type: ignore[arg-type]
        else:
            times = [read(value) for value in chunk.values]
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        times = [_or_none(read, value) for value in chunk.values]
    if None in times or (times and not 0 <= min(times) <= max(times) <= _LATEST):  # type: ignore[type-var, operator]
        return [
            timestamp if time is None or not 0 <= time <= _LATEST else time
            for time, timestamp in zip(times, chunk.timestamps, strict=True)
        ]
    return times  # type: ignore[return-value]


def _or_none(read: Callable[[Any], int | None], value: bytes | None) -> int | None:
    try:
        return read(value)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        return None


class PartitionClock:
    """Merge keys of one partition's records: they never fall, whatever the times do.

    A record that is late by a little is due with the one before it. Times that go back by more than ``REWIND_MS`` begin
    a new era, which merges after the one before: the same session, played twice into one log, is two sessions in a row.
    """

    __slots__ = ("state",)

    def __init__(self, state: int = 0) -> None:
        """Start from ``state``: the key of the record before."""
        self.state = state

    def keys(self, times: Sequence[int]) -> list[int]:
        """The keys of the next records."""
        if not times:
            return []
        era, high = divmod(self.state, ERA)
        highs = list(accumulate(times, max, initial=high))[1:]
        if max(map(sub, highs, times)) <= REWIND_MS:
            keys = highs if not era else [era * ERA + high for high in highs]
        else:
            keys = []
            for time in times:
                if time < high - REWIND_MS:
                    era, high = era + 1, time
                elif time > high:
                    high = time
                keys.append(era * ERA + high)
        self.state = keys[-1]
        return keys


def time_of(key: int) -> int:
    """The time that a merge key stands for, ms since the epoch."""
    return key % ERA

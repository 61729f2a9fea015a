"""The time of a record, and a partition's times made to rise, so that partitions can be merged by them.

Pure. Times are ms since the epoch: the exchange's, as the record's value has it, or the receipt's, Kafka's timestamp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, NamedTuple

import msgspec

from broker.chunk import Chunk
from schemas.bounds import LATEST_MS
from schemas.usable import UNREADABLE

REWIND_MS = 30 * 60_000
"""Times that go back by more are another run of the market in the same log, not a late record, and times that go ahead
by more are another hour, not an early one: where so many records in a row say so that it can't be one wrong clock."""
AGREEING = 8
"""Records in a row."""
ERA = 1 << 48
"""What is added to a merge key for each such rewind; beyond any time in ms until the year 10889."""


class _Timed(msgspec.Struct, gc=False):
    time: int | None = None


class _Bar(msgspec.Struct, gc=False):
    end: int | None = None


class _Event(msgspec.Struct, gc=False):
    at: int | None = None


_time = msgspec.json.Decoder(_Timed).decode
_end = msgspec.json.Decoder(_Bar).decode
_at = msgspec.json.Decoder(_Event).decode


def _of_value(value: Any) -> int | None:
    return _time(value).time


def _of_event(value: Any) -> int | None:
    at = _at(value).at
    return None if at is None else at // 1000


def _of_bar(value: Any) -> int | None:
    return _end(value).end  # before that nobody could have it


_READERS: dict[str, Callable[[Any], int | None] | None] = {
    "feed-event": _of_event,
    "dead-letter": None,
    "threshold": None,
    "change-state": None,
    "bar": _of_bar,
    "bar-state": None,
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
    except (*UNREADABLE, TypeError):
        times = [_or_none(read, value) for value in chunk.values]
    if None in times or (times and not 0 <= min(times) <= max(times) <= LATEST_MS):  # type: ignore[type-var, operator]
        return [
            timestamp if time is None or not 0 <= time <= LATEST_MS else time
            for time, timestamp in zip(times, chunk.timestamps, strict=True)
        ]
    return times  # type: ignore[return-value]


def _or_none(read: Callable[[Any], int | None], value: bytes | None) -> int | None:
    try:
        return read(value)
    except (*UNREADABLE, TypeError):
        return None


class State(NamedTuple):
    """Where a clock stands.

    Attributes:
        key: of the record before.
        timestamp: of the last record that was in time; -1 before the first.
        other: the latest of the ``agreeing`` records in a row, up to the one before, that say that it is another time;
            before ``key``'s or after it.
    """

    key: int = 0
    timestamp: int = -1
    other: int = 0
    agreeing: int = 0


class PartitionClock:
    """Merge keys of one partition's records: they never fall, whatever the times do.

    A record that is late is due with the one before it, and so is one that is early by more than ``REWIND_MS`` where
    its receipt does not tell that as much time has passed. Only when ``AGREEING`` records in a row go ahead by more,
    the time has; and when so many go back by more, a new era begins, which merges after the one before: the same
    session, played twice into one log, is two sessions in a row.
    """

    __slots__ = ("state",)

    def __init__(self, state: State | None = None) -> None:
        """Start from ``state``, that of another clock."""
        self.state = State() if state is None else state

    def keys(self, times: Sequence[int], timestamps: Sequence[int] = ()) -> list[int]:
        """The keys of the next records.

        Args:
            timestamps: the records', ms since the epoch; without them every time that is far ahead has to be confirmed.
        """
        if not times:
            return []
        state = self.state
        if state.timestamp >= 0 and not state.agreeing:
            era, high = divmod(state.key, ERA)
            highs = list(accumulate(times, max, initial=high))
            if max(map(sub, highs[1:], times)) <= REWIND_MS and max(map(sub, highs[1:], highs)) <= REWIND_MS:
                del highs[0]
                keys = highs if not era else [era * ERA + high for high in highs]
                self.state = State(keys[-1], timestamps[-1] if timestamps else state.timestamp)
                return keys
        return [self._next(time, stamp) for time, stamp in zip(times, timestamps or [0] * len(times), strict=True)]

    def _next(self, time: int, timestamp: int) -> int:
        key, last, other, agreeing = self.state
        era, high = divmod(key, ERA)
        if last < 0:
            # Nothing to compare it with but its receipt.
            high = timestamp if 0 < timestamp < time - REWIND_MS else time
        elif not high - REWIND_MS <= time <= high + REWIND_MS + max(timestamp - last, 0):
            agrees = agreeing and (other < high) == (time < high) and abs(time - other) <= REWIND_MS
            other, agreeing = (max(other, time), agreeing + 1) if agrees else (time, 1)
            if agreeing < AGREEING:
                self.state = State(key, last, other, agreeing)
                return key
            if other < high:
                era += 1
            high = other
        else:
            high = max(high, time)
        key = era * ERA + high
        self.state = State(key, timestamp)
        return key


def time_of(key: int) -> int:
    """The time that a merge key stands for, ms since the epoch."""
    return key % ERA

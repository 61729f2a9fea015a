"""Reading a record's bytes, whatever a stranger has written there: a record within its bounds, or `UNREADABLE`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ashare_client.records import Record, Tick

MAX_DEPTH = 32
"""Levels of nesting; a record of the pipeline has three."""
RUN_AHEAD_MS = 86_400_000
"""How far a tick's `run` may be ahead of its `received`."""
RECEIVED_AHEAD_MS = 3_600_000
"""How far a tick's `received` may be ahead of its record's timestamp, which a broker holds to its own clock."""
_STAMPED_MS = 631_152_000_000
"""Before 1990 a timestamp says nothing."""
_SHORT = 250
"""Bytes of a record below which objects can't be nested too deep."""
_LEVELS = re.compile(rb'"(?:[^"\\]+|\\.)*+"|[\[\]{}]', re.DOTALL)


class UnusableError(ValueError):
    """A record that can be decoded and is none all the same; the text says why."""


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UnusableError)
"""All that a reader made by `reader` raises."""

Read = Callable[[bytes, int], Any]


def reader(record: type[Record]) -> Read:
    """What reads the value of a record with a timestamp (ms since the epoch)."""
    decode = msgspec.json.Decoder(record).decode

    def read(value: bytes, timestamp: int) -> Any:  # noqa: ARG001 - a tick is held against it
        if (b"[" in value or len(value) >= _SHORT) and too_deep(value):
            raise UnusableError(f"it is nested deeper than {MAX_DEPTH} levels")
        return decode(value)

    def read_tick(value: bytes, timestamp: int) -> Any:
        tick = read(value, timestamp)
        received = tick.received // 1000
        if tick.run > received + RUN_AHEAD_MS:
            raise UnusableError("its run is more than a day after it was received - at `$.run`")
        if received > timestamp + RECEIVED_AHEAD_MS and timestamp >= _STAMPED_MS:
            raise UnusableError("it was received more than an hour after the record's timestamp - at `$.received`")
        return tick

    return read_tick if record is Tick else read


def too_deep(data: bytes) -> bool:
    """Whether arrays and objects lie in one another more than `MAX_DEPTH` levels deep; linear."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _LEVELS.finditer(data):
        character = found[0]
        if character in {b"[", b"{"}:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif character in {b"]", b"}"}:
            depth -= 1
    return False

"""What a usable tick is, in one place: its types and bounds (``schemas.records``), and what they can't say.

Jobs, stores, archive and replay read chunks by ``read_ticks``; whoever reads one record, by ``schemas.decode``. The
client library, which imports nothing of ours, is made to hold the same rule (``schemas.client_records``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import methodcaller

import msgspec

from schemas.bounds import EARLIEST_MS, MAX_DEPTH, MAX_LEVELS, RECEIVED_AHEAD_MS, RUN_AHEAD_MS
from schemas.records import Tick

_decode = msgspec.json.Decoder(Tick).decode

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that reading bytes raises."""

_JOINED = 200
_SHORT = 250
"""Bytes of a usable tick from which on objects, at least five bytes each, can be nested too deep."""
_BOOK = 2 * (1 + MAX_LEVELS)
"""Arrays of a tick with the fullest book."""
_OBJECTS = MAX_DEPTH - _BOOK
"""Objects, the tick itself among them, that with so many arrays can't lie too deep, however they lie."""
_arrays = methodcaller("count", b"[")
_OPENINGS = re.compile(rb'"(?:[^"\\]+|\\.)*+"|[\[\]{}]', re.DOTALL)


def too_deep(data: bytes) -> bool:
    """Whether arrays and objects lie in one another more than ``MAX_DEPTH`` levels deep; linear.

    The record itself is the first level.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _OPENINGS.finditer(data):
        match found[0]:
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    return True
            case b"]" | b"}":
                depth -= 1
    return False


def unusable(tick: Tick, timestamp: int = -1) -> str | None:
    """What is wrong with a tick whose every field is within its bounds; ``None`` if nothing.

    Args:
        timestamp: of its record, ms since the epoch, where there is one.
    """
    if tick.run * 1000 > tick.received + RUN_AHEAD_MS * 1000:
        return f"run: {tick.run} is more than a day after it was received - at `$.run`"
    # A broker takes no record that is dated more than an hour ahead, so nobody can forge both.
    if timestamp >= EARLIEST_MS and tick.received > (timestamp + RECEIVED_AHEAD_MS) * 1000:
        return f"received: {tick.received} is more than an hour after the record's timestamp - at `$.received`"
    return None


def read_ticks(values: Sequence[bytes | None], timestamps: Sequence[int]) -> tuple[list[Tick | None], list[int]]:
    """Records of the tick topic as ticks; ``None`` where one is not a usable tick, and the indexes of those.

    Nothing is raised, whatever the records hold. ``reason`` tells why one was refused.
    """
    if not values:
        return [], []
    # What every tick pays: bounds narrower than the rule, the same for all. A tick beyond them is looked at closely.
    in_order = sorted(timestamps)  # they nearly are: that is faster than looking for the least and the greatest
    latest = (in_order[0] + RECEIVED_AHEAD_MS) * 1000
    earliest = (in_order[-1] - RECEIVED_AHEAD_MS) * 1000
    last_run = earliest // 1000 + RUN_AHEAD_MS
    decode = _decode
    ticks: list[Tick | None] = []
    add = ticks.append
    try:
        for value in values:
            tick = decode(value)  # type: ignore[arg-type]
            if tick.received > latest or tick.received < earliest or tick.run > last_run:
                break
            add(tick)
        else:
            if not _any_nested(values):  # type: ignore[arg-type]
                return ticks, []
    except (*UNREADABLE, TypeError):
        pass
    ticks = [_read(value, timestamp)[0] for value, timestamp in zip(values, timestamps, strict=True)]
    return ticks, [index for index, tick in enumerate(ticks) if tick is None]


def reason(value: bytes | None, timestamp: int = -1) -> str:
    """Why a record is not a usable tick; empty if it is one."""
    tick, why = _read(value, timestamp)
    return why if tick is None else ""


def _any_nested(values: Sequence[bytes]) -> bool:
    """Whether any record, each an object, may be nested too deep: whether it has more openings than a tick with a book.

    Joined a few at a time, they stay in the processor's cache.
    """
    long = max(map(len, values)) >= _SHORT
    for first in range(0, len(values), _JOINED):
        some = values[first : first + _JOINED]
        joined = b"".join(some)
        arrays = b"[" in joined
        if arrays and max(map(_arrays, some)) > _BOOK:
            return True
        # Each record has one, so that no record can have more than are left.
        if (arrays or long) and joined.count(b"{") >= len(some) + _OBJECTS:
            return True
    return False


def _read(value: bytes | None, timestamp: int) -> tuple[Tick | None, str]:
    if value is None:
        return None, "no value"
    try:
        if too_deep(value):
            return None, f"nested deeper than {MAX_DEPTH} levels"
        tick = _decode(value)
    except UNREADABLE as error:
        return None, str(error)
    why = unusable(tick, timestamp)
    return (tick, "") if why is None else (None, why)

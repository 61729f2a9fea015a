"""What a usable tick is, in one place: its types and bounds (``schemas.records``), and what they can't say.

Jobs, stores, archive and replay read chunks by ``read_ticks``; whoever reads one record, by ``schemas.decode``. The
client library, which imports nothing of ours, is made to hold the same rule (``schemas.client_records``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from schemas.bounds import EARLIEST_MS, MAX_DEPTH, RECEIVED_AHEAD_MS, RUN_AHEAD_MS
from schemas.records import Tick

_decode = msgspec.json.Decoder(Tick).decode

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that reading bytes raises."""

_SHORT = 250
"""Bytes of a usable tick from which on objects, at least five bytes each, can be nested too deep."""
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
    """Records of the tick topic as ticks; ``None`` where one is no usable tick, and the indexes of those.

    Nothing is raised, whatever the records hold. ``reason`` tells why one was refused.
    """
    try:
        ticks: list[Tick | None] = [_decode(value) for value in values]  # type: ignore[arg-type]
        if not _any_doubt(values, timestamps, ticks):  # type: ignore[arg-type]
            return ticks, []
    except (*UNREADABLE, TypeError):
        pass
    ticks = list(_one_by_one(values, timestamps))
    return ticks, [index for index, tick in enumerate(ticks) if tick is None]


def reason(value: bytes | None, timestamp: int = -1) -> str:
    """Why a record is no usable tick; empty if it is one."""
    tick, why = _read(value, timestamp)
    return why if tick is None else ""


def _any_doubt(values: Sequence[bytes], timestamps: Sequence[int], ticks: Sequence[Tick]) -> bool:
    """Whether any record has to be looked at closely: what a chunk costs here, every tick pays."""
    if not ticks:
        return False
    if b"[" in b"".join(values) or (
        max(map(len, values)) >= _SHORT and any(len(value) >= _SHORT and b"{" in value[1:] for value in values)
    ):
        return True
    received = [tick.received for tick in ticks]
    runs = {tick.run for tick in ticks}
    return (
        max(runs) > min(received) // 1000 + RUN_AHEAD_MS or max(received) // 1000 > min(timestamps) + RECEIVED_AHEAD_MS
    )


def _one_by_one(values: Sequence[bytes | None], timestamps: Sequence[int]) -> Iterator[Tick | None]:
    for value, timestamp in zip(values, timestamps, strict=True):
        yield _read(value, timestamp)[0]


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

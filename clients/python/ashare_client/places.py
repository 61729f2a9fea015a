"""Where to begin and where to end: what `start=` and `end=` take, read once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ashare_client.errors import ArgumentError

Start = Literal["latest", "earliest"] | datetime | int | Mapping[int, int]
"""A word, a time (a `datetime` with a zone, or ms since the epoch), or offsets by partition.

A time means the first record received at or after it; `end` is exclusive. With offsets, partitions that are not named
are not read.
"""

End = Literal["now"] | datetime | int | Mapping[int, int]
"""As `Start`; `"now"` is what the log holds when it is opened."""

_MS_FROM, _MS_BELOW = 10**11, 10**14
_SKEW_MS = 1_000
"""By which a time that was taken a moment ago may be ahead of the clock."""


@dataclass(frozen=True)
class Word:
    """`latest`, `earliest`, `now` or `state`."""

    word: str


@dataclass(frozen=True)
class Time:
    """A record timestamp: receive time, ms since the epoch."""

    ms: int


@dataclass(frozen=True)
class Offsets:
    """The next offset of each partition."""

    by_partition: Mapping[int, int]


Place = Word | Time | Offsets


def read_place(argument: str, given: object, words: tuple[str, ...]) -> Place:
    """What a place argument says.

    Raises:
        ArgumentError: it says nothing that can be meant.
    """
    match given:
        case str() if given in words:
            return Word(given)
        case datetime():
            if given.tzinfo is None:
                raise ArgumentError(
                    f"{argument}: {given} has no zone: write {given!r}.replace(tzinfo=ZoneInfo('Asia/Shanghai'))"
                )
            return Time(round(given.timestamp() * 1000))
        case bool():
            pass
        case int():
            if not _MS_FROM <= given < _MS_BELOW:
                raise ArgumentError(
                    f"{argument}: {given} is not a time in ms since the epoch; offsets are {{partition: n}}"
                )
            return Time(given)
        case Mapping():
            return Offsets(_offsets(argument, given))
    shown = ", ".join(repr(word) for word in words)
    raise ArgumentError(
        f"{argument}: {given!r} is not a place: write {shown}, a datetime with a zone, ms since the epoch, or"
        " {partition: offset}"
    )


def check_order(start: Place, end: Place | None) -> None:
    """That a range does not end before it begins, as far as its two places say so by themselves.

    Raises:
        ArgumentError: it does; the text names both.
    """
    match start, end:
        case Time(begin), Time(until) if until < begin:
            raise ArgumentError(f"end: {told(end)} lies before start: {told(start)}: swap them")
        case Time(begin), Word("now") if begin > time.time() * 1000 + _SKEW_MS:
            raise ArgumentError(f"end: 'now' lies before start: {told(start)}: read without an end, or start earlier")
        case Offsets(begins), Offsets(untils):
            for partition in sorted(begins.keys() & untils.keys()):
                if untils[partition] < begins[partition]:
                    raise ArgumentError(
                        f"end: offset {untils[partition]:,} of partition {partition} lies before start: offset"
                        f" {begins[partition]:,}: swap them"
                    )


def told(place: Place | None) -> str:
    """A place as errors name it."""
    match place:
        case Word(word):
            return repr(word)
        case Time(ms):
            return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}.{ms % 1000:03d} UTC"
        case Offsets(by_partition):
            return repr(dict(by_partition))
        case _:
            return "none"


def _offsets(argument: str, given: Mapping[object, object]) -> dict[int, int]:
    found: dict[int, int] = {}
    for partition, offset in given.items():
        if type(partition) is not int or type(offset) is not int or partition < 0 or offset < 0:
            raise ArgumentError(
                f"{argument}: {partition!r}: {offset!r} is not a partition with an offset: write {{0: 1500}}"
            )
        found[partition] = offset
    if not found:
        raise ArgumentError(f"{argument}: no partition is named")
    return found

"""Where a replay begins and ends, as a user writes it: offsets, exchange times, durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from market.times import TimeError, day_start, parse_time, shanghai_date
from schemas import UsageError


class Edge(Enum):
    """The ends of what is available when the replay starts."""

    EARLIEST = "earliest"
    END = "end"


@dataclass(frozen=True)
class Offsets:
    """Offsets: ``every`` in all partitions, or each named partition's own; one that is not named has no part."""

    every: int | None = None
    by_partition: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ExchangeTime:
    """An exchange time, ms since the epoch: the record's own ``time`` is compared."""

    ms: int


@dataclass(frozen=True)
class Received:
    """A receive time, ms since the epoch: the record's Kafka timestamp is compared."""

    ms: int


Bound = Edge | Offsets | ExchangeTime | Received

FORMS = 'earliest, end, offset:1234, 3:1234,4:99 (partition:offset), "2026-11-20 09:30" (Shanghai), 2h'
_EDGES = {"earliest": Edge.EARLIEST, "end": Edge.END, "latest": Edge.END, "now": Edge.END}
_PLACES = re.compile(r"\d{1,5}:\d{1,19}(?:,\s*\d{1,5}:\d{1,19})*", re.ASCII)
_TIME_OF_DAY = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|min|[smhd])\s*)+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|min|[smhd])", re.ASCII)
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse(text: str, *, flag: str, now: int) -> Bound:
    """Read a bound.

    A bare time of day is one of today in Shanghai, so a single partition's offset that could pass for one is written
    ``offset:3:15``. A duration counts back from ``now`` and is about receipt: ``2h``, ``last 90m``, ``1h30m``.

    Args:
        flag: for the error's text.
        now: ms since the epoch.

    Raises:
        UsageError: none of the forms.
    """
    text = text.strip()
    if text.lower() in _EDGES:
        return _EDGES[text.lower()]
    if text.startswith("offset:"):
        return _offsets(text.removeprefix("offset:"), flag)
    if _PLACES.fullmatch(text) and not _TIME_OF_DAY.fullmatch(text):
        return _offsets(text, flag)
    bare = text.removeprefix("last ").strip()
    if _DURATION.fullmatch(bare):
        return Received(now - duration(bare, flag=flag))
    try:
        if _DATE.fullmatch(text):
            return ExchangeTime(day_start(text))
        return ExchangeTime(parse_time(text, today=shanghai_date(now)))
    except TimeError as error:
        raise UsageError(f"{flag} {text!r} is not understood ({error}): write {FORMS}") from error


def duration(text: str, *, flag: str) -> int:
    """A duration in ms: ``250ms``, ``90s``, ``30m``, ``2h``, ``1d``, or several in a row.

    Raises:
        UsageError: not a duration.
    """
    if not _DURATION.fullmatch(text.strip()):
        raise UsageError(f"{flag} {text!r} is not a duration: write 90s, 30m, 2h or 1d")
    return round(sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text)))


def _offsets(text: str, flag: str) -> Offsets:
    if text.isascii() and text.isdigit():
        return Offsets(every=int(text))
    if not _PLACES.fullmatch(text):
        raise UsageError(f"{flag}: {text!r} is not an offset: write offset:1234, or 3:1234,4:99 by partition")
    places: dict[int, int] = {}
    for place in text.split(","):
        partition, _, offset = place.strip().partition(":")
        if int(partition) in places:
            raise UsageError(f"{flag}: partition {partition} is named twice")
        places[int(partition)] = int(offset)
    return Offsets(by_partition=places)

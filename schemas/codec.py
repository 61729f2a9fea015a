"""The one codec of the contract: msgspec writes, and reads with types and refuses what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar, cast

import msgspec

from schemas.bounds import MAX_DEPTH
from schemas.records import Record, Tick
from schemas.usable import UNREADABLE, read_ticks, too_deep, unusable

R = TypeVar("R", bound=Record)

_encode = msgspec.json.Encoder().encode


class RecordError(ValueError):
    """A record that breaks the contract; the text names the field, as ``$.price``."""


def encode(record: Record) -> bytes:
    """The JSON bytes of a record, fields in their declared order, ``None`` as ``null``."""
    return _encode(record)


@cache
def decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    """The typed decoder of a record kind; it raises one of ``schemas.usable.UNREADABLE``."""
    return msgspec.json.Decoder(kind)


def decode(kind: type[R], data: bytes | None) -> R:
    """Read one record, whatever the bytes are; unknown fields are ignored.

    Raises:
        RecordError: not JSON, a field missing, of the wrong type or out of range; the text names the field. Nothing
            else is raised.
    """
    if data is None:
        raise RecordError(f"{kind.__name__}: no value")
    if too_deep(data):
        raise RecordError(f"{kind.__name__}: nested deeper than {MAX_DEPTH} levels")
    try:
        record: R = decoder(kind).decode(data)
    except UNREADABLE as error:
        raise RecordError(f"{kind.__name__}: {error}") from error
    if isinstance(record, Tick) and (why := unusable(record)) is not None:
        raise RecordError(f"{kind.__name__}: {why}")
    return record


def decode_each(kind: type[R], values: Sequence[bytes | None], timestamps: Sequence[int]) -> list[R | None]:
    """Read many records; ``None`` where a value is none of this kind. Nothing is raised, whatever they hold.

    Args:
        timestamps: the records', ms since the epoch.
    """
    if kind is Tick:
        return cast("list[R | None]", read_ticks(values, timestamps)[0])
    read = decoder(kind).decode
    try:
        if not any(map(too_deep, values)):  # type: ignore[arg-type]
            return [read(value) for value in values]  # type: ignore[arg-type]
    except (*UNREADABLE, AttributeError, TypeError):
        pass
    return [_or_none(kind, value) for value in values]


def _or_none(kind: type[R], value: bytes | None) -> R | None:
    try:
        return decode(kind, value)
    except RecordError:
        return None

"""The one codec of the contract: msgspec writes, and reads with types and refuses what is wrong."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import msgspec

from schemas.records import Record

R = TypeVar("R", bound=Record)

_encode = msgspec.json.Encoder().encode


class RecordError(ValueError):
    """A record that breaks the contract; the text names the field, as ``$.price``."""


def encode(record: Record) -> bytes:
    """The JSON bytes of a record, fields in their declared order, ``None`` as ``null``."""
    return _encode(record)


@cache
def decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    """The typed decoder of a record kind; it raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return msgspec.json.Decoder(kind)


def decode(kind: type[R], data: bytes) -> R:
    """Read one record; unknown fields are ignored.

    Raises:
        RecordError: not JSON, a field missing, of the wrong type or out of range; the text names the field.
    """
    try:
        record: R = decoder(kind).decode(data)
    except msgspec.MsgspecError as error:
        raise RecordError(f"{kind.__name__}: {error}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{kind.__name__}: not UTF-8: {error}") from error
    return record

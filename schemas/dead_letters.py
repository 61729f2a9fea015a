"""A dead letter on the wire: the payload is the record's value, byte for byte; what is known of it is in headers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from schemas.bounds import MAX_SOURCE, MAX_TEXT
from schemas.codec import RecordError
from schemas.records import DeadLetter

Headers = Sequence[tuple[str, bytes]]
HEADERS = ("reason", "part", "source", "run", "received")


def to_kafka(letter: DeadLetter) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a dead letter's Kafka record; a reason that is too long is cut."""
    if len(letter.reason) > MAX_TEXT or len(letter.source) > MAX_SOURCE:
        letter = replace(letter, reason=letter.reason[:MAX_TEXT], source=letter.source[:MAX_SOURCE])
    return letter.payload, [(name, str(getattr(letter, name)).encode("utf-8", "replace")) for name in HEADERS]


def from_kafka(value: bytes, headers: Headers) -> DeadLetter:
    """The dead letter of a Kafka record.

    Raises:
        RecordError: a header is missing or unreadable; the text names it.
    """
    text = {name: data.decode("utf-8", "replace") for name, data in headers if name in HEADERS and data is not None}
    try:
        return msgspec.convert({**text, "payload": value}, DeadLetter, strict=False)  # numbers came as text
    except msgspec.ValidationError as error:
        raise RecordError(f"DeadLetter: headers: {error}") from error

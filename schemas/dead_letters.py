"""A dead letter on the wire: the payload is the record's value, byte for byte; what is known of it travels in headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from schemas.codec import RecordError
from schemas.records import DeadLetter

Headers = Sequence[tuple[str, bytes]]
HEADERS = ("reason", "part", "source", "run", "received")


def to_kafka(letter: DeadLetter) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a dead letter's Kafka record."""
    return letter.payload, [(name, str(getattr(letter, name)).encode()) for name in HEADERS]


def from_kafka(value: bytes, headers: Headers) -> DeadLetter:
    """The dead letter of a Kafka record.

    Raises:
        RecordError: a header is missing or unreadable; the text names it.
    """
    found = dict(headers)
    missing = [name for name in HEADERS if name not in found]
    if missing:
        raise RecordError(f"DeadLetter: header {missing[0]!r} is missing")
    text = {name: found[name].decode("utf-8", "replace") for name in HEADERS}
    if text["part"] not in ("frame", "tick"):
        raise RecordError(f"DeadLetter: header 'part' is {text['part']!r}, not 'frame' or 'tick'")
    try:
        run, received = int(text["run"]), int(text["received"])
    except ValueError as error:
        raise RecordError(f"DeadLetter: headers 'run' and 'received' must be integers: {error}") from error
    part = cast('Literal["frame", "tick"]', text["part"])
    return DeadLetter(value, text["reason"], part, text["source"], run, received)

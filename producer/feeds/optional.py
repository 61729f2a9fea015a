"""The fields that a tick need not have: one that can't be read is null, named, and costs the tick nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from producer.feeds.errors import UnreadableError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_SHOWN = 64


class Fields:
    """Reads a tick's optional fields one by one; ``unread`` names those that could not be, as ``quality`` does."""

    __slots__ = ("unread",)

    def __init__(self) -> None:
        """Nothing was read."""
        self.unread: str | None = None

    def __call__(self, field: str, read: Callable[..., T | None], *value: Any) -> T | None:
        """What ``read`` makes of a value; ``None`` for a value of ``None``, and where it can't be read."""
        if value[0] is None:
            return None
        try:
            return read(*value)
        except (UnreadableError, KeyError):
            self.unread = with_unread(self.unread, field)
            return None


def with_unread(unread: str | None, field: str) -> str:
    """The names of the fields that could not be read, with one more."""
    return f"unread_{field}" if unread is None else f"{unread},unread_{field}"


class Lenient(Generic[S]):
    """Decodes an object whose optional fields, those with a default, may hold anything at all.

    What must be there is checked by its type as ever. Where an optional field has another type than it should, each of
    them is ``None`` or a text, which the readers of values take or refuse: of a number or of anything else it is the
    JSON as it was written. One whose type is ``Any`` has what its JSON says.
    """

    def __init__(self, kind: type[S]) -> None:
        """A decoder of a ``msgspec.Struct``."""
        fields = msgspec.structs.fields(kind)
        self._kind = kind
        self._required = [field.name for field in fields if field.required]
        self._optional = {field.name: _any if field.type is Any else _text for field in fields if not field.required}
        loose = msgspec.defstruct(
            f"Lenient{kind.__name__}",
            [
                *((field.name, field.type) for field in fields if field.required),
                *((name, msgspec.Raw, msgspec.Raw()) for name in self._optional),
            ],
            gc=False,
        )
        self._typed = msgspec.json.Decoder(kind).decode
        self._loose = msgspec.json.Decoder(loose).decode

    def __call__(self, data: bytes | msgspec.Raw) -> S:
        """The object.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: not JSON, or a field that must be there is wrong.
        """
        try:
            return self._typed(data)
        except msgspec.ValidationError:
            found: Any = self._loose(data)
        values = {name: getattr(found, name) for name in self._required}
        return self._kind(**values, **{name: read(getattr(found, name)) for name, read in self._optional.items()})


def _any(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw) if bytes(raw) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _text(raw)


def _text(raw: msgspec.Raw) -> str | None:
    data = bytes(raw)
    if not data or data == b"null":
        return None
    if data.startswith(b'"'):
        try:
            return msgspec.json.decode(data, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return data[:_SHOWN].decode("utf-8", "replace")

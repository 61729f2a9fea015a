"""The fields that a tick need not have: one that can't be read is null, named, and costs the trade nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from producer.feeds.values import RefusedError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_SHOWN = 64
_QUOTED_BYTES = 2 << 20
_CONSTANT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|-?\bInfinity\b|\b[Nn]a[Nn]\b', re.DOTALL)
_MARK = " (not JSON)"
_MARKED = re.compile(rb'"(-?Infinity|[Nn]a[Nn]) \(not JSON\)"')


class Fields:
    """Reads a tick's optional fields one by one; ``unread`` names those that could not be, as ``quality`` does."""

    __slots__ = ("unread",)

    def __init__(self) -> None:
        """Nothing was read."""
        self.unread: str | None = None

    def __call__(self, field: str, read: Callable[..., T | None], *value: Any) -> T | None:
        """What ``read`` makes of a value; ``None`` where it refuses it."""
        try:
            return read(*value)
        except (RefusedError, KeyError):
            self.unread = f"unread_{field}" if self.unread is None else f"{self.unread},unread_{field}"
            return None


class Loose(Generic[S]):
    """Decodes an object whose optional fields, those with a default, may hold anything at all.

    What must be there is checked by its type as ever. An optional value is ``None`` or a text, which the readers of
    values take or refuse: of a number or of anything else it is the JSON, as it was written.
    """

    def __init__(self, kind: type[S]) -> None:
        """A decoder of a ``msgspec.Struct``."""
        fields = msgspec.structs.fields(kind)
        self._kind = kind
        self._required = [field.name for field in fields if field.required]
        self._optional = [field.name for field in fields if not field.required]
        loose = msgspec.defstruct(
            f"Loose{kind.__name__}",
            [
                *((field.name, field.type) for field in fields if field.required),
                *((name, msgspec.Raw, msgspec.Raw()) for name in self._optional),
            ],
            gc=False,
        )
        self._decode = msgspec.json.Decoder(loose).decode

    def __call__(self, data: bytes | msgspec.Raw) -> S:
        """The object.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: no JSON, or a field that must be there is wrong.
        """
        found: Any = self._decode(data)
        values = {name: getattr(found, name) for name in self._required}
        return self._kind(**values, **{name: _text(getattr(found, name)) for name in self._optional})


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


def quoted(data: bytes) -> bytes | None:
    """JSON in which ``NaN`` and ``Infinity``, as some libraries write them, have become texts that nothing reads.

    So they cost no more than the field that they stand in. ``None`` where there are none.
    """
    if len(data) > _QUOTED_BYTES or not (b"Infinity" in data or b"NaN" in data or b"nan" in data):
        return None
    if _MARKED.search(data) is not None:
        return None
    found = _CONSTANT.sub(_quote, data)
    return None if found == data else found


def unquoted(data: bytes) -> bytes:
    """What ``quoted`` was given."""
    return _MARKED.sub(rb"\1", data)


def _quote(match: re.Match[bytes]) -> bytes:
    text = match[0]
    return text if text.startswith(b'"') else b'"' + text + _MARK.encode() + b'"'

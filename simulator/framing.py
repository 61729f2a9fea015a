"""Ticks to frames: the JSON that a client reads, and the WebSocket bytes around it, made once for all who get them."""

from __future__ import annotations

from collections.abc import Sequence

_TEXT, _BINARY = 0x81, 0x82
"""A whole message in one frame (RFC 6455, 5.2: FIN and opcode 1 or 2); a server does not mask."""
_FIN = 0x80
_ONE_BYTE = 125
BEGINNING = bytes((_TEXT & ~_FIN, 0))
"""The empty first fragment of a text message that goes on."""
EMPTY_FRAGMENT = b"\x00\x00"
"""A fragment that continues a message, adds nothing and does not end it."""


def payloads(texts: Sequence[str], per_frame: int) -> list[bytes]:
    """The frames' JSON, ``{"ticks":[…]}``, of at most ``per_frame`` ticks each."""
    if per_frame == 1:
        return [f'{{"ticks":[{text}]}}'.encode() for text in texts]
    return [
        ('{"ticks":[' + ",".join(texts[at : at + per_frame]) + "]}").encode() for at in range(0, len(texts), per_frame)
    ]


def wire(frames: Sequence[bytes]) -> bytes:
    """The frames as they go over the socket, uncompressed and unmasked, one after the other."""
    parts: list[bytes] = []
    for frame in frames:
        parts.append(_header(len(frame)))
        parts.append(frame)
    return b"".join(parts)


def message(payload: bytes, *, binary: bool = False, pieces: int = 1) -> bytes:
    """A message as it goes over the socket, in one frame or in several fragments (RFC 6455, 5.4)."""
    first = _BINARY if binary else _TEXT
    if pieces == 1 or len(payload) < pieces:
        return _header(len(payload), first) + payload
    size = -(-len(payload) // pieces)
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    heads = [first & ~_FIN, *[0] * (len(parts) - 2), _FIN]
    return b"".join(_header(len(part), head) + part for head, part in zip(heads, parts, strict=True))


def _header(length: int, first: int = _TEXT) -> bytes:
    """RFC 6455, 5.2: up to 125 the length stands in the second byte, up to 65,535 in two more, else in eight."""
    if length <= _ONE_BYTE:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, _ONE_BYTE + 1, length >> 8, length & 0xFF))
    return bytes((first, _ONE_BYTE + 2)) + length.to_bytes(8, "big")

"""Ticks to frames: the JSON that a client reads, and the WebSocket bytes around it, made once for all who get them."""

from __future__ import annotations

from collections.abc import Sequence

_TEXT = 0x81
"""A whole text message in one frame (RFC 6455, 5.2: FIN and opcode 1); a server does not mask."""
_ONE_BYTE = 125


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


def _header(length: int) -> bytes:
    """RFC 6455, 5.2: up to 125 the length stands in the second byte, up to 65,535 in two more, else in eight."""
    if length <= _ONE_BYTE:
        return bytes((_TEXT, length))
    if length < 1 << 16:
        return bytes((_TEXT, _ONE_BYTE + 1, length >> 8, length & 0xFF))
    return bytes((_TEXT, _ONE_BYTE + 2)) + length.to_bytes(8, "big")

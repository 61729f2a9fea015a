"""WebSocket frames of a server, as bytes: one frame is made once and written to every connection that gets it.

RFC 6455, section 5.2: a text message in one frame, not masked, not compressed.
"""

from __future__ import annotations

_TEXT = b"\x81"
_SHORT, _MEDIUM = 125, 0xFFFF


def head(length: int) -> bytes:
    """What stands before a text message of so many bytes."""
    if length <= _SHORT:
        return _TEXT + bytes((length,))
    if length <= _MEDIUM:
        return _TEXT + b"\x7e" + length.to_bytes(2, "big")
    return _TEXT + b"\x7f" + length.to_bytes(8, "big")


def framed(message: bytes) -> bytes:
    """The frame of a text message; ``message`` is UTF-8."""
    return head(len(message)) + message

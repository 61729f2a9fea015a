"""WebSocket frames of a server, as bytes: one frame is made once and written to every connection that gets it.

RFC 6455, section 5.2: a text message in one frame, not masked, not compressed.
"""

from __future__ import annotations

_TEXT = b"\x81"
_SHORT, _MEDIUM = 125, 0xFFFF


def framed(message: bytes) -> bytes:
    """The frame of a text message; ``message`` is UTF-8."""
    length = len(message)
    if length <= _SHORT:
        return _TEXT + bytes((length,)) + message
    if length <= _MEDIUM:
        return _TEXT + b"\x7e" + length.to_bytes(2, "big") + message
    return _TEXT + b"\x7f" + length.to_bytes(8, "big") + message

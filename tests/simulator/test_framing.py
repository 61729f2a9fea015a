"""Messages as they go over the socket."""

from __future__ import annotations

import pytest
from websockets.frames import Opcode

from simulator.framing import message, payloads, wire


def read(data: bytes) -> list[tuple[int, bool, bytes]]:
    """Opcode, end of the message and payload of each frame, read by hand."""
    frames = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        frames.append((data[0] & 15, bool(data[0] & 128), data[start : start + length]))
        data = data[start + length :]
    return frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_message_is_one_frame_of_any_length(size: int) -> None:
    """Text or binary."""
    payload = b"x" * size
    assert read(message(payload)) == [(Opcode.TEXT, True, payload)]
    assert read(message(payload, binary=True)) == [(Opcode.BINARY, True, payload)]
    assert wire([payload, b"y"]) == message(payload) + message(b"y")


def test_fragments_are_a_beginning_continuations_and_an_end() -> None:
    """RFC 6455, 5.4; a message shorter than its pieces stays whole."""
    assert read(message(b"abcdefgh", pieces=3)) == [
        (Opcode.TEXT, False, b"abc"),
        (Opcode.CONT, False, b"def"),
        (Opcode.CONT, True, b"gh"),
    ]
    assert read(message(b"ab", pieces=3)) == [(Opcode.TEXT, True, b"ab")]


def test_ticks_are_gathered_into_frames() -> None:
    """At most so many each."""
    assert payloads(["1", "2", "3"], 2) == [b'{"ticks":[1,2]}', b'{"ticks":[3]}']

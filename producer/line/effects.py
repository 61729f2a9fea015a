"""What a line's protocol wants done: the driver carries these out in order and waits for room after each."""

from __future__ import annotations

import msgspec

from producer.feeds.decoded import FeedTick, Letter
from producer.gaps.gap import Detected
from producer.line.pacing import Message
from producer.pipeline.event import Event


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send a message to the server; ``PING`` of ``producer.line.pacing`` is a ping of the WebSocket protocol."""

    message: Message


class Ticks(msgspec.Struct, frozen=True, gc=False):
    """Hand on ticks that came at one time.

    Attributes:
        received: µs since the epoch.
        filtered: the server leaves out ticks without a trade by itself.
    """

    ticks: list[FeedTick]
    received: int
    filtered: bool = False


class DeadLetters(msgspec.Struct, frozen=True, gc=False):
    """Hand on what could not be read, byte for byte."""

    letters: list[Letter]
    received: int


class Close(msgspec.Struct, frozen=True, gc=False):
    """End the connection.

    Attributes:
        since: when it delivered last, µs since the epoch, where that is known.
    """

    reason: str
    detected: Detected = "disconnect"
    since: int | None = None


Effect = Send | Ticks | DeadLetters | Event | Close

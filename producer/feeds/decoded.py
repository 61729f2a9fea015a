"""What a feed's decoder makes of a frame: ticks, dead letters, answers. Every provider's module speaks these types."""

from __future__ import annotations

from typing import Literal

import msgspec


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One WebSocket message as it came; ``received`` is µs since the epoch."""

    payload: bytes
    binary: bool
    received: int


class FeedTick(msgspec.Struct, frozen=True, gc=False):
    """A pushed tick, read and checked, in the units of ``schemas.Tick``; nobody has numbered it yet."""

    code: str
    exchange: str
    price: float
    time: int
    volume: int | float | None = None
    turnover: float | None = None
    side: Literal["buy", "sell"] | None = None
    seq: int | None = None
    previous_close: float | None = None


class Letter(msgspec.Struct, frozen=True, gc=False):
    """What could not be read, byte for byte: a whole frame, or one tick of it."""

    payload: bytes
    reason: str
    part: Literal["frame", "tick"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The server's word on a request; ``trades_only`` is true where it says that it filters by itself."""

    kind: Literal["subscribed", "refused", "other"]
    text: str
    trades_only: bool = False


class Decoded(msgspec.Struct, gc=False):
    """All that one frame holds. Ticks and letters are in the order of the frame."""

    ticks: list[FeedTick]
    letters: list[Letter]
    answers: list[Answer]

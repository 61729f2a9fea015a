"""What a feed's decoder makes of a frame: ticks, dead letters, answers. Every provider's module uses these types."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas import Level

AnswerKind = Literal[
    "subscribed", "logged_in", "pong", "refused", "unauthorised", "kicked", "throttled", "closing", "other"
]


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One WebSocket message as it came; ``received`` is µs since the epoch."""

    payload: bytes
    binary: bool
    received: int


class Beside(msgspec.Struct, frozen=True, gc=False):
    """What came with a push beside the trade: the book and the feed's own figures of the day, as ``schemas.Tick``."""

    bids: list[Level] | None = None
    asks: list[Level] | None = None
    day_open: float | None = None
    day_high: float | None = None
    day_low: float | None = None
    day_volume: int | float | None = None
    day_turnover: float | None = None
    average: float | None = None


class FeedTick(msgspec.Struct, frozen=True, gc=False):
    """A pushed tick, read and checked, in the units of ``schemas.Tick``; nobody has numbered it yet.

    ``cumulative`` is what the day has traded so far, in shares, where the feed says that and not the trade: ``volume``
    and ``turnover`` are then the difference to the push before on this connection, ``None`` on a code's first.
    ``unread`` names the fields that are null because what was there could not be read, as ``quality`` does:
    ``unread_volume,unread_side``. ``beside`` is ``None`` where the feed has nothing of it.
    """

    code: str
    exchange: str
    price: float
    time: int
    volume: int | float | None = None
    turnover: float | None = None
    side: Literal["buy", "sell"] | None = None
    seq: int | None = None
    previous_close: float | None = None
    cumulative: int | float | None = None
    unread: str | None = None
    beside: Beside | None = None


class Letter(msgspec.Struct, frozen=True, gc=False):
    """What could not be read, byte for byte: a whole frame, or one tick of it."""

    payload: bytes
    reason: str
    part: Literal["frame", "tick"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The server's answer to a request.

    Attributes:
        kind: ``subscribed``: a subscription was taken. ``logged_in``: the token was. ``pong``: a heartbeat was heard.
            ``refused``: a request was, or codes of it; the line lives. Where no code is named, it is the request that
            has no answer yet. ``unauthorised``: the token is refused, and no attempt will change that. ``kicked``:
            another login took this one's place. ``throttled``: too much was asked; ``wait`` says for how long to ask
            nothing. ``closing``: the server is about to close, and a new connection will do. ``other``: to be logged.
        text: the server's words, one printable line.
        trades_only: the server says that it filters by itself.
        codes: those that the answer names, in the one form of ``market.codes``; ``None`` where it names none.
        whole: ``codes`` are all that the connection has, not only those of the request.
        wait: seconds.
    """

    kind: AnswerKind
    text: str
    trades_only: bool = False
    codes: tuple[str, ...] | None = None
    whole: bool = False
    wait: float | None = None


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A provider's own number of a frame; ``channel`` names what it counts. Without holes nothing is lost."""

    channel: str
    number: int


class Decoded(msgspec.Struct, gc=False):
    """All that one frame holds. Ticks and letters are in the order of the frame.

    ``repeats`` and ``unpriced`` count what does not become a tick: what was sent before, as the provider's number or
    the day's volume shows; and what has no price (suspended, or not traded yet). ``limited`` counts what a bound left
    out, by the bound's name.
    """

    ticks: list[FeedTick]
    letters: list[Letter]
    answers: list[Answer]
    packet: Packet | None = None
    repeats: int = 0
    unpriced: int = 0
    limited: dict[str, int] | None = None

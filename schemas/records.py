"""The records that travel through Kafka: one type each, immutable, decoded with types.

Units, everywhere: prices in yuan, volume in shares, turnover in yuan, ``time`` in ms since the epoch (exchange time),
``received`` in µs since the epoch (when the frame came off the socket). What a feed does not carry is ``None``, never 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Code = Annotated[str, Meta(min_length=1, max_length=32, description='Six digits for an A share, else "digits.EXCHANGE"')]
Price = Annotated[float, Meta(gt=0, description="Yuan")]
Quantity = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]  # shares; whole for A shares
Money = Annotated[float, Meta(ge=0, description="Yuan")]
Milliseconds = Annotated[int, Meta(ge=0, description="Exchange time, ms since the epoch")]
Microseconds = Annotated[int, Meta(ge=0, description="Local time, µs since the epoch")]
Line = Annotated[str, Meta(min_length=1, description="Line id: one upstream connection")]
Run = Annotated[int, Meta(ge=0, description="Start of this line's producer, ms since the epoch")]
Number = Annotated[int, Meta(ge=0, description="The run's own count of ticks, without holes over all partitions")]
Count = Annotated[int, Meta(ge=0)]
TradingDay = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Shanghai date, YYYY-MM-DD")]


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record of the contract. Open model: readers ignore fields that they do not know."""


class Tick(Record, frozen=True, gc=False):
    """One pushed tick, as ``ashare.ticks.v1`` holds it, keyed by ``code``.

    ``source``, ``run`` and ``n`` name the tick: a copy of it that was sent again carries the same three, and for one code
    ``(run, n)`` of a source only rises.
    """

    code: Code
    exchange: Annotated[str, Meta(description="SSE, SZSE or BSE for an A share")]
    price: Price
    time: Milliseconds
    received: Microseconds
    source: Line
    run: Run
    n: Number
    volume: Quantity | None = None
    turnover: Money | None = None
    side: Literal["buy", "sell"] | None = None
    seq: Annotated[int, Meta(description="The provider's own sequence number")] | None = None
    previous_close: Price | None = None


class Origin(Record, frozen=True, gc=False):
    """The place in ``ashare.ticks.v1`` that an effect came from."""

    partition: Count
    offset: Count


class LineMark(Record, frozen=True, gc=False):
    """The last tick of one line that took effect."""

    source: Line
    run: Run
    n: Number


class Snapshot(Record, frozen=True, gc=False):
    """The latest state of a stock and its session so far: ``ashare.snapshots.v1``, compacted, keyed by ``code``.

    ``volume`` and ``turnover`` are sums over the session, ``None`` while no tick carried any. ``lines`` and ``origin`` say
    which tick was applied last, so that a tick that comes again is recognised.
    """

    code: Code
    exchange: str
    price: Price
    time: Milliseconds
    received: Microseconds
    session: TradingDay
    open: Price
    high: Price
    low: Price
    ticks: Annotated[int, Meta(ge=1, description="Ticks of this session")]
    origin: Origin
    lines: list[LineMark]
    volume: Quantity | None = None
    turnover: Money | None = None
    previous_close: Price | None = None


class PriceChange(Record, frozen=True, gc=False):
    """A move larger than the threshold: ``ashare.price-changes.v1``, keyed by ``code``.

    ``previous`` is the last emitted price; it, ``change`` and ``change_bp`` are ``None`` on a code's first. ``volume`` and
    ``ticks`` count since the last emission, this tick included. ``threshold`` is the one in force, in yuan.
    """

    code: Code
    price: Price
    previous: Price | None
    change: float | None
    change_bp: Annotated[float, Meta(description="Change in basis points of previous, two decimals, half away from zero")] | None
    time: Milliseconds
    received: Microseconds
    volume: Quantity | None
    ticks: Annotated[int, Meta(ge=1)]
    threshold: Annotated[float, Meta(ge=0, description="Yuan")]
    origin: Origin


class ChangeState(Record, frozen=True, gc=False):
    """Where the changes job stands with a code: ``ashare.price-changes-state.v1``, compacted, internal.

    ``last`` is the last emitted price; ``volume`` and ``ticks`` count since then.
    """

    code: Code
    last: Price
    volume: Quantity | None
    ticks: Count
    origin: Origin
    lines: list[LineMark]


class FeedEvent(Record, frozen=True, gc=False):
    """What happened to a line, and so what is *not* known: ``ashare.feed-events.v1``, keyed by ``source``.

    ``n`` is the number of the last tick before the event. A gap names the time between which ticks may be missing
    (``start``, ``end``, µs since the epoch, local clock) and the codes concerned, or ``"all"``.
    """

    event: Literal[
        "started",
        "connected",
        "subscribed",
        "refused",
        "disconnected",
        "resubscribed",
        "gap",
        "overflow",
        "spooling",
        "stopped",
    ]
    source: Line
    run: Run
    n: Number
    at: Microseconds
    reason: str | None = None
    start: Microseconds | None = None
    end: Microseconds | None = None
    codes: list[Code] | Literal["all"] | None = None


class DeadLetter(Record, frozen=True, gc=False):
    """What could not be read: ``ashare.dead-letters.v1``.

    On the wire ``payload`` is the record's value, byte for byte, and the rest are headers (see ``schemas.dead_letters``).
    """

    payload: bytes
    reason: str
    part: Literal["frame", "tick"]
    source: Line
    run: Run
    received: Microseconds


class Threshold(Record, frozen=True, gc=False):
    """A threshold set at run time: ``ashare.thresholds.v1``, compacted, keyed by ``scope``."""

    scope: Annotated[str, Meta(pattern=r"^(default|board:[A-Z]+|code:.+)$")]
    threshold: Annotated[str, Meta(description='"0.05" (yuan), "2ticks" or "50bp"')]

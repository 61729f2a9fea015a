"""The records that travel through Kafka: one type each, immutable, decoded with types.

Units, everywhere: prices in yuan, volume in shares, turnover in yuan, ``time`` in ms since the epoch (exchange time),
``received`` in µs since the epoch (when the frame came off the socket). What a feed does not carry is ``None``, not 0.

The JSON Schema files are made from these types, descriptions included: ``make schemas`` after a change.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.bounds import (
    EARLIEST_MS,
    EXACT,
    INT64,
    LATEST_MS,
    LATEST_US,
    MAX_BARS,
    MAX_CODE,
    MAX_CODES,
    MAX_ID,
    MAX_LEVELS,
    MAX_LINES,
    MAX_MOVE_BP,
    MAX_NAME,
    MAX_PARTITION,
    MAX_PRICE,
    MAX_QUALITY,
    MAX_REVISION,
    MAX_SCOPE,
    MAX_SESSION_TURNOVER,
    MAX_SESSION_VOLUME,
    MAX_SHARES,
    MAX_SOURCE,
    MAX_STEPS,
    MAX_TEXT,
    MAX_THRESHOLD,
    MAX_THRESHOLD_YUAN,
    MAX_TURNOVER,
    MAX_VOLUME,
    MIN_PRICE,
)

_CODE = 'Six digits for an A share, else "digits.EXCHANGE"'
_SCOPE = '"default", "board:STAR" or "code:600519"'
_QUALITY = "What the quality gate found, comma between several (off_grid, backwards …; more to come); null: nothing"
_SHARES = Meta(ge=0, le=MAX_VOLUME, description="Shares; whole for A shares")
_SUM = "Shares; whole for A shares"
_CONNECTION = "The connection that delivers from now on, of several; or TOPIC/PARTITION, which lost records"
_LINE = "Line id: one upstream connection"
_RUN = "Start of this line's producer, ms since the epoch"
_NUMBER = "The run's own count of ticks, no holes over all partitions"
Code = Annotated[str, Meta(min_length=1, max_length=MAX_CODE, description=_CODE)]
Exchange = Annotated[str, Meta(max_length=MAX_CODE, description="SSE, SZSE or BSE for an A share")]
Price = Annotated[float, Meta(ge=MIN_PRICE, le=MAX_PRICE, description="Yuan")]
Quantity = Annotated[int, _SHARES] | Annotated[float, _SHARES]
Sum = (
    Annotated[int, Meta(ge=0, le=MAX_SESSION_VOLUME, description=_SUM)]
    | Annotated[float, Meta(ge=0, le=float(MAX_SESSION_VOLUME), description=_SUM)]
)
Money = Annotated[float, Meta(ge=0, le=MAX_TURNOVER, description="Yuan")]
Milliseconds = Annotated[int, Meta(ge=EARLIEST_MS, le=LATEST_MS, description="Exchange time, ms since the epoch")]
Microseconds = Annotated[int, Meta(ge=0, le=LATEST_US, description="Local time, µs since the epoch")]
Received = Annotated[
    int, Meta(ge=0, le=LATEST_US, description="When the frame came off the socket, µs since the epoch")
]
Line = Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE, description=_LINE)]
Run = Annotated[int, Meta(ge=0, le=LATEST_MS, description=_RUN)]
Number = Annotated[int, Meta(ge=0, le=EXACT, description=_NUMBER)]
Quality = Annotated[str, Meta(min_length=1, max_length=MAX_QUALITY, description=_QUALITY)]
Move = Annotated[float, Meta(ge=-MAX_PRICE, le=MAX_PRICE, description="Yuan: price less previous")]
BasisPoints = Annotated[
    float, Meta(ge=-MAX_MOVE_BP, le=MAX_MOVE_BP, description="Of previous, two decimals, half away from zero")
]
TradingDay = Annotated[
    str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10, description="Shanghai date, YYYY-MM-DD")
]


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record of the contract. Open model: readers ignore fields that they do not know."""


class Level(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A level of a book, ``[price, volume]``: yuan, and the shares that are asked or offered there."""

    price: Price
    volume: Quantity


Bids = Annotated[list[Level], Meta(max_length=MAX_LEVELS, description="Levels of the buyers, the highest price first")]
Asks = Annotated[list[Level], Meta(max_length=MAX_LEVELS, description="Levels of the sellers, the lowest price first")]
SessionSum = (
    Annotated[int, Meta(ge=0, le=MAX_SESSION_VOLUME, description="Shares of the day so far, as the feed has them")]
    | Annotated[
        float,
        Meta(ge=0, le=float(MAX_SESSION_VOLUME), description="Shares of the day so far, as the feed has them"),
    ]
)
SessionMoney = Annotated[
    float, Meta(ge=0, le=MAX_SESSION_TURNOVER, description="Yuan of the day so far, as the feed has them")
]


class BareTick(Record, frozen=True, gc=False):
    """A tick of a feed that carries neither a book nor figures of the day: what is written of it, field by field."""

    code: Code
    exchange: Exchange
    price: Price
    time: Milliseconds
    received: Received
    source: Line
    run: Run
    n: Number
    volume: Quantity | None = None
    turnover: Money | None = None
    side: Annotated[Literal["buy", "sell"], Meta(description="Who took the liquidity")] | None = None
    seq: Annotated[int, Meta(ge=-INT64, le=INT64, description="The provider's own sequence number")] | None = None
    previous_close: Price | None = None
    quality: Quality | None = None


class Tick(BareTick, frozen=True, gc=False):
    """One pushed tick, as ``ashare.ticks.v1`` holds it, keyed by ``code``.

    ``source``, ``run`` and ``n`` name the tick: a copy of it that was sent again carries the same three, and for one
    code ``(run, n)`` of a source only rises.

    ``bids`` and what follows came with the push and are the feed's own: the book after the trade, at most five levels a
    side, and the figures of the day. Where a feed has none, or none of a field, it is ``None``, and may be left out. An
    empty side of a book is an empty list: nobody sells at the upper limit.
    """

    bids: Bids | None = None
    asks: Asks | None = None
    day_open: Annotated[Price, Meta(description="Yuan: the day's first price")] | None = None
    day_high: Annotated[Price, Meta(description="Yuan: the day's highest price so far")] | None = None
    day_low: Annotated[Price, Meta(description="Yuan: the day's lowest price so far")] | None = None
    day_volume: SessionSum | None = None
    day_turnover: SessionMoney | None = None
    average: Annotated[Price, Meta(description="Yuan: the day's average price, weighted by volume")] | None = None


class Origin(Record, frozen=True, gc=False):
    """The place in ``ashare.ticks.v1`` that an effect came from."""

    partition: Annotated[int, Meta(ge=0, le=MAX_PARTITION, description="Partition of the tick")]
    offset: Annotated[int, Meta(ge=0, le=INT64, description="Offset of the tick")]


class LineMark(Record, frozen=True, gc=False):
    """The last tick of one line that took effect."""

    source: Line
    run: Run
    n: Number
    received: Annotated[Received | None, Meta(description="When that tick came, if it was kept")] = None


Lines = Annotated[list[LineMark], Meta(max_length=MAX_LINES, description="The last tick applied, of each line")]


class GapMark(Record, frozen=True, gc=False):
    """What may be missing of a code's session: from the start of the first gap to the end of the last, local clock.

    ``id`` is that of the feed event that told of the last one. While ``end`` is ``None`` it lasts. The snapshot's price
    is of before the gap where its ``received`` is not after ``end``; its session's figures lack what traded in between.
    """

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID, description="The feed event that told of it")]
    start: Annotated[int, Meta(ge=0, le=LATEST_US, description="Since when ticks may be missing, µs since the epoch")]
    end: Annotated[int, Meta(ge=0, le=LATEST_US, description="Until when, µs since the epoch; null: it lasts")] | None
    count: Annotated[int, Meta(ge=1, le=INT64, description="How many gaps the mark covers")] = 1


class Snapshot(Record, frozen=True, gc=False):
    """The latest state of a stock and its session so far: ``ashare.snapshots.v1``, compacted, keyed by ``code``.

    ``volume`` and ``turnover`` are sums over the session, ``None`` while no tick carried any. ``lines`` and ``origin``
    say which tick was applied last, so that a tick that comes again is recognised. ``gap`` stays until the code's next
    session begins, whose figures are whole again.
    """

    code: Code
    exchange: Exchange
    price: Price
    time: Milliseconds
    received: Received
    session: TradingDay
    open: Price
    high: Price
    low: Price
    ticks: Annotated[int, Meta(ge=1, le=INT64, description="Ticks of this session")]
    origin: Origin
    lines: Lines
    volume: Sum | None = None
    turnover: Annotated[float, Meta(ge=0, le=MAX_SESSION_TURNOVER, description="Yuan")] | None = None
    previous_close: Price | None = None
    gap: Annotated[GapMark | None, Meta(description="What of the session may be missing; null: nothing known")] = None
    doubtful: Annotated[
        int, Meta(ge=0, le=INT64, description="Ticks of this session whose price broke a trading rule")
    ] = 0
    quality: Quality | None = None


class Bar(Record, frozen=True, gc=False):
    """What traded of a code in one minute: ``ashare.bars-1m.v1``, keyed by ``code``.

    A bar covers the exchange times from ``start`` up to, not including, ``end``; 11:30:00 and 15:00:00 belong to the
    minute before. ``auction`` tells the bar of an auction from those of continuous trading: both may have one
    ``start``. A minute without a trade has no bar. A tick that comes after its bar was closed makes the bar anew, with
    the next ``revision``: of one ``start`` and ``auction``, the last record of the partition holds. ``gap`` says what
    of the minute may be missing.
    """

    code: Code
    exchange: Exchange
    session: TradingDay
    start: Annotated[Milliseconds, Meta(description="Exchange time from which on, ms since the epoch")]
    end: Annotated[Milliseconds, Meta(description="Exchange time before which, ms since the epoch")]
    open: Price
    high: Price
    low: Price
    close: Price
    ticks: Annotated[int, Meta(ge=1, le=INT64, description="Ticks of the bar")]
    revision: Annotated[int, Meta(ge=0, le=MAX_REVISION, description="0, and one more each time the bar is made anew")]
    origin: Origin
    volume: Sum | None = None
    turnover: Annotated[float, Meta(ge=0, le=MAX_SESSION_TURNOVER, description="Yuan")] | None = None
    auction: (
        Annotated[Literal["opening", "closing"], Meta(description="Of which auction it is; null: continuous trading")]
        | None
    ) = None
    gap: Annotated[GapMark | None, Meta(description="What of the bar may be missing; null: nothing known")] = None
    doubtful: Annotated[int, Meta(ge=0, le=INT64, description="Ticks of the bar whose price broke a trading rule")] = 0


class BarState(Record, frozen=True, gc=False):
    """Where the bars job stands with a code: ``ashare.bars-1m-state.v1``, compacted, internal.

    ``bars`` are those that may still change, oldest first; ``day_high`` and ``day_low`` what the feed gave last;
    ``time`` how far the market was, by the ticks of the partition, at the tick of ``origin``.
    """

    code: Code
    bars: Annotated[list[Bar], Meta(max_length=MAX_BARS, description="Bars that may still change, oldest first")]
    published: Annotated[int, Meta(ge=0, le=MAX_BARS, description="How many of them were published, the oldest")]
    origin: Origin
    lines: Lines
    day_high: Annotated[Price | None, Meta(description="Yuan: the day's highest price, as the feed last gave it")] = (
        None
    )
    day_low: Annotated[Price, Meta(description="Yuan: the day's lowest price, as the feed last gave it")] | None = None
    time: Annotated[Milliseconds, Meta(description="Market time at that tick, ms since the epoch")] | None = None


class Instrument(Record, frozen=True, gc=False):
    """What is known of a code beside its trades: ``ashare.instruments.v1``, compacted, keyed by ``code``.

    From a file that an operator applies (``ashare instruments apply``). What the file did not say is ``None``. ``day``
    is the trading day that ``previous_close``, ``limit_up`` and ``limit_down`` are of; the rest holds until it is
    applied anew.
    """

    code: Code
    exchange: Exchange
    name: Annotated[str, Meta(max_length=MAX_NAME, description="As the exchange abbreviates it")] | None = None
    kind: Annotated[str, Meta(max_length=MAX_CODE, description="a-share, b-share, fund, convertible, index")] | None = (
        None
    )
    board: Annotated[str, Meta(max_length=MAX_CODE, description="MAIN, STAR, CHINEXT, BSE or OTHER")] | None = None
    st: Annotated[bool, Meta(description="Whether the exchange marks it ST: special treatment")] | None = None
    list_date: Annotated[
        str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10, description="First day of trading")
    ] | (None) = None
    lot: Annotated[int, Meta(ge=1, le=MAX_SHARES, description="Shares of the smallest order")] | None = None
    tick_size: Annotated[Price, Meta(description="Yuan: the step of prices")] | None = None
    shares: Annotated[int, Meta(ge=0, le=MAX_SHARES, description="Shares issued")] | None = None
    float_shares: Annotated[int, Meta(ge=0, le=MAX_SHARES, description="Shares that may be traded")] | None = None
    day: TradingDay | None = None
    previous_close: Price | None = None
    limit_up: Annotated[Price, Meta(description="Yuan: the day's highest price allowed")] | None = None
    limit_down: Annotated[Price, Meta(description="Yuan: the day's lowest price allowed")] | None = None


class PriceChange(Record, frozen=True, gc=False):
    """A move larger than the threshold: ``ashare.price-changes.v1``, keyed by ``code``.

    ``previous`` is the last emitted price; it, ``change`` and ``change_bp`` are ``None`` on a code's first. ``volume``
    and ``ticks`` count since the last emission, this tick included. ``threshold`` is the one in force, in yuan.
    """

    code: Code
    price: Price
    previous: Price | None
    change: Move | None
    change_bp: BasisPoints | None
    time: Milliseconds
    received: Received
    volume: Sum | None
    ticks: Annotated[int, Meta(ge=1, le=INT64, description="Ticks since the last emission, this one included")]
    threshold: Annotated[float, Meta(ge=0, le=MAX_THRESHOLD_YUAN, description="Yuan: the threshold in force")]
    origin: Origin
    cause: Annotated[LineMark | None, Meta(description="The tick that caused it: its line, run and number")] = None
    quality: Quality | None = None


class ChangeState(Record, frozen=True, gc=False):
    """Where the changes job stands with a code: ``ashare.price-changes-state.v1``, compacted, internal.

    ``last`` is the last emitted price; ``volume`` and ``ticks`` count since then.
    """

    code: Code
    last: Price
    volume: Sum | None
    ticks: Annotated[int, Meta(ge=0, le=INT64, description="Ticks since the last emission")]
    origin: Origin
    lines: Lines


class FeedEvent(Record, frozen=True, gc=False):
    """What happened to a line, and so what is *not* known: ``ashare.feed-events.v1``, keyed by ``source``.

    ``clock``: the feed's times are constantly off. ``unreadable``: most of its frames can't be read. ``repeats``: ticks
    are dropped as repeated that are not. ``limited``: a bound was reached, and ``count`` things were left out.
    ``log_replaced``: another cluster or topic stands behind the same name. ``acknowledged``: an operator has taken note
    of what workers lost to retention and told of until ``end``.
    ``n`` is the number of the last tick before the event. A gap names the time between which ticks may be missing
    (``start``, ``end``, µs since the epoch, local clock) and the codes concerned, or ``"all"``: what was made of their
    ticks around that time may lack some. ``id`` names the event: source, run, and the run's count of events.
    """

    event: Annotated[
        Literal[
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
            "switched",
            "never_seen",
            "clock",
            "unreadable",
            "repeats",
            "limited",
            "log_replaced",
            "acknowledged",
        ],
        Meta(description="What happened"),
    ]
    source: Line
    run: Run
    n: Number
    at: Microseconds
    reason: Annotated[str, Meta(max_length=MAX_TEXT, description="Why, in words")] | None = None
    start: Microseconds | None = None
    end: Microseconds | None = None
    codes: Annotated[
        Annotated[list[Code], Meta(max_length=MAX_CODES)] | Literal["all"] | None, Meta(description="Codes concerned")
    ] = None
    id: (
        Annotated[
            str, Meta(max_length=MAX_ID, description="SOURCE/RUN/COUNT, the same however often the event is sent")
        ]
        | None
    ) = None
    detected: (
        Annotated[
            Literal["sequence", "disconnect", "silence", "overflow", "volume", "killed", "retention", "merged"],
            Meta(description="How a gap was found"),
        ]
        | None
    ) = None
    missed: Annotated[int, Meta(ge=0, le=INT64, description="Shares that traded in the gap, if known")] | None = None
    line: Annotated[str, Meta(max_length=MAX_SOURCE, description=_CONNECTION)] | None = None
    count: Annotated[int, Meta(ge=0, le=INT64, description="How many things it tells of")] | None = None


class DeadLetter(Record, frozen=True, gc=False):
    """What could not be read: ``ashare.dead-letters.v1``.

    On the wire ``payload`` is the record's value, byte for byte, and the rest are headers, numbers as decimal text (see
    ``schemas.dead_letters``).
    """

    payload: bytes
    reason: Annotated[str, Meta(max_length=MAX_TEXT, description="Why it could not be read, in words")]
    part: Annotated[Literal["frame", "tick"], Meta(description="What the payload is: a whole frame or one tick of it")]
    source: Line
    run: Run
    received: Received


Scope = Annotated[str, Meta(pattern=r"^(default|board:[A-Z]+|code:.+)$", max_length=MAX_SCOPE, description=_SCOPE)]


class Threshold(Record, frozen=True, gc=False):
    """A threshold set at run time: ``ashare.thresholds.v1``, compacted, keyed by ``scope``."""

    scope: Scope
    threshold: Annotated[str, Meta(max_length=MAX_THRESHOLD, description='"0.05" (yuan), "2ticks" or "50bp"')]


_SETTING = '"0.05" (yuan), "2ticks" or "50bp"; null: none is set, and the worker\'s setting is in force'


class ThresholdStep(Record, frozen=True, gc=False):
    """From which tick of a partition on a run-time threshold was in force."""

    threshold: Annotated[str, Meta(max_length=MAX_THRESHOLD, description=_SETTING)] | None
    start: Annotated[int, Meta(ge=0, le=INT64, description="Offset of the partition's first tick judged by it")]


class ThresholdMark(Record, frozen=True, gc=False):
    """Where in a partition a run-time threshold took effect: ``ashare.threshold-marks.v1``, compacted, internal.

    Its partition is that of the ticks. A mark is written before the first tick is judged by it, so that ticks which
    are judged again after a crash are judged as before. ``earlier`` holds what such ticks may still need, oldest first.
    """

    scope: Scope
    threshold: Annotated[str, Meta(max_length=MAX_THRESHOLD, description=_SETTING)] | None
    start: Annotated[int, Meta(ge=0, le=INT64, description="Offset of the partition's first tick judged by it")]
    version: Annotated[int, Meta(ge=0, le=INT64, description="Offset in ashare.thresholds.v1 of what set it")]
    number: Annotated[int, Meta(ge=1, le=INT64, description="Count of the scope's marks in this partition")]
    earlier: Annotated[
        list[ThresholdStep], Meta(max_length=MAX_STEPS, description="What was in force before, oldest first")
    ]

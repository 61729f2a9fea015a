"""The records of the topics, and the topics' names. Made by `make schemas` from the JSON Schemas: do not edit.

What a feed does not carry is `None`, never 0. Fields that a newer pipeline adds are ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(extra={"unit": "ms"})]
Microseconds = Annotated[int, msgspec.Meta(extra={"unit": "us"})]

TICKS = "ashare.ticks.v1"
SNAPSHOTS = "ashare.snapshots.v1"
PRICE_CHANGES = "ashare.price-changes.v1"
FEED_EVENTS = "ashare.feed-events.v1"
BARS_1M = "ashare.bars-1m.v1"
INSTRUMENTS = "ashare.instruments.v1"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic."""


class Level(Record, frozen=True, gc=False, array_like=True):
    """A level of a book, `[price, volume]`: yuan, and the shares that are asked or offered there."""

    price: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le=1000000000000000)]
        | Annotated[float, msgspec.Meta(ge=0, le=1000000000000000)]
    )


class GapMark(Record, frozen=True, gc=False, kw_only=True):
    """What may be missing of a code's session: from the start of the first gap to the end of the last, local clock.

    `id` is that of the feed event that told of the last one. While `end` is `None` it lasts. The snapshot's price is of
    before the gap where its `received` is not after `end`; its session's figures lack what traded in between.

    Attributes:
        id: The feed event that told of it.
        start: Since when ticks may be missing, µs since the epoch.
        end: Until when, µs since the epoch; null: it lasts.
        count: How many gaps the mark covers.
    """

    id: Annotated[str, msgspec.Meta(max_length=512)]
    start: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)]
    end: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)] | None
    count: Annotated[int, msgspec.Meta(ge=1, le=9223372036854775807)] = 1


class LineMark(Record, frozen=True, gc=False, kw_only=True):
    """The last tick of one line that took effect.

    Attributes:
        source: Line id: one upstream connection.
        run: Start of this line's producer, ms since the epoch.
        n: The run's own count of ticks, no holes over all partitions.
        received: When the frame came off the socket, µs since the epoch.
    """

    source: Annotated[str, msgspec.Meta(max_length=255)]
    run: Annotated[Milliseconds, msgspec.Meta(ge=0, le=4102444799999)]
    n: Annotated[int, msgspec.Meta(ge=0, le=9007199254740991)]
    received: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)] | None = None


class Origin(Record, frozen=True, gc=False, kw_only=True):
    """The place in `ashare.ticks.v1` that an effect came from.

    Attributes:
        partition: Partition of the tick.
        offset: Offset of the tick.
    """

    partition: Annotated[int, msgspec.Meta(ge=0, le=2147483647)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)]


class Tick(Record, frozen=True, gc=False, kw_only=True):
    """One pushed tick, as `ashare.ticks.v1` holds it, keyed by `code`.

    `source`, `run` and `n` name the tick: a copy of it that was sent again carries the same three, and for one code
    `(run, n)` of a source only rises.

    `bids` and what follows came with the push and are the feed's own: the book after the trade, at most five levels a
    side, and the figures of the day. Where a feed has none, or none of a field, it is `None`, and may be left out. An
    empty side of a book is an empty list: nobody sells at the upper limit.

    Attributes:
        code: Six digits for an A share, else "digits.EXCHANGE".
        exchange: SSE, SZSE or BSE for an A share.
        price: Yuan.
        time: Exchange time, ms since the epoch.
        received: When the frame came off the socket, µs since the epoch.
        source: Line id: one upstream connection.
        run: Start of this line's producer, ms since the epoch.
        n: The run's own count of ticks, no holes over all partitions.
        volume: Shares; whole for A shares.
        turnover: Yuan.
        side: Who took the liquidity: buy, sell.
        seq: The provider's own sequence number.
        previous_close: Yuan.
        quality: What the quality gate found, comma between several (off_grid, backwards …; more to come); null:
            nothing.
        bids: Levels of the buyers, the highest price first.
        asks: Levels of the sellers, the lowest price first.
        day_open: Yuan: the day's first price.
        day_high: Yuan: the day's highest price so far.
        day_low: Yuan: the day's lowest price so far.
        day_volume: Shares of the day so far, as the feed has them.
        day_turnover: Yuan of the day so far, as the feed has them.
        average: Yuan: the day's average price, weighted by volume.
    """

    code: Annotated[str, msgspec.Meta(max_length=32)]
    exchange: Annotated[str, msgspec.Meta(max_length=32)]
    price: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    time: Annotated[Milliseconds, msgspec.Meta(ge=631152000000, le=4102444799999)]
    received: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)]
    source: Annotated[str, msgspec.Meta(max_length=255)]
    run: Annotated[Milliseconds, msgspec.Meta(ge=0, le=4102444799999)]
    n: Annotated[int, msgspec.Meta(ge=0, le=9007199254740991)]
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le=1000000000000000)]
        | Annotated[float, msgspec.Meta(ge=0, le=1000000000000000)]
        | None
    ) = None
    turnover: Annotated[float, msgspec.Meta(ge=0, le=1e18)] | None = None
    side: str | None = None
    seq: Annotated[int, msgspec.Meta(ge=-9223372036854775807, le=9223372036854775807)] | None = None
    previous_close: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    quality: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    bids: Annotated[list[Level], msgspec.Meta(max_length=10)] | None = None
    asks: Annotated[list[Level], msgspec.Meta(max_length=10)] | None = None
    day_open: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    day_high: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    day_low: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    day_volume: (
        Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)]
        | Annotated[float, msgspec.Meta(ge=0, le=9.223372036854776e18)]
        | None
    ) = None
    day_turnover: Annotated[float, msgspec.Meta(ge=0, le=1e24)] | None = None
    average: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None


class Snapshot(Record, frozen=True, gc=False, kw_only=True):
    """The latest state of a stock and its session so far: `ashare.snapshots.v1`, compacted, keyed by `code`.

    `volume` and `turnover` are sums over the session, `None` while no tick carried any. `lines` and `origin` say which
    tick was applied last, so that a tick that comes again is recognised. `gap` stays until the code's next session
    begins, whose figures are whole again.

    Attributes:
        code: Six digits for an A share, else "digits.EXCHANGE".
        exchange: SSE, SZSE or BSE for an A share.
        price: Yuan.
        time: Exchange time, ms since the epoch.
        received: When the frame came off the socket, µs since the epoch.
        session: Shanghai date, YYYY-MM-DD.
        open: Yuan.
        high: Yuan.
        low: Yuan.
        ticks: Ticks of this session.
        origin: See `Origin`.
        lines: The last tick applied, of each line.
        volume: Shares; whole for A shares.
        turnover: Yuan.
        previous_close: Yuan.
        gap: What of the session may be missing; null: nothing known.
        doubtful: Ticks of this session whose price broke a trading rule.
        quality: What the quality gate found, comma between several (off_grid, backwards …; more to come); null:
            nothing.
    """

    code: Annotated[str, msgspec.Meta(max_length=32)]
    exchange: Annotated[str, msgspec.Meta(max_length=32)]
    price: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    time: Annotated[Milliseconds, msgspec.Meta(ge=631152000000, le=4102444799999)]
    received: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)]
    session: Annotated[str, msgspec.Meta(max_length=10)]
    open: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    high: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    low: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    ticks: Annotated[int, msgspec.Meta(ge=1, le=9223372036854775807)]
    origin: Origin
    lines: list[LineMark]
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)]
        | Annotated[float, msgspec.Meta(ge=0, le=9.223372036854776e18)]
        | None
    ) = None
    turnover: Annotated[float, msgspec.Meta(ge=0, le=1e24)] | None = None
    previous_close: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    gap: GapMark | None = None
    doubtful: Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)] = 0
    quality: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class PriceChange(Record, frozen=True, gc=False, kw_only=True):
    """A move larger than the threshold: `ashare.price-changes.v1`, keyed by `code`.

    `previous` is the last emitted price; it, `change` and `change_bp` are `None` on a code's first. `volume` and
    `ticks` count since the last emission, this tick included. `threshold` is the one in force, in yuan.

    Attributes:
        code: Six digits for an A share, else "digits.EXCHANGE".
        price: Yuan.
        previous: Yuan.
        change: Yuan: price less previous.
        change_bp: Of previous, two decimals, half away from zero.
        time: Exchange time, ms since the epoch.
        received: When the frame came off the socket, µs since the epoch.
        volume: Shares; whole for A shares.
        ticks: Ticks since the last emission, this one included.
        threshold: Yuan: the threshold in force.
        origin: See `Origin`.
        cause: The tick that caused it: its line, run and number.
        quality: What the quality gate found, comma between several (off_grid, backwards …; more to come); null:
            nothing.
    """

    code: Annotated[str, msgspec.Meta(max_length=32)]
    price: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    previous: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None
    change: Annotated[float, msgspec.Meta(ge=-1000000000.0, le=1000000000.0)] | None
    change_bp: Annotated[float, msgspec.Meta(ge=-1e17, le=1e17)] | None
    time: Annotated[Milliseconds, msgspec.Meta(ge=631152000000, le=4102444799999)]
    received: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)]
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)]
        | Annotated[float, msgspec.Meta(ge=0, le=9.223372036854776e18)]
        | None
    )
    ticks: Annotated[int, msgspec.Meta(ge=1, le=9223372036854775807)]
    threshold: Annotated[float, msgspec.Meta(ge=0, le=100000000000000.0)]
    origin: Origin
    cause: LineMark | None = None
    quality: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class FeedEvent(Record, frozen=True, gc=False, kw_only=True):
    """What happened to a line, and so what is *not* known: `ashare.feed-events.v1`, keyed by `source`.

    `clock`: the feed's times are constantly off. `unreadable`: most of its frames can't be read. `repeats`: ticks are
    dropped as repeated that are not. `limited`: a bound was reached, and `count` things were left out. `log_replaced`:
    another cluster or topic stands behind the same name. `acknowledged`: an operator has taken note of what workers
    lost to retention and told of until `end`. `n` is the number of the last tick before the event. A gap names the time
    between which ticks may be missing (`start`, `end`, µs since the epoch, local clock) and the codes concerned, or
    `"all"`: what was made of their ticks around that time may lack some. `id` names the event: source, run, and the
    run's count of events.

    Attributes:
        event: What happened: acknowledged, clock, connected, disconnected, gap, limited, log_replaced, never_seen,
            overflow, refused, repeats, resubscribed, spooling, started, stopped, subscribed, switched, unreadable.
        source: Line id: one upstream connection.
        run: Start of this line's producer, ms since the epoch.
        n: The run's own count of ticks, no holes over all partitions.
        at: Local time, µs since the epoch.
        reason: Why, in words.
        start: Local time, µs since the epoch.
        end: Local time, µs since the epoch.
        codes: Codes concerned.
        id: SOURCE/RUN/COUNT, the same however often the event is sent.
        detected: How a gap was found: disconnect, killed, merged, overflow, retention, sequence, silence, volume.
        missed: Shares that traded in the gap, if known.
        line: The connection that delivers from now on, of several; or TOPIC/PARTITION, which lost records.
        count: How many things it tells of.
    """

    event: str
    source: Annotated[str, msgspec.Meta(max_length=255)]
    run: Annotated[Milliseconds, msgspec.Meta(ge=0, le=4102444799999)]
    n: Annotated[int, msgspec.Meta(ge=0, le=9007199254740991)]
    at: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)]
    reason: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    start: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)] | None = None
    end: Annotated[Microseconds, msgspec.Meta(ge=0, le=4102444799999999)] | None = None
    codes: list[Annotated[str, msgspec.Meta(max_length=32)]] | str | None = None
    id: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    detected: str | None = None
    missed: Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)] | None = None
    line: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    count: Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)] | None = None


class Bar(Record, frozen=True, gc=False, kw_only=True):
    """What traded of a code in one minute: `ashare.bars-1m.v1`, keyed by `code`.

    A bar covers the exchange times from `start` up to, not including, `end`; 11:30:00 and 15:00:00 belong to the minute
    before. `auction` tells the bar of an auction from those of continuous trading: both may have one `start`. A minute
    without a trade has no bar. A tick that comes after its bar was closed makes the bar anew, with the next `revision`:
    of one `start` and `auction`, the last record of the partition holds. `gap` says what of the minute may be missing.

    Attributes:
        code: Six digits for an A share, else "digits.EXCHANGE".
        exchange: SSE, SZSE or BSE for an A share.
        session: Shanghai date, YYYY-MM-DD.
        start: Exchange time from which on, ms since the epoch.
        end: Exchange time before which, ms since the epoch.
        open: Yuan.
        high: Yuan.
        low: Yuan.
        close: Yuan.
        ticks: Ticks of the bar.
        revision: 0, and one more each time the bar is made anew.
        origin: See `Origin`.
        volume: Shares; whole for A shares.
        turnover: Yuan.
        auction: Of which auction it is; null: continuous trading: closing, opening.
        gap: What of the bar may be missing; null: nothing known.
        doubtful: Ticks of the bar whose price broke a trading rule.
    """

    code: Annotated[str, msgspec.Meta(max_length=32)]
    exchange: Annotated[str, msgspec.Meta(max_length=32)]
    session: Annotated[str, msgspec.Meta(max_length=10)]
    start: Annotated[Milliseconds, msgspec.Meta(ge=631152000000, le=4102444799999)]
    end: Annotated[Milliseconds, msgspec.Meta(ge=631152000000, le=4102444799999)]
    open: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    high: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    low: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    close: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)]
    ticks: Annotated[int, msgspec.Meta(ge=1, le=9223372036854775807)]
    revision: Annotated[int, msgspec.Meta(ge=0, le=1000000)]
    origin: Origin
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)]
        | Annotated[float, msgspec.Meta(ge=0, le=9.223372036854776e18)]
        | None
    ) = None
    turnover: Annotated[float, msgspec.Meta(ge=0, le=1e24)] | None = None
    auction: str | None = None
    gap: GapMark | None = None
    doubtful: Annotated[int, msgspec.Meta(ge=0, le=9223372036854775807)] = 0


class Instrument(Record, frozen=True, gc=False, kw_only=True):
    """What is known of a code beside its trades: `ashare.instruments.v1`, compacted, keyed by `code`.

    From a file that an operator applies (`ashare instruments apply`). What the file did not say is `None`. `day` is the
    trading day that `previous_close`, `limit_up` and `limit_down` are of; the rest holds until it is applied anew.

    Attributes:
        code: Six digits for an A share, else "digits.EXCHANGE".
        exchange: SSE, SZSE or BSE for an A share.
        name: As the exchange abbreviates it.
        kind: a-share, b-share, fund, convertible, index.
        board: MAIN, STAR, CHINEXT, BSE or OTHER.
        st: Whether the exchange marks it ST: special treatment.
        list_date: First day of trading.
        lot: Shares of the smallest order.
        tick_size: Yuan: the step of prices.
        shares: Shares issued.
        float_shares: Shares that may be traded.
        day: Shanghai date, YYYY-MM-DD.
        previous_close: Yuan.
        limit_up: Yuan: the day's highest price allowed.
        limit_down: Yuan: the day's lowest price allowed.
    """

    code: Annotated[str, msgspec.Meta(max_length=32)]
    exchange: Annotated[str, msgspec.Meta(max_length=32)]
    name: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    kind: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    board: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    st: bool | None = None
    list_date: Annotated[str, msgspec.Meta(max_length=10)] | None = None
    lot: Annotated[int, msgspec.Meta(ge=1, le=1000000000000000)] | None = None
    tick_size: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    shares: Annotated[int, msgspec.Meta(ge=0, le=1000000000000000)] | None = None
    float_shares: Annotated[int, msgspec.Meta(ge=0, le=1000000000000000)] | None = None
    day: Annotated[str, msgspec.Meta(max_length=10)] | None = None
    previous_close: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    limit_up: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None
    limit_down: Annotated[float, msgspec.Meta(ge=0.0001, le=1000000000.0)] | None = None

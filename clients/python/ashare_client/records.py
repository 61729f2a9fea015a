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


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic."""


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

    id: str
    start: Microseconds
    end: Microseconds | None
    count: int = 1


class LineMark(Record, frozen=True, gc=False, kw_only=True):
    """The last tick of one line that took effect.

    Attributes:
        source: Line id: one upstream connection.
        run: Start of this line's producer, ms since the epoch.
        n: The run's own count of ticks, no holes over all partitions.
        received: When the frame came off the socket, µs since the epoch.
    """

    source: str
    run: Milliseconds
    n: int
    received: Microseconds | None = None


class Origin(Record, frozen=True, gc=False, kw_only=True):
    """The place in `ashare.ticks.v1` that an effect came from.

    Attributes:
        partition: Partition of the tick.
        offset: Offset of the tick.
    """

    partition: int
    offset: int


class Tick(Record, frozen=True, gc=False, kw_only=True):
    """One pushed tick, as `ashare.ticks.v1` holds it, keyed by `code`.

    `source`, `run` and `n` name the tick: a copy of it that was sent again carries the same three, and for one code
    `(run, n)` of a source only rises.

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
    """

    code: str
    exchange: str
    price: float
    time: Milliseconds
    received: Microseconds
    source: str
    run: Milliseconds
    n: int
    volume: int | float | None = None
    turnover: float | None = None
    side: str | None = None
    seq: int | None = None
    previous_close: float | None = None
    quality: str | None = None


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

    code: str
    exchange: str
    price: float
    time: Milliseconds
    received: Microseconds
    session: str
    open: float
    high: float
    low: float
    ticks: int
    origin: Origin
    lines: list[LineMark]
    volume: int | float | None = None
    turnover: float | None = None
    previous_close: float | None = None
    gap: GapMark | None = None
    doubtful: int = 0
    quality: str | None = None


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

    code: str
    price: float
    previous: float | None
    change: float | None
    change_bp: float | None
    time: Milliseconds
    received: Microseconds
    volume: int | float | None
    ticks: int
    threshold: float
    origin: Origin
    cause: LineMark | None = None
    quality: str | None = None


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
    source: str
    run: Milliseconds
    n: int
    at: Microseconds
    reason: str | None = None
    start: Microseconds | None = None
    end: Microseconds | None = None
    codes: list[str] | str | None = None
    id: str | None = None
    detected: str | None = None
    missed: int | None = None
    line: str | None = None
    count: int | None = None

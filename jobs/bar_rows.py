"""The rows of the bars job: of each code the bars that may still change, and what of it is kept through a crash."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from jobs.marks import Marked
from market.codes import Board, UnknownCode, instrument
from market.minutes import Minute, minute_of
from market.prices import SCALE, sum_to_e4
from market.sessions import has_closing_auction
from schemas import Bar, BarState, GapMark, Origin, RecordError
from schemas.bounds import MAX_REVISION, MAX_SESSION_TURNOVER, MAX_SESSION_VOLUME

SETTLE_MS = 2_000
"""Market time from a minute's end to the closing of its bars: pushes of other codes overtake."""
PAUSE_SETTLE_MS = 10_000
"""The same before a pause: feeds go on pushing for some seconds what was traded before it."""
EPOCH = date(1970, 1, 1)
NEVER = 1 << 62


class OpenBar:
    """A bar that may still change. Prices and turnover in 1/10,000 yuan.

    Attributes:
        due: market time from which on it is closed.
        offset: of its last tick.
        published: whether its latest state is.
        revision: that it was published with, or will be.
        made: its record, while it is as it was published.
    """

    __slots__ = (
        "close",
        "doubtful",
        "due",
        "gap",
        "high",
        "low",
        "made",
        "minute",
        "offset",
        "open",
        "published",
        "revision",
        "row",
        "since",
        "ticks",
        "turnover",
        "until",
        "volume",
    )

    def __init__(self, row: BarRow, minute: Minute) -> None:
        """A bar before its first tick."""
        self.row = row
        self.minute = minute
        self.since, self.until = minute.since, minute.until
        self.due = minute.end + (PAUSE_SETTLE_MS if minute.last else SETTLE_MS)
        self.open = self.high = self.low = self.close = 0
        self.ticks = self.doubtful = self.revision = 0
        self.volume: int | float | None = None
        self.turnover: int | None = None
        self.offset = -1
        self.published = False
        self.gap: GapMark | None = None
        self.made: Bar | None = None

    @property
    def code(self) -> str:
        """As ``missing.MarkedRow``."""
        return self.row.code

    @property
    def partition(self) -> int:
        """As ``missing.MarkedRow``."""
        return self.row.partition

    @property
    def received(self) -> int:
        """As ``missing.MarkedRow``."""
        return self.row.received

    def came_by(self, source: str) -> bool:
        """As ``missing.MarkedRow``."""
        return self.row.came_by(source)

    def doubt(self, price: int) -> None:
        """Take the price of a doubtful tick, while there is no other."""
        if self.ticks == 1:
            self.open = self.high = self.low = price
        self.close = price
        self.high, self.low = max(self.high, price), min(self.low, price)

    def raise_to(self, day_high: float | None, day_low: float | None) -> None:
        """Take in what was traded between two pushes: where the day's high or low, in yuan, moved."""
        row = self.row
        if day_high is not None:
            high, known = round(day_high * SCALE), row.day_high
            if known is None or high > known:
                row.day_high = high
                if known is not None and high > self.high:
                    self.high = high
        if day_low is not None:
            low, known = round(day_low * SCALE), row.day_low
            if known is None or low < known:
                row.day_low = low
                if known is not None and low < self.low:
                    self.low = low

    def record(self) -> Bar:
        """The bar as readers get it."""
        if self.made is not None:
            return self.made
        row, minute = self.row, self.minute
        return Bar(
            row.code,
            row.exchange,
            row.session,
            minute.start,
            minute.end,
            self.open / SCALE,
            self.high / SCALE,
            self.low / SCALE,
            self.close / SCALE,
            self.ticks,
            self.revision,
            Origin(row.partition, self.offset),
            None if self.volume is None else min(self.volume, MAX_SESSION_VOLUME),
            None if self.turnover is None else min(self.turnover / SCALE, MAX_SESSION_TURNOVER),
            minute.auction,
            self.gap,
            self.doubtful,
        )

    def publish(self) -> Bar:
        """The record to publish: of the next revision, where there was one."""
        if self.published:
            self.revision = min(self.revision + 1, MAX_REVISION)
        self.published = True
        self.made = None
        self.made = self.record()
        return self.made


class BarRow(Marked):
    """Where the job stands with one code.

    Attributes:
        day: the session's Shanghai date, as days since 1970-01-01; -1 before the first bar.
        bars: those that may still change, oldest first; those that were published come first.
        bar: the newest of them.
        day_high, day_low: what the feed last gave of the session, in 1/10,000 yuan.
        market: market time at the row's last tick that counted.
    """

    __slots__ = (
        "bar",
        "bars",
        "code",
        "day",
        "day_high",
        "day_low",
        "exchange",
        "key",
        "market",
        "offset",
        "partition",
        "session",
    )

    def __init__(self, code: str, exchange: str, partition: int) -> None:
        """A code before its first tick."""
        super().__init__()
        self.code = code
        self.key = code.encode()
        self.exchange = exchange
        self.partition = partition
        self.offset = -1
        self.bars: list[OpenBar] = []
        self.bar: OpenBar | None = None
        self.market = 0
        self.enter(-1)

    @property
    def ticks(self) -> int:
        """How many bars there are: none, and there is nothing to mark."""
        return len(self.bars)

    def enter(self, day: int) -> None:
        """Begin a session: the bars are those of no other."""
        self.day = day
        self.session = (EPOCH + timedelta(days=max(day, 0))).isoformat()
        self.bars, self.bar = [], None
        self.day_high: int | None = None
        self.day_low: int | None = None

    @property
    def due(self) -> int:
        """Market time at which the first bar that is not published closes."""
        return next((bar.due for bar in self.bars if not bar.published), NEVER)

    def record(self) -> BarState:
        """The row as its compacted topic keeps it."""
        return BarState(
            self.code,
            [bar.record() for bar in self.bars],
            sum(bar.published for bar in self.bars),
            Origin(self.partition, self.offset),
            self.lines(),
            None if self.day_high is None else self.day_high / SCALE,
            None if self.day_low is None else self.day_low / SCALE,
            self.market or None,
        )


def restored(state: BarState) -> BarRow:
    """The row of a state record.

    Raises:
        RecordError: a bar of it is of no minute, or of no day.
    """
    bars = state.bars
    row = BarRow(state.code, bars[-1].exchange if bars else "", state.origin.partition)
    if bars:
        try:
            row.enter((date.fromisoformat(bars[-1].session) - EPOCH).days)
        except ValueError as error:
            raise RecordError(f"BarState: {error} - at `$.bars[].session`") from error
    for number, kept in enumerate(bars):
        row.bars.append(_restored_bar(row, kept, published=number < state.published))
    row.bar = row.bars[-1] if bars else None
    row.offset, row.market = state.origin.offset, state.time or 0
    row.day_high = None if state.day_high is None else round(state.day_high * SCALE)
    row.day_low = None if state.day_low is None else round(state.day_low * SCALE)
    row.restore_lines(state.lines)
    row.received = max((line.received or 0 for line in state.lines), default=0)
    return row


def _restored_bar(row: BarRow, kept: Bar, *, published: bool) -> OpenBar:
    time = kept.end if kept.auction == "closing" else kept.start
    minute = minute_of(time, kept.exchange, closing_auction=closes_by_auction(row.code, kept.exchange, row.day))
    if minute is None or (minute.start, minute.end, minute.auction) != (kept.start, kept.end, kept.auction):
        raise RecordError(f"BarState: {kept.start} to {kept.end} is no minute - at `$.bars[].start`")
    bar = OpenBar(row, minute)
    bar.open, bar.high, bar.low, bar.close = (round(p * SCALE) for p in (kept.open, kept.high, kept.low, kept.close))
    bar.ticks, bar.doubtful, bar.revision, bar.offset = kept.ticks, kept.doubtful, kept.revision, kept.origin.offset
    bar.volume = kept.volume
    bar.turnover = None if kept.turnover is None else sum_to_e4(kept.turnover)
    bar.gap, bar.published = kept.gap, published
    return bar


@lru_cache(maxsize=65_536)
def closes_by_auction(code: str, exchange: str, day: int) -> bool:
    """Whether the close of a code is made by an auction on a day, in days since 1970-01-01."""
    try:
        board = instrument(code).board
    except UnknownCode:
        board = Board.OTHER
    return has_closing_auction(EPOCH + timedelta(days=day), exchange, board)

"""The bars job, pure: chunks of ticks in, bars of one minute out, state that can be restored.

A bar is closed by *market time*: the latest exchange time that the ticks of its partition show, those of other codes
included. So which tick closes which bar follows from the log alone, however it is cut into chunks. Where no tick comes,
before a pause and in a quiet market, whoever runs the job closes by a clock (``Bars.close``). The rules:
``docs/decisions.md``, "What a bar holds".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from broker.chunk import Chunk
from jobs.bar_rows import NEVER, BarRow, OpenBar, closes_by_auction, restored
from jobs.flaws import AHEAD_US, meaning, session_day
from jobs.marks import Repeats
from jobs.missing import Hours, Missing, Span
from jobs.room import Room
from market.minutes import minute_of
from market.prices import SCALE
from market.times import DAY_MS, SHANGHAI_MS
from schemas import Bar, BarState, Tick, decode

KEPT = 4
"""Bars of a code that may still change: the current one and the three before it that had a trade."""


class Made(NamedTuple):
    """A bar to publish, and the tick that brought it about: its offset, and when it was received (µs)."""

    bar: Bar
    offset: int
    received: int


class _Partition:
    """What is known of one partition beside its rows: how far its market is, and which bars that closes."""

    __slots__ = ("due", "market", "open", "rows")

    def __init__(self, rows: dict[str, BarRow], start: int) -> None:
        """As the rows have it that were restored; ``start`` is the offset from which the log is read on."""
        self.rows = rows
        # A row that is ahead of the commit knows of ticks that are still to come.
        self.market = max((row.market for row in rows.values() if row.offset < start), default=0)
        self.open = {code: row for code, row in rows.items() if row.due < NEVER}
        self.due = min((row.due for row in self.open.values()), default=NEVER)


class Bars:
    """The job over the rows of one partition at a time.

    Attributes:
        missing: what is known to be missing, which bars are marked by.
        repeats: ticks that had taken effect before and were skipped.
        late: ticks of a session or a minute that can't be changed any more; they are in no bar.
        outside: ticks of no minute: out of hours, or dated as no trade can be.
    """

    def __init__(self, missing: Missing | None = None) -> None:
        """A job that has counted nothing yet."""
        self.missing = missing or Missing()
        self.repeats = Repeats()
        self.late = self.outside = self.revised = 0
        self.room = Room("bars")
        self._partitions: dict[int, _Partition] = {}

    @property
    def repeated(self) -> int:
        """Ticks that had taken effect before and were skipped."""
        return self.repeats.count

    def forget(self) -> None:
        """Hold on to no partition's rows: they may be another worker's now."""
        self._partitions.clear()

    def market(self, partition: int) -> int:
        """Market time of a partition, ms since the epoch; 0 before its first tick."""
        known = self._partitions.get(partition)
        return 0 if known is None else known.market

    def restore(self, value: bytes) -> tuple[str, BarRow]:
        """Code and row of a state record.

        Raises:
            RecordError: it is none.
        """
        row = restored(decode(BarState, value))
        return row.code, row

    def apply(  # noqa: C901, PLR0912, PLR0915 - the hot loop
        self, rows: dict[str, BarRow], chunk: Chunk
    ) -> tuple[list[Made], set[BarRow]]:
        """Apply a chunk's ticks, in order, to its partition's rows.

        A tick at or below its line's mark for that code has taken effect before and is skipped; the market is as far as
        it says all the same.

        Returns:
            The bars to publish, in order, and the rows that moved.
        """
        made: list[Made] = []
        touched: set[BarRow] = set()
        touch, partition = touched.add, chunk.partition
        of = self._of(rows, chunk)
        market = of.market
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            try:
                code, time, quality = tick.code, tick.time, tick.quality
                if time > market and _believed(tick):
                    market = of.market = time
                    if market >= of.due:
                        touched |= self._close(of, market, made, (offset, tick.received))
                try:
                    row = rows[code]
                except KeyError:
                    if self.room.full(rows, code):
                        continue
                    row = rows[code] = BarRow(code, tick.exchange, partition)
                n = tick.n
                if tick.source == row.source and tick.run == row.run and n > row.n:
                    row.n = n
                elif not row.renew(tick.source, tick.run, n, tick.received, new=offset > row.offset):
                    self.repeats.dropped(row, tick)
                    continue
                row.offset, row.received = offset, tick.received
                volume = tick.volume
                if volume == 0:
                    continue  # pushed, and not traded
                bar = row.bar
                if quality is not None or bar is None or not bar.since <= time < bar.until:
                    bar = self._placed(of, row, tick, made)
                    if bar is None:
                        continue
                price = round(tick.price * SCALE)
                bar.ticks += 1
                if quality is not None and meaning(quality).doubtful:
                    bar.doubtful += 1
                    if bar.doubtful == bar.ticks:
                        bar.doubt(price)
                elif bar.doubtful == bar.ticks - 1:
                    bar.open = bar.high = bar.low = bar.close = price
                else:
                    bar.close = price
                    if price > bar.high:
                        bar.high = price
                    elif price < bar.low:
                        bar.low = price
                day_high, day_low = tick.day_high, tick.day_low
                if (day_high is not None or day_low is not None) and (quality is None or _figures_hold(quality)):
                    bar.raise_to(day_high, day_low)
                if volume is not None:
                    so_far = bar.volume
                    bar.volume = volume if so_far is None else so_far + volume
                turnover = tick.turnover
                if turnover is not None:
                    bar.turnover = round(turnover * SCALE) + (bar.turnover or 0)
                bar.offset = offset
                bar.made = None
                row.market = market
                touch(row)
                if bar.published or (bar.ticks == 1 and _overdue(bar, market)):
                    self.revised += bar.published
                    made.append(self._made(bar, offset, tick.received))
                elif bar.ticks == 1:
                    of.open[code] = row
                    of.due = min(of.due, bar.due)
            except Exception as error:  # noqa: BLE001 - one record never ends the worker
                chunk.fail(offset, error)
        return made, touched

    def _of(self, rows: dict[str, BarRow], chunk: Chunk) -> _Partition:
        of = self._partitions.get(chunk.partition)
        if of is None or of.rows is not rows:
            of = self._partitions[chunk.partition] = _Partition(rows, chunk.start)
        return of

    def _placed(self, of: _Partition, row: BarRow, tick: Tick, made: list[Made]) -> OpenBar | None:
        """The bar that a tick belongs to, begun where it is the first of its minute; ``None`` where it is in none."""
        time, quality = tick.time, tick.quality
        day = session_day(time, tick.received)
        minute = None
        # Dated as no trade can be, nobody knows when it was.
        if day == (time + SHANGHAI_MS) // DAY_MS and (quality is None or not meaning(quality).played):
            minute = minute_of(time, tick.exchange, closing_auction=closes_by_auction(row.code, tick.exchange, day))
        if minute is None:
            self.outside += 1
            return None
        if day < row.day:
            self.late += 1
            return None
        if day > row.day:
            self._enter(of, row, day, tick, made)
        bars = row.bars
        place = bisect_left(bars, minute.since, key=_since)
        if place < len(bars) and bars[place].since == minute.since:
            return bars[place]
        if place == 0 and len(bars) >= KEPT:
            self.late += 1
            return None
        bar = OpenBar(row, minute)
        bars.insert(place, bar)
        if len(bars) > KEPT:
            oldest = bars.pop(0)
            if not oldest.published:
                made.append(self._made(oldest, row.offset, tick.received))
        row.bar = bars[-1]
        return bar

    def _enter(self, of: _Partition, row: BarRow, day: int, tick: Tick, made: list[Made]) -> None:
        """Begin a session of a code; what the last one has not published yet is over."""
        made += [self._made(bar, row.offset, tick.received) for bar in row.bars if not bar.published]
        of.open.pop(row.code, None)
        row.exchange = tick.exchange
        row.enter(day)

    # -- closing -------------------------------------------------------------------------------------------------------

    def close(
        self, partition: int, market: int, rows: dict[str, BarRow] | None = None
    ) -> tuple[list[Made], set[BarRow]]:
        """Close what is due by a clock that is ahead of the partition's ticks.

        Its market time stays that of the ticks: what still comes makes a new revision.

        Args:
            rows: of the partition, where it may have had no chunk since they were restored.

        Returns:
            As ``apply``.
        """
        made: list[Made] = []
        of = self._partitions.get(partition)
        if of is None and rows is not None:
            of = _Partition(rows, 0)
        return made, set() if of is None or market < of.due else self._close(of, market, made)

    def finish(self, partition: int) -> list[Made]:
        """Close all bars of a partition, of which nothing more comes, and forget it."""
        made, _ = self.close(partition, NEVER)
        self._partitions.pop(partition, None)
        return made

    def _close(
        self, of: _Partition, market: int, made: list[Made], cause: tuple[int, int] | None = None
    ) -> set[BarRow]:
        """Publish what is due, in the order of the minutes and codes.

        Args:
            cause: offset and receipt of the tick that does it; by default a bar's own last one stands for it.

        Returns:
            The rows that it moved.
        """
        due = [bar for row in of.open.values() for bar in row.bars if not bar.published and bar.due <= market]
        due.sort(key=_order)
        spans = self._spans(due)
        for bar in due:
            offset, received = cause or (bar.offset, bar.row.received)
            made.append(self._made(bar, offset, received, spans))
        left: dict[str, BarRow] = {}
        least = NEVER
        for code, row in of.open.items():
            first = row.due
            if first < NEVER:
                left[code] = row
                least = min(least, first)
        of.open, of.due = left, least
        return {bar.row for bar in due}

    def _made(self, bar: OpenBar, offset: int, received: int, spans: Sequence[Span] | None = None) -> Made:
        spans = self._spans([bar]) if spans is None else spans
        if spans or bar.gap is not None:
            self.missing.cover(bar, [_hours(bar)], spans)
        return Made(bar.publish(), offset, received)

    # -- what is missing -----------------------------------------------------------------------------------------------

    def _spans(self, bars: Sequence[OpenBar]) -> list[Span]:
        """The gaps that may reach into some bars."""
        return self.missing.since(min(_hours(bar)[0] for bar in bars)) if bars else []

    def remark(self, row: BarRow) -> tuple[list[Made], bool]:
        """Mark a row's bars by what is known to be missing by now; the new revisions, and whether any mark changed."""
        made: list[Made] = []
        changed = False
        spans = self._spans(row.bars)
        for bar in row.bars:
            if self.missing.cover(bar, [_hours(bar)], spans):
                changed = True
                bar.made = None
                if bar.published:
                    made.append(Made(bar.publish(), bar.offset, row.received))
        return made, changed


def _since(bar: OpenBar) -> int:
    return bar.since


def _order(bar: OpenBar) -> tuple[int, str]:
    return bar.since, bar.row.code


def _hours(bar: OpenBar) -> Hours:
    """When a bar's minute passed, µs since the epoch, local clock: so late as the row's last tick was."""
    row, minute = bar.row, bar.minute
    late = row.received - row.market * 1000
    return minute.start * 1000 + late, minute.end * 1000 + late


def _believed(tick: Tick) -> bool:
    """Whether a tick says how far the market is: one that nobody can have traded yet, or at that time, does not."""
    quality, time = tick.quality, tick.time
    if quality is not None and (meaning(quality).played or ("off_session" in quality and not _in_hours(tick))):
        return False
    return time * 1000 <= tick.received + AHEAD_US or session_day(time, tick.received) == (time + SHANGHAI_MS) // DAY_MS


def _in_hours(tick: Tick) -> bool:
    return minute_of(tick.time, tick.exchange) is not None


def _overdue(bar: OpenBar, market: int) -> bool:
    """Whether a bar that has just begun should have been closed before: it is due, or a later one was published."""
    return bar.due <= market or any(other.published and other.since > bar.since for other in bar.row.bars)


def _figures_hold(quality: str) -> bool:
    """Whether the day's figures beside a tick may move anything."""
    return not meaning(quality).doubtful and "day_figures" not in quality

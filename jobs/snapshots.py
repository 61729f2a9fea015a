"""The snapshots job, pure: chunks of ticks in, the latest state and the session's figures of each code."""

from __future__ import annotations

from datetime import date, timedelta

from broker.chunk import Chunk
from jobs.flaws import AHEAD_US, NOTHING, meaning, session_day
from jobs.marks import Marked, Repeats
from jobs.missing import Missing
from jobs.room import Room
from market.prices import SCALE, sum_to_e4
from market.times import DAY_MS, SHANGHAI_MS
from schemas import GapMark, Origin, RecordError, Snapshot, decode
from schemas.bounds import MAX_SESSION_TURNOVER, MAX_SESSION_VOLUME

_EPOCH = date(1970, 1, 1)
_BACK_MS = 1000
"""How far the records of a chunk are expected to be dated before its first; others only cost more."""


class SnapshotRow(Marked):
    """A code's latest state and session. Prices and turnover in 1/10,000 yuan.

    Attributes:
        day: the session's Shanghai date, as days since 1970-01-01.
        doubtful: ticks of the session whose price broke a trading rule.
        quality: of the tick that the row shows.
        gap: the latest time of the session of which ticks may be missing.
    """

    __slots__ = (
        "close",
        "code",
        "day",
        "doubtful",
        "exchange",
        "gap",
        "high",
        "key",
        "low",
        "offset",
        "open",
        "partition",
        "price",
        "quality",
        "ticks",
        "time",
        "turnover",
        "volume",
    )

    def __init__(self, code: str, exchange: str, partition: int) -> None:
        """A code before its first tick."""
        super().__init__()
        self.code = code
        self.key = code.encode()
        self.exchange = exchange
        self.day = -1
        self.price = self.open = self.high = self.low = 0
        self.time = 0
        self.partition = partition
        self.offset = -1
        self.ticks = self.doubtful = 0
        self.quality: str | None = None
        self.volume: int | float | None = None
        self.turnover: int | None = None
        self.close: int | None = None
        self.gap: GapMark | None = None

    def begin(self, day: int, price: int) -> None:
        """Start a session: what was summed up belongs to the last one, and so does its previous close."""
        self.day = day
        self.open = self.high = self.low = price
        self.ticks = self.doubtful = 0
        self.volume = self.turnover = self.close = self.gap = None

    def record(self) -> Snapshot:
        """The row as readers get it."""
        return Snapshot(
            code=self.code,
            exchange=self.exchange,
            price=self.price / SCALE,
            time=self.time,
            received=self.received,
            session=(_EPOCH + timedelta(days=self.day)).isoformat(),
            open=self.open / SCALE,
            high=self.high / SCALE,
            low=self.low / SCALE,
            ticks=self.ticks,
            origin=Origin(self.partition, self.offset),
            lines=self.lines(),
            volume=None if self.volume is None else min(self.volume, MAX_SESSION_VOLUME),
            turnover=None if self.turnover is None else min(self.turnover / SCALE, MAX_SESSION_TURNOVER),
            previous_close=None if self.close is None else self.close / SCALE,
            gap=self.gap,
            doubtful=self.doubtful,
            quality=self.quality,
        )


class Snapshots:
    """The job over the rows of one partition at a time.

    Attributes:
        repeats: ticks that had taken effect before and were skipped.
        late: ticks of a session before the code's current one; they change no figure.
    """

    def __init__(self, missing: Missing | None = None) -> None:
        """A job that has counted nothing yet.

        Args:
            missing: what is known to be missing, which a session that begins is marked by.
        """
        self.missing = missing or Missing()
        self.repeats = Repeats()
        self.late = 0
        self.room = Room("snapshots")

    @property
    def repeated(self) -> int:
        """Ticks that had taken effect before and were skipped."""
        return self.repeats.count

    def restore(self, value: bytes) -> tuple[str, SnapshotRow]:
        """Code and row of a snapshot record.

        Raises:
            RecordError: it is none.
        """
        kept = decode(Snapshot, value)
        row = SnapshotRow(kept.code, kept.exchange, kept.origin.partition)
        try:
            day = (date.fromisoformat(kept.session) - _EPOCH).days
        except ValueError as error:
            raise RecordError(f"Snapshot: {error} - at `$.session`") from error
        # An older version may have left a row in the session of a tick that was ahead of its receipt.
        ahead = kept.time * 1000 > kept.received + AHEAD_US
        row.day = min(day, session_day(kept.time, kept.received)) if ahead else day
        row.price, row.open, row.high, row.low = (
            round(p * SCALE) for p in (kept.price, kept.open, kept.high, kept.low)
        )
        row.time, row.received, row.ticks, row.volume = kept.time, kept.received, kept.ticks, kept.volume
        row.turnover = None if kept.turnover is None else sum_to_e4(kept.turnover)
        row.close = None if kept.previous_close is None else round(kept.previous_close * SCALE)
        row.offset, row.gap = kept.origin.offset, kept.gap
        row.doubtful, row.quality = kept.doubtful, kept.quality
        row.restore_lines(kept.lines, kept.received)
        return kept.code, row

    def apply(  # noqa: C901, PLR0912, PLR0915 - the hot loop
        self, rows: dict[str, SnapshotRow], chunk: Chunk
    ) -> set[SnapshotRow]:
        """Apply a chunk's ticks, in order, to its partition's rows.

        A tick at or below its line's mark for that code has taken effect before and is skipped. A tick of a later
        session starts it, marked by the gaps that reach into it; one of an earlier session than the current one changes
        nothing. What its flaws mean: ``jobs.flaws``.

        Returns:
            The rows that moved.
        """
        touched: set[SnapshotRow] = set()
        partition, touch = chunk.partition, touched.add
        # What holds for nearly every tick, in comparisons that cost little: a time from ``first`` to ``last`` is of
        # ``today`` and not ahead of a receipt from ``since`` on.
        now = chunk.timestamps[0] - _BACK_MS if chunk.timestamps else 0
        since, today = now * 1000, (now + SHANGHAI_MS) // DAY_MS
        first = today * DAY_MS - SHANGHAI_MS
        last = min(first + DAY_MS - 1, now + AHEAD_US // 1000)
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            try:
                code = tick.code
                try:
                    row = rows[code]
                except KeyError:
                    if self.room.full(rows, code):
                        continue
                    row = rows[code] = SnapshotRow(code, tick.exchange, partition)
                n, received = tick.n, tick.received
                if tick.source == row.source and tick.run == row.run and n > row.n:
                    row.n = n
                elif not row.renew(tick.source, tick.run, n, received, new=offset > row.offset):
                    self.repeats.dropped(row, tick)
                    continue
                row.offset = offset
                price, time, quality = round(tick.price * SCALE), tick.time, tick.quality
                if (
                    first <= time <= last
                    and received >= since
                    and row.day == today
                    and quality is None
                    and not row.doubtful
                ):
                    # Nearly every tick: nothing is doubtful, and the session goes on.
                    if price > row.high:
                        row.high = price
                    elif price < row.low:
                        row.low = price
                else:
                    played, doubtful = NOTHING if quality is None else meaning(quality)
                    if time * 1000 > received + AHEAD_US:
                        day = session_day(time, received)
                    elif played and row.day >= 0 and time * 1000 <= received:
                        day = row.day
                    else:
                        day = (time + SHANGHAI_MS) // DAY_MS
                    if day < row.day:
                        row.late = received
                        self.late += 1
                        continue
                    if day > row.day:
                        row.begin(day, price)
                        row.time, row.received = time, received
                        self.missing.mark(row)
                    elif row.doubtful == row.ticks and not doubtful:
                        row.open = row.high = row.low = price
                    elif doubtful and row.doubtful < row.ticks:
                        pass
                    elif price > row.high:
                        row.high = price
                    elif price < row.low:
                        row.low = price
                    if doubtful:
                        row.doubtful += 1
                row.price, row.time, row.received, row.quality = price, time, received, quality
                row.ticks += 1
                volume, turnover, close = tick.volume, tick.turnover, tick.previous_close
                if volume is not None:
                    so_far = row.volume
                    row.volume = volume if so_far is None else so_far + volume
                if turnover is not None:
                    row.turnover = round(turnover * SCALE) + (row.turnover or 0)
                if close is not None:
                    row.close = round(close * SCALE)
                touch(row)
            except Exception as error:  # noqa: BLE001 - one record never ends the worker
                chunk.fail(offset, error)
        return touched

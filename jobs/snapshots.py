"""The snapshots job, pure: chunks of ticks in, the latest state and the session's figures of each code."""

from __future__ import annotations

from datetime import date, timedelta

from broker.chunk import Chunk
from jobs.marks import Marked, Repeats
from jobs.missing import Missing
from schemas import GapMark, Origin, Snapshot, decode

_SHANGHAI_MS = 8 * 3600 * 1000
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


class SnapshotRow(Marked):
    """A code's latest state and session. Prices and turnover in 1/10,000 yuan.

    Attributes:
        day: the session's Shanghai date, as days since 1970-01-01.
        gap: the latest time of the session of which ticks may be missing.
    """

    __slots__ = (
        "close",
        "code",
        "day",
        "exchange",
        "gap",
        "high",
        "key",
        "low",
        "offset",
        "open",
        "partition",
        "price",
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
        self.ticks = 0
        self.volume: int | float | None = None
        self.turnover: int | None = None
        self.close: int | None = None
        self.gap: GapMark | None = None

    def begin(self, day: int, price: int) -> None:
        """Start a session: what was summed up belongs to the last one, and so does its previous close."""
        self.day = day
        self.open = self.high = self.low = price
        self.ticks = 0
        self.volume = self.turnover = self.close = self.gap = None

    def record(self) -> Snapshot:
        """The row as readers get it."""
        return Snapshot(
            code=self.code,
            exchange=self.exchange,
            price=self.price / 10_000,
            time=self.time,
            received=self.received,
            session=(_EPOCH + timedelta(days=self.day)).isoformat(),
            open=self.open / 10_000,
            high=self.high / 10_000,
            low=self.low / 10_000,
            ticks=self.ticks,
            origin=Origin(self.partition, self.offset),
            lines=self.lines(),
            volume=self.volume,
            turnover=None if self.turnover is None else self.turnover / 10_000,
            previous_close=None if self.close is None else self.close / 10_000,
            gap=self.gap,
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
        row.day = (date.fromisoformat(kept.session) - _EPOCH).days
        row.price, row.open, row.high, row.low = (
            round(p * 10_000) for p in (kept.price, kept.open, kept.high, kept.low)
        )
        row.time, row.received, row.ticks, row.volume = kept.time, kept.received, kept.ticks, kept.volume
        row.turnover = None if kept.turnover is None else round(kept.turnover * 10_000)
        row.close = None if kept.previous_close is None else round(kept.previous_close * 10_000)
        row.offset, row.gap = kept.origin.offset, kept.gap
        row.restore_lines(kept.lines, kept.received)
        return kept.code, row

    def apply(self, rows: dict[str, SnapshotRow], chunk: Chunk) -> set[SnapshotRow]:  # noqa: C901 - the hot loop
        """Apply a chunk's ticks, in order, to its partition's rows.

        A tick at or below its line's mark for that code has taken effect before and is skipped. A tick of a later
        Shanghai date starts a new session, marked by the gaps that reach into it; one of an earlier date than the
        current session changes nothing.

        Returns:
            The rows that moved.
        """
        touched: set[SnapshotRow] = set()
        partition = chunk.partition
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            code = tick.code
            try:
                row = rows[code]
            except KeyError:
                row = rows[code] = SnapshotRow(code, tick.exchange, partition)
            n = tick.n
            if tick.source == row.source and tick.run == row.run and n > row.n:
                row.n = n
            elif not row.renew(tick.source, tick.run, n, tick.received, new=offset > row.offset):
                self.repeats.dropped(row, tick)
                continue
            row.offset = offset
            day = (tick.time + _SHANGHAI_MS) // _DAY_MS
            if day < row.day:
                row.late = tick.received
                self.late += 1
                continue
            touched.add(row)
            price = round(tick.price * 10_000)
            if day > row.day:
                row.begin(day, price)
                row.time, row.received = tick.time, tick.received
                self.missing.mark(row)
            elif price > row.high:
                row.high = price
            elif price < row.low:
                row.low = price
            row.price, row.time, row.received = price, tick.time, tick.received
            row.ticks += 1
            if tick.volume is not None:
                row.volume = tick.volume if row.volume is None else row.volume + tick.volume
            if tick.turnover is not None:
                turnover = round(tick.turnover * 10_000)
                row.turnover = turnover if row.turnover is None else row.turnover + turnover
            if tick.previous_close is not None:
                row.close = round(tick.previous_close * 10_000)
        return touched

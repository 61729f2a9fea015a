"""The changes job, pure: chunks of ticks in, price changes out, state that can be restored."""

from __future__ import annotations

from broker.chunk import Chunk
from jobs.thresholds import Threshold, Thresholds, limit
from schemas import ChangeState, LineMark, Origin, PriceChange, decode


class ChangeRow:
    """Where the job stands with one code. Prices in 1/10,000 yuan.

    Attributes:
        last: last emitted price.
        volume, ticks: since the last emission; volume is ``None`` while no tick carried any.
        marks: per line, run and number of the last tick applied.
        bound, yuan: the threshold in force from ``last``: whole 1/10,000 yuan, and yuan.
    """

    __slots__ = (
        "bound",
        "code",
        "key",
        "last",
        "marks",
        "offset",
        "partition",
        "received",
        "threshold",
        "ticks",
        "volume",
        "yuan",
    )

    def __init__(self, code: str, threshold: Threshold) -> None:
        """A code before its first tick."""
        self.code = code
        self.key = code.encode()
        self.threshold = threshold
        self.last: int | None = None
        self.volume: int | float | None = None
        self.ticks = 0
        self.marks: dict[str, tuple[int, int]] = {}
        self.partition = 0
        self.offset = -1
        self.received = 0
        self.bound = 0
        self.yuan = 0.0

    def emitted(self, price: int) -> None:
        """Take a price as the last emitted one."""
        self.last = price
        self.volume = None
        self.ticks = 0
        self.bound, self.yuan = limit(self.threshold, self.code, price)

    def record(self) -> ChangeState:
        """The row as its compacted topic keeps it."""
        assert self.last is not None
        return ChangeState(
            code=self.code,
            last=self.last / 10_000,
            volume=self.volume,
            ticks=self.ticks,
            origin=Origin(self.partition, self.offset),
            lines=[LineMark(source, run, n) for source, (run, n) in self.marks.items()],
        )


class Changes:
    """The job over the rows of one partition at a time.

    Attributes:
        repeated: ticks that had taken effect before and were skipped.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        """A job with these thresholds."""
        self._thresholds = thresholds
        self.repeated = 0

    def restore(self, value: bytes) -> tuple[str, ChangeRow]:
        """Code and row of a state record.

        Raises:
            RecordError: it is none.
        """
        state = decode(ChangeState, value)
        row = ChangeRow(state.code, self._thresholds.of(state.code))
        row.emitted(round(state.last * 10_000))
        row.volume, row.ticks = state.volume, state.ticks
        row.partition, row.offset = state.origin.partition, state.origin.offset
        row.marks = {line.source: (line.run, line.n) for line in state.lines}
        return state.code, row

    def apply(self, rows: dict[str, ChangeRow], chunk: Chunk) -> tuple[list[PriceChange], set[ChangeRow]]:
        """Apply a chunk's ticks, in order, to its partition's rows.

        A tick at or below its line's mark for that code has taken effect before (it was sent again, or its chunk came
        again) and is skipped.

        Returns:
            The changes to emit, in order, and the rows that moved.
        """
        changes: list[PriceChange] = []
        touched: set[ChangeRow] = set()
        partition = chunk.partition
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            code = tick.code
            row = rows.get(code)
            if row is None:
                row = rows[code] = ChangeRow(code, self._thresholds.of(code))
            mark = row.marks.get(tick.source)
            if mark is not None and (tick.run < mark[0] or (tick.run == mark[0] and tick.n <= mark[1])):
                self.repeated += 1
                continue
            row.marks[tick.source] = (tick.run, tick.n)
            row.partition, row.offset, row.received = partition, offset, tick.received
            row.ticks += 1
            volume = tick.volume
            if volume is not None:
                row.volume = volume if row.volume is None else row.volume + volume
            touched.add(row)
            price = round(tick.price * 10_000)
            last = row.last
            if last is not None and -row.bound <= price - last <= row.bound:
                continue
            traded, ticks, threshold = row.volume, row.ticks, row.yuan
            row.emitted(price)
            changes.append(
                PriceChange(
                    code=code,
                    price=price / 10_000,
                    previous=None if last is None else last / 10_000,
                    change=None if last is None else (price - last) / 10_000,
                    change_bp=None if last is None else basis_points(price - last, last),
                    time=tick.time,
                    received=tick.received,
                    volume=traded,
                    ticks=ticks,
                    threshold=row.yuan if last is None else threshold,
                    origin=Origin(partition, offset),
                )
            )
        return changes, touched


def basis_points(change: int, previous: int) -> float:
    """A change in basis points of the previous price, two decimals, half away from zero, computed in integers."""
    magnitude = (2 * abs(change) * 1_000_000 + previous) // (2 * previous)
    return (magnitude if change >= 0 else -magnitude) / 100

"""The changes job, pure: chunks of ticks in, price changes out, state that can be restored."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from broker.chunk import Chunk
from jobs.in_force import InForce
from jobs.marks import Marked, Repeats
from jobs.room import Room
from jobs.thresholds import Threshold, Thresholds, limit
from market.prices import SCALE
from schemas import ChangeState, LineMark, Origin, PriceChange, Tick, decode
from schemas.bounds import MAX_SESSION_VOLUME

_EXACT = 10**11
"""Prices below this (1/10,000 yuan) are off by far less than a quarter of a step when written as floats."""


class ChangeRow(Marked):
    """Where the job stands with one code. Prices in 1/10,000 yuan.

    Attributes:
        last: last emitted price.
        volume, ticks: since the last emission; volume is ``None`` while no tick carried any.
        bound, yuan: the threshold in force from ``last``: whole 1/10,000 yuan, and yuan.
        low, high: prices in yuan between which, in floating point too, nothing can be emitted.
    """

    __slots__ = (
        "_moving",
        "bound",
        "code",
        "high",
        "key",
        "last",
        "low",
        "offset",
        "partition",
        "threshold",
        "ticks",
        "volume",
        "yuan",
    )

    def __init__(self, code: str, threshold: Threshold, partition: int) -> None:
        """A code before its first tick."""
        super().__init__()
        self.code = code
        self.key = code.encode()
        self.threshold = threshold
        self._moving = True
        self.last: int | None = None
        self.volume: int | float | None = None
        self.ticks = 0
        self.partition = partition
        self.offset = -1
        self.bound = 0
        self.yuan = 0.0
        self.low, self.high = 1.0, 0.0

    def emitted(self, price: int) -> None:
        """Take a price as the last emitted one."""
        self.last = price
        self.volume = None
        self.ticks = 0
        self._bind(price)

    def judge_by(self, threshold: Threshold) -> None:
        """Take another threshold; moves still count from the last emitted price."""
        self.threshold = threshold
        self._moving = True
        if self.last is not None:
            self._bind(self.last)

    def _bind(self, price: int) -> None:
        # In yuan or ticks it is the same from every price.
        if self._moving:
            self.bound, self.yuan = limit(self.threshold, self.code, price)
            self._moving = self.threshold.bp_e2 is not None
        # A quarter of the smallest step covers what a float can be off, up to prices that are far beyond any.
        if price + self.bound < _EXACT:
            self.low, self.high = (price - self.bound - 0.25) / SCALE, (price + self.bound + 0.25) / SCALE
        else:
            self.low, self.high = 1.0, 0.0

    def record(self) -> ChangeState:
        """The row as its compacted topic keeps it."""
        assert self.last is not None
        return ChangeState(
            code=self.code,
            last=self.last / SCALE,
            volume=None if self.volume is None else min(self.volume, MAX_SESSION_VOLUME),
            ticks=self.ticks,
            origin=Origin(self.partition, self.offset),
            lines=self.lines(),
        )


class Changes:
    """The job over the rows of one partition at a time.

    Attributes:
        repeats: ticks that had taken effect before and were skipped.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        """A job with these thresholds; those set at run time come with each chunk."""
        self._thresholds = thresholds
        self._judging: dict[int, tuple[dict[str, ChangeRow], Thresholds]] = {}
        self.repeats = Repeats()
        self.room = Room("changes")

    @property
    def repeated(self) -> int:
        """Ticks that had taken effect before and were skipped."""
        return self.repeats.count

    def forget(self) -> None:
        """Hold on to no partition's rows: they may be another worker's now."""
        self._judging.clear()

    def restore(self, value: bytes) -> tuple[str, ChangeRow]:
        """Code and row of a state record.

        Raises:
            RecordError: it is none.
        """
        state = decode(ChangeState, value)
        row = ChangeRow(state.code, self._thresholds.of(state.code), state.origin.partition)
        row.emitted(round(state.last * SCALE))
        row.volume, row.ticks = state.volume, state.ticks
        row.offset = state.origin.offset
        row.restore_lines(state.lines)
        return state.code, row

    def apply(
        self, rows: dict[str, ChangeRow], chunk: Chunk, in_force: InForce | None = None
    ) -> tuple[list[PriceChange], set[ChangeRow]]:
        """Apply a chunk's ticks, in order, to its partition's rows.

        A tick at or below its line's mark for that code has taken effect before (it was sent again, or its chunk came
        again) and is skipped.

        Args:
            in_force: which thresholds were in force at which offset; without it the job's own are.

        Returns:
            The changes to emit, in order, and the rows that moved.
        """
        changes: list[PriceChange] = []
        touched: set[ChangeRow] = set()
        offsets, ticks, partition = chunk.offsets, chunk.ticks, chunk.partition
        thresholds = self._thresholds if in_force is None else in_force.throughout(chunk.start, chunk.end)
        if thresholds is not None:
            self._judge(partition, rows, thresholds)
            self._apply(rows, chunk, zip(offsets, ticks, strict=True), changes, touched)
        else:
            assert in_force is not None
            first = 0
            for end, among in in_force.spans(chunk.start, chunk.end):
                last = len(offsets) if end == chunk.end else bisect_left(offsets, end)
                self._judge(partition, rows, among)
                part = zip(offsets[first:last], ticks[first:last], strict=True)
                self._apply(rows, chunk, part, changes, touched)
                first = last
        if in_force is not None:
            in_force.judged(chunk.end)
        return changes, touched

    def _judge(self, partition: int, rows: dict[str, ChangeRow], thresholds: Thresholds) -> None:
        """Have the partition's rows judged by these thresholds; nothing to do where they are the same object still."""
        judging = self._judging.get(partition)
        if judging is not None and judging[0] is rows and judging[1] is thresholds:
            return
        for row in rows.values():
            row.judge_by(thresholds.of(row.code))
        self._judging[partition] = rows, thresholds

    def _apply(  # noqa: C901, PLR0912 - the hot loop
        self,
        rows: dict[str, ChangeRow],
        chunk: Chunk,
        numbered: Iterable[tuple[int, Tick | None]],
        changes: list[PriceChange],
        touched: set[ChangeRow],
    ) -> None:
        partition = chunk.partition
        thresholds = self._judging[partition][1]
        touch = touched.add
        for offset, tick in numbered:
            if tick is None:
                continue
            try:
                code = tick.code
                try:
                    row = rows[code]
                except KeyError:
                    if self.room.full(rows, code):
                        continue
                    row = rows[code] = ChangeRow(code, thresholds.of(code), partition)
                n = tick.n
                if tick.source == row.source and tick.run == row.run and n > row.n:
                    row.n = n
                elif not row.renew(tick.source, tick.run, n, tick.received, new=offset > row.offset):
                    self.repeats.dropped(row, tick)
                    continue
                row.offset, row.received = offset, tick.received
                row.ticks += 1
                volume = tick.volume
                if volume is not None:
                    so_far = row.volume
                    row.volume = volume if so_far is None else so_far + volume
                touch(row)
                if row.low <= tick.price <= row.high:
                    continue
                price = round(tick.price * SCALE)
                last = row.last
                if last is not None and -row.bound <= price - last <= row.bound:
                    continue
                traded, ticks, yuan = row.volume, row.ticks, row.yuan
                if traded is not None and traded > MAX_SESSION_VOLUME:
                    traded = MAX_SESSION_VOLUME
                row.emitted(price)
                origin, cause = Origin(partition, offset), LineMark(tick.source, tick.run, n)
                if last is None:
                    change = PriceChange(
                        code,
                        price / SCALE,
                        None,
                        None,
                        None,
                        tick.time,
                        tick.received,
                        traded,
                        ticks,
                        row.yuan,
                        origin,
                        cause,
                        tick.quality,
                    )
                else:
                    move = price - last
                    change = PriceChange(
                        code,
                        price / SCALE,
                        last / SCALE,
                        move / SCALE,
                        basis_points(move, last),
                        tick.time,
                        tick.received,
                        traded,
                        ticks,
                        yuan,
                        origin,
                        cause,
                        tick.quality,
                    )
                changes.append(change)
            except Exception as error:  # noqa: BLE001 - one record never ends the worker
                chunk.fail(offset, error)


def basis_points(change: int, previous: int) -> float:
    """A change in basis points of the previous price, two decimals, half away from zero, computed in integers."""
    magnitude = (2 * abs(change) * 1_000_000 + previous) // (2 * previous)
    return (magnitude if change >= 0 else -magnitude) / 100

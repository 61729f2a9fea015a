"""Records of a partition, gathered by day into stretches of offsets, each the stuff of one part.

Memory: the records of all open stretches, at most ``MOST_ROWS`` and ``MOST_BYTES`` of values beside one chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter
from typing import Any

import pyarrow as pa

from ashare_client.archive import Span
from broker.chunk import Chunk
from consumers.archive.kinds import HEADERS, Kind
from jobs.marks import HEALS_US
from market.times import LATEST, trading_date
from schemas import Record, decode_each

PART_ROWS = 49_152
"""Rows at which a part is cut: some 1 MB of ticks."""
MOST_ROWS = 2 * PART_ROWS
MOST_BYTES = 64 << 20


@dataclass
class Stretch:
    """Records of one day and partition in the order of their offsets; ``kafka_value`` still holds every JSON."""

    day: str
    partition: int
    kind: Kind
    batches: list[pa.RecordBatch] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0


class Marks:
    """What was seen last of each thing that a partition's records are about, so that a repeat is known.

    A repeat is what ``docs/decisions.md`` calls one: a record that was received long after the last one is none.
    """

    def __init__(self, kind: Kind) -> None:
        """Nothing seen."""
        self._about, self._number, self._received = kind.about, kind.number, kind.received
        self._last: dict[object, tuple[Any, int]] = {}

    def repeated(self, records: Sequence[Record | None]) -> list[bool]:
        """Which of the next records the partition has had before."""
        last, get = self._last, self._last.get
        known = records if None not in records else [record for record in records if record is not None]
        found = []
        times = map(self._received, known)
        for thing, number, received in zip(map(self._about, known), map(self._number, known), times, strict=True):
            before = get(thing)
            again = before is not None and number <= before[0] and received <= before[1] + HEALS_US
            if not again:
                last[thing] = number, received
            found.append(again)
        if len(known) == len(records):
            return found
        rest = iter(found)
        return [record is not None and next(rest) for record in records]


class Stretches:
    """One partition's records by day."""

    def __init__(self, topic: str, partition: int, kind: Kind, wanted: Any) -> None:
        """No records yet.

        Args:
            wanted: of a day (YYYY-MM-DD), whether it is archived.
        """
        self._topic = topic
        self._partition = partition
        self._kind = kind
        self._wanted = wanted
        self._marks = Marks(kind)
        self._open: dict[str, Stretch] = {}
        self._bare: Span | None = None
        self.first_day: str | None = None

    def warm(self, values: Sequence[bytes | None]) -> None:
        """Records that come before the next chunk and are archived already: they only say what is a repeat."""
        self._marks.repeated(decode_each(self._kind.type, values, [-1] * len(values)))

    def add(self, chunk: Chunk, *, whole: bool = True) -> Iterator[Stretch]:
        """Take the next records; gives the stretches that are full.

        Args:
            whole: the chunk is of the log: offsets that it covers and has no record of have none. Else it is of a
                store, which has dropped repeats, and some ticks under the place of theirs.
        """
        if not chunk.offsets:
            self._pass(chunk)
            return
        if self._bare is not None and self._bare.end == chunk.start:
            chunk.start = self._bare.start
        self._bare = None
        records = decode_each(self._kind.type, chunk.values, chunk.timestamps)
        repeated = self._marks.repeated(records) if whole else [False] * len(records)
        days = self._days(records, chunk.timestamps)
        if self.first_day is None:
            self.first_day = days[0]
        for day in filter(self._wanted, dict.fromkeys(days)):
            if whole and days.count(day) == len(days):
                self._put(day, self._batch(chunk, records, repeated), [Span(chunk.start, chunk.end)])
                continue
            spans = _spans(chunk) if whole else [Span(offset, offset + 1) for offset in chunk.offsets]
            mask = [other == day for other in days]
            batch = self._batch(chunk, records, repeated).filter(pa.array(mask))
            self._put(day, batch, compress(spans, mask))
        yield from self._full()

    def rest(self) -> Iterator[Stretch]:
        """What is left."""
        for stretch in self._open.values():
            if self._bare is not None and stretch.spans[-1].end == self._bare.start:
                stretch.spans[-1] = Span(stretch.spans[-1].start, self._bare.end)
        while self._open:
            yield self._open.pop(next(iter(self._open)))

    def _batch(self, chunk: Chunk, records: Sequence[Record | None], repeated: Sequence[bool]) -> pa.RecordBatch:
        rows = len(chunk)
        arrays = [
            *self._kind.arrays(records),
            pa.repeat(self._topic, rows),
            pa.repeat(pa.scalar(self._partition, pa.int64()), rows),
            pa.array(chunk.offsets, pa.int64()),
            pa.array(chunk.timestamps, pa.int64()),
            pa.array(repeated, pa.bool_()),
            pa.array(chunk.keys, pa.binary()),
            pa.array(chunk.values, pa.binary()),
            _headers(chunk.headers, rows),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._kind.schema)

    def _pass(self, chunk: Chunk) -> None:
        """Offsets without any record: the next record stands for them, or else the last one."""
        before = self._bare
        joined = before is not None and before.end == chunk.start
        self._bare = Span(before.start if before is not None and joined else chunk.start, chunk.end)

    def _put(self, day: str, batch: pa.RecordBatch, spans: Iterable[Span]) -> None:
        stretch = self._open.setdefault(day, Stretch(day, self._partition, self._kind))
        stretch.batches.append(batch)
        stretch.rows += batch.num_rows
        stretch.bytes += batch.nbytes
        for span in spans:
            if stretch.spans and stretch.spans[-1].end == span.start:
                stretch.spans[-1] = Span(stretch.spans[-1].start, span.end)
            else:
                stretch.spans.append(span)

    def _full(self) -> Iterator[Stretch]:
        for day in [day for day, stretch in self._open.items() if stretch.rows >= PART_ROWS]:
            yield self._open.pop(day)
        while self._open and (
            sum(stretch.rows for stretch in self._open.values()) > MOST_ROWS
            or sum(stretch.bytes for stretch in self._open.values()) > MOST_BYTES
        ):
            yield self._open.pop(max(self._open, key=lambda day: self._open[day].bytes))

    def _days(self, records: Sequence[Record | None], timestamps: Sequence[int]) -> list[str]:
        """The Shanghai date of each record's time; that of its receipt where it can't be read."""
        time_of = attrgetter(self._kind.time)
        if None in records:
            times = [
                min(max(timestamp, 0), LATEST) if record is None else time_of(record)
                for record, timestamp in zip(records, timestamps, strict=True)
            ]
        else:
            times = list(map(time_of, records))
        first, last = trading_date(min(times)), trading_date(max(times))
        return [first] * len(times) if first == last else list(map(trading_date, times))


def _spans(chunk: Chunk) -> list[Span]:
    """The offsets that each record stands for: its own, those without a record before it, and behind the last."""
    ends = [offset + 1 for offset in chunk.offsets]
    ends[-1] = chunk.end
    return list(map(Span, [chunk.start, *ends[:-1]], ends))


def _headers(headers: Sequence[Sequence[tuple[str, bytes]]], rows: int) -> pa.Array:
    if not any(headers):
        return pa.nulls(rows, HEADERS)
    bounds, names, values = [0], [], []
    for some in headers:
        for name, value in some:
            names.append(name)
            values.append(value)
        bounds.append(len(names))
    pairs = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()), pa.array(values, pa.binary())], fields=list(HEADERS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pairs)

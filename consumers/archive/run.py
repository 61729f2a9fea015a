"""Closing days: from the log or a store into the archive, what it does not hold yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from aiokafka import TopicPartition

from ashare_client.archive import Archive, ArchiveError, Day, Span, merged
from broker.reader import ChunkReader
from consumers.archive.keeper import Keeper
from consumers.archive.kinds import Kind
from consumers.archive.sink import Sink
from consumers.archive.stored import chunks
from market.times import trading_date
from schemas import UsageError
from stores import TickReader

_FETCH_BYTES = 1 << 20
_SMALL = 65_536
"""Offsets that are archived are read over, rather than around, when they are fewer."""

Progress = Callable[[int, int], None]
"""Told how many offsets are done, and of how many."""


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Request:
    """What to archive.

    Attributes:
        days: Shanghai dates (YYYY-MM-DD); empty for all that are over.
        unfinished: also days that are not over.
        now: ms since the epoch.
    """

    directory: Path
    topic: str
    kind: Kind
    days: frozenset[str] = frozenset()
    unfinished: bool = False
    now: int = field(default_factory=_now)

    def over(self, day: str) -> bool:
        """Whether a day has ended in Shanghai."""
        return day < trading_date(self.now)

    def wanted(self, day: str) -> bool:
        """Whether a day is archived."""
        return (self.unfinished or self.over(day)) and (not self.days or day in self.days)

    def check(self) -> None:
        """Make sure that the named days can be closed.

        Raises:
            UsageError: one is not over.
        """
        for day in sorted(self.days):
            if not self.unfinished and not self.over(day):
                raise UsageError(f"{day} is not over in Shanghai: --include-today archives what there is of it so far")


@dataclass(frozen=True)
class Added:
    """What a run put into one day."""

    topic: str
    date: str
    rows: int
    parts: int
    bytes: int
    closed: bool


async def from_log(request: Request, bootstrap: str, progress: Progress | None = None) -> list[Added]:
    """Archive what the log holds of the wanted days and the archive does not.

    Days are told by the records' own time, so all that is not archived is read; that of other days is passed over, and
    read again by the next run. Memory is bounded whatever the log holds.

    Raises:
        UsageError: the archive can't be written; no broker, no topic, or another log than the one that is archived.
        ReadError: the log does not give what it has.
    """
    request.check()
    _settle()
    topic = request.topic
    with clear_errors(), Keeper(request.directory) as keeper:
        archive = Archive(request.directory)
        async with ChunkReader(bootstrap, client_id="ashare-archive", headers=True, fetch_bytes=_FETCH_BYTES) as reader:
            places = await reader.partitions(topic)
            begins, ends = await reader.begins(places), await reader.ends(places)
            log = {tp.partition: Span(begins[tp], ends[tp]) for tp in places}
            held = archive.spans(topic)
            another = await another_log(reader, archive, topic, log, held)
            if another is not None:
                raise UsageError(f"{another}; name another directory with --dir")
            sink = Sink(archive, topic, request.kind, wanted=request.wanted, staging=keeper.staging, source="log")
            ranges = {p: missing(span, held.get(p, ())) for p, span in log.items()}
            total, done = sum(span.end - span.start for spans in ranges.values() for span in spans), 0
            for partition, spans in ranges.items():
                for span in spans:
                    reader.assign({TopicPartition(topic, partition): span})
                    while reader.left:
                        for chunk in await reader.fetch():
                            await asyncio.to_thread(sink.add, chunk)
                            done += chunk.end - chunk.start
                            if progress is not None:
                                progress(done, total)
        await asyncio.to_thread(sink.close)
        firsts = [_reached(archive.manifests(topic), p, span, sink) for p, span in log.items()]
        return _commit(
            keeper, archive, request, sink, lambda day: all(first is not None and first < day for first in firsts)
        )


def from_store(
    request: Request, store: TickReader, progress: Progress | None = None, *, whole: bool = True
) -> list[Added]:
    """Archive what a store holds of the wanted days and the archive does not.

    A store keeps each tick once and its fields only: offsets of ticks that were sent again stay missing, and a record
    read from the archive is the JSON that the pipeline writes of the fields.

    Args:
        whole: whether the store has all that the log has (see ``lag``); else no day is closed.

    Raises:
        UsageError: the archive can't be written, or the store can't be read.
    """
    request.check()
    _settle()
    with clear_errors(), Keeper(request.directory) as keeper:
        archive = Archive(request.directory)
        days = [day for day in store.days() if request.wanted(day)]
        sink = Sink(archive, request.topic, request.kind, wanted=request.wanted, staging=keeper.staging, source="store")
        for number, day in enumerate(days):
            for chunk in chunks(store, day, request.topic):
                sink.add(chunk)
            sink.close()
            if progress is not None:
                progress(number + 1, len(days))
        return _commit(keeper, archive, request, sink, lambda day: whole and day in days)


def _settle() -> None:
    """Let Arrow take its memory where Python does: its own allocator keeps some 60 MB more, and is no faster here."""
    pa.set_memory_pool(pa.system_memory_pool())


@contextmanager
def clear_errors() -> Iterator[None]:
    """Make an archive that can't be read the user's to mend."""
    try:
        yield
    except ArchiveError as error:
        raise UsageError(str(error)) from error


def missing(log: Span, held: Sequence[Span]) -> list[Span]:
    """What is to be read of a partition: the log less what is held, though not around a little of it."""
    found: list[Span] = []
    edges = [Span(log.start, log.start), *(span for span in held if span.end > log.start and span.start < log.end)]
    for before, after in pairwise([*edges, Span(log.end, log.end)]):
        if before.end >= after.start:
            continue
        if found and before.end - found[-1].end <= _SMALL:
            found[-1] = Span(found[-1].start, after.start)
        else:
            found.append(Span(before.end, after.start))
    return found


async def another_log(
    reader: ChunkReader, archive: Archive, topic: str, log: Mapping[int, Span], held: Mapping[int, Sequence[Span]]
) -> str | None:
    """Why a topic is not the one that an archive came from; ``None`` where it is.

    Offsets of a topic that was deleted and made again begin anew: what is new would pass for archived.
    """
    for partition, spans in held.items():
        last = spans[-1].end - 1
        span = log.get(partition, Span(0, 0))
        why = None
        if last >= span.end:
            why = f"ends at {span.end:,}, the archive at {last + 1:,}"
        elif last >= span.start:
            archived = [
                (record.timestamp, record.key)
                for batch in archive.read(topic, partition, last, last + 1)
                for record in archive.records(topic, batch)
            ]
            reader.assign({TopicPartition(topic, partition): (last, last + 1)})
            logged = [pair for c in await reader.fetch() for pair in zip(c.timestamps, c.keys, strict=True)]
            if archived and logged and archived != logged:
                why = f"has another record at {last:,} than the archive"
        if why is not None:
            return (
                f"{topic} is not the topic that {archive.directory} holds, partition {partition} {why}:"
                " it was made anew"
            )
    return None


def _reached(days: Sequence[Day], partition: int, log: Span, sink: Sink) -> str | None:
    """The day of the oldest record from which on nothing of a partition is missing.

    "" where it is the partition's very first, None where nothing is known.
    """
    dated = [
        (span, day.date) for day in days for part in day.parts if part.partition == partition for span in part.spans
    ]
    whole = merged([*(span for span, _ in dated), log])
    start = next(span.start for span in whole if span.start <= log.end <= span.end)
    if start == 0:
        return ""
    found = (date for span, date in dated if span.start <= start < span.end)
    return next(found, sink.first_day.get(partition))


def _commit(
    keeper: Keeper, archive: Archive, request: Request, sink: Sink, whole: Callable[[str], bool]
) -> list[Added]:
    known = {day.date: day for day in archive.manifests(request.topic)}
    added: list[Added] = []
    for date in sorted(known.keys() | sink.parts.keys()):
        before, parts = known.get(date), sink.parts.get(date, [])
        was = before is not None and before.closed
        closed = was or (request.wanted(date) and request.over(date) and whole(date))
        if not parts and closed == was:
            continue
        every = sorted([*(before.parts if before else ()), *parts], key=lambda part: (part.partition, part.start))
        keeper.commit(Day(request.topic, request.kind.name, date, closed, request.now, every))
        added.append(
            Added(
                request.topic,
                date,
                sum(part.rows for part in parts),
                len(parts),
                sum(part.bytes for part in parts),
                closed,
            )
        )
    return added

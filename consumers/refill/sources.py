"""Where a day's ticks are: what the archive holds of it, and all else in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Literal

from aiokafka import TopicPartition

from ashare_client.archive import Archive, Day, Span, merged
from broker.chunk import Chunk
from broker.reader import ChunkReader
from consumers.archive.run import another_log, missing
from consumers.archive.sink import pieces
from market.times import DAY_MS, day_start
from schemas import UsageError
from schemas.topics import TICKS

_ARCHIVED_ROWS = 4_096
"""Most records of a chunk that comes from the archive."""
_NEAR = 65_536
"""Offsets of other days that are read over, rather than around, when they are fewer."""
_FETCH_BYTES = 1 << 20

Origin = Literal["kafka", "archive"]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to write again.

    Attributes:
        day: Shanghai date (YYYY-MM-DD) of the ticks' exchange time.
        archive: its directory, where there is one.
        origin: where to take the ticks from and nowhere else; by default the archive gives what it holds, and the log
            everything else.
    """

    day: str
    bootstrap: str
    archive: Path | None = None
    origin: Origin | None = None
    topic: str = TICKS

    @property
    def times(self) -> tuple[int, int]:
        """From and to, ms since the epoch."""
        start = day_start(self.day)
        return start, start + DAY_MS


@dataclass(frozen=True)
class Archived:
    """What an archive holds of a day.

    Attributes:
        size: records that it is about.
        whole: whether nothing of the day can be missing.
    """

    archive: Archive
    day: Day
    origin: ClassVar[Origin] = "archive"

    @property
    def size(self) -> int:
        """Records to read, about."""
        return sum(part.rows for part in self.day.parts)

    @property
    def whole(self) -> bool:
        """Whether the archive has closed the day."""
        return self.day.closed

    async def chunks(self) -> AsyncIterator[tuple[Chunk, int]]:
        """The records, and some of other days; with each chunk, how many of ``size`` it is."""
        partitions = sorted({part.partition for part in self.day.parts})
        for chunk in _in_turns([self._chunks(partition) for partition in partitions]):
            yield chunk, len(chunk)

    def _chunks(self, partition: int) -> Iterator[Chunk]:
        topic = self.day.topic
        for span in _ranges(self.day, partition):
            for batch in self.archive.read(topic, partition, *span):
                for row in range(0, batch.num_rows, _ARCHIVED_ROWS):
                    chunk = Chunk(topic, partition, 0)
                    for record in self.archive.records(topic, batch.slice(row, _ARCHIVED_ROWS)):
                        chunk.offsets.append(record.offset)
                        chunk.timestamps.append(record.timestamp)
                        chunk.keys.append(record.key)
                        chunk.values.append(record.value)
                    yield chunk


@dataclass(frozen=True)
class Logged:
    """What is to be read of the log.

    Attributes:
        spans: the offsets, by partition.
        held: of these, what the archive gives.
        whole: whether the log goes back to before the day, in every partition.
    """

    reader: ChunkReader
    topic: str
    spans: Mapping[int, Sequence[Span]]
    held: Mapping[int, Sequence[Span]]
    whole: bool
    origin: ClassVar[Origin] = "kafka"

    @property
    def size(self) -> int:
        """Offsets to read."""
        return sum(span.end - span.start for spans in self.spans.values() for span in spans)

    async def chunks(self) -> AsyncIterator[tuple[Chunk, int]]:
        """The records, of every day; with each chunk, how many offsets were passed.

        All partitions are read side by side: a store takes ticks best in about the order of their time.
        """
        for spans in zip_longest(*self.spans.values()):
            places = zip(self.spans, spans, strict=True)
            self.reader.assign({TopicPartition(self.topic, number): span for number, span in places if span})
            while self.reader.left:
                for chunk in await self.reader.fetch():
                    for held, piece in pieces(chunk, self.held.get(chunk.partition, ())):
                        yield (
                            (Chunk(chunk.topic, chunk.partition, piece.end) if held else piece),
                            piece.end - piece.start,
                        )


async def sources(request: Request, stack: AsyncExitStack, warn: Warn) -> list[Archived | Logged]:
    """Where to take a day's ticks from, one after the other.

    Args:
        stack: closes what was opened.
        warn: called with a sentence about what the user should know of that.

    Raises:
        UsageError: the one that is asked for is not there, or none is.
    """
    archived = _archived(request)
    if request.origin == "archive":
        if archived is None:
            raise UsageError(nobody(request))
        return [archived]
    try:
        logged = await _logged(request, stack, warn)
    except UsageError as error:
        if archived is None:
            raise
        warn(f"only what the archive holds of {request.day} is written: {error}")
        return [archived]
    return [logged] if archived is None else [archived, logged]


def nobody(request: Request) -> str:
    """That no tick of the day was found where it was looked for."""
    log, archive = f"the log of {request.topic}", f"the archive {request.archive}"
    if request.origin == "kafka":
        return f"{log} holds no ticks of {request.day}"
    if request.archive is None:
        where = f"{log} holds no ticks of {request.day}, and " if request.origin is None else ""
        return f"{where}there is no archive: --archive names one"
    days = Archive(request.archive).days(request.topic)
    has = f"the archive's days are {days[0]} to {days[-1]}" if days else "the archive is empty"
    who = f"{archive} does not hold" if request.origin else f"neither {log} nor {archive} holds"
    return f"{who} ticks of {request.day}: {has}"


def _archived(request: Request) -> Archived | None:
    if request.origin == "kafka" or request.archive is None:
        return None
    archive = Archive(request.archive)
    found = (day for day in archive.manifests(request.topic) if day.date == request.day)
    return next((Archived(archive, day) for day in found), None)


async def _logged(request: Request, stack: AsyncExitStack, warn: Warn) -> Logged:
    """What the log has now; what comes later, the worker writes."""
    topic = request.topic
    made = ChunkReader(request.bootstrap, client_id="ashare-refill", fetch_bytes=_FETCH_BYTES)
    reader = await stack.enter_async_context(made)
    places = await reader.partitions(topic)
    begins, ends = await reader.begins(places), await reader.ends(places)
    firsts = await reader.at(places, request.times[0])
    log = {tp.partition: Span(begins[tp], ends[tp]) for tp in places}
    held: Mapping[int, Sequence[Span]] = {}
    if request.origin is None and request.archive is not None:
        archive = Archive(request.archive)
        held = archive.spans(topic)
        another = await another_log(reader, archive, topic, log, held)
        if another is not None:
            warn(f"{another}; what either has of {request.day} is written")
            held = {}
    spans = {partition: missing(span, held.get(partition, ())) for partition, span in log.items()}
    whole = all(begins[tp] == 0 or firsts[tp] > begins[tp] for tp in places)
    return Logged(reader, topic, spans, held, whole)


def _in_turns(iterators: Sequence[Iterator[Chunk]]) -> Iterator[Chunk]:
    """A chunk of each, again and again, until there are no more."""
    left = list(iterators)
    while left:
        for chunks in tuple(left):
            chunk = next(chunks, None)
            if chunk is None:
                left.remove(chunks)
            else:
                yield chunk


def _ranges(day: Day, partition: int) -> list[tuple[int, int]]:
    """The offsets of a day in a partition, small gaps closed: what lies in them is of other days."""
    found: list[tuple[int, int]] = []
    for start, end in merged(span for part in day.parts if part.partition == partition for span in part.spans):
        if found and start - found[-1][1] <= _NEAR:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found

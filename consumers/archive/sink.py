"""Where both sources of an archive, the log and a store, put their records: parts in the staging directory, by day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from ashare_client.archive import WINDOW, Archive, Part, Span
from broker.chunk import Chunk
from consumers.archive import parts
from consumers.archive.kinds import Kind
from consumers.archive.stretches import Stretch, Stretches


class Sink:
    """Takes a topic's chunks, partition after partition, each in the order of offsets.

    Attributes:
        parts: what was written, by day.
        first_day: of each partition, the day of the first record that came.
    """

    def __init__(
        self,
        archive: Archive,
        topic: str,
        kind: Kind,
        *,
        wanted: Callable[[str], bool],
        staging: Path,
        source: Literal["log", "store"],
    ) -> None:
        """Nothing is written yet.

        Args:
            wanted: of a day (YYYY-MM-DD), whether it is archived.
        """
        self.parts: dict[str, list[Part]] = {}
        self.first_day: dict[int, str] = {}
        self._archive = archive
        self._topic = topic
        self._kind = kind
        self._wanted = wanted
        self._staging = staging
        self._source = source
        self._held = archive.spans(topic)
        self._current: Stretches | None = None
        self._partition = -1
        self._at = -1

    def add(self, chunk: Chunk) -> None:
        """Take the next records; those that the archive has are passed over.

        Raises:
            UsageError: they could not be written.
            ArchiveError: the archive could not be read.
        """
        stretches = self._stretches(chunk)
        for held, piece in pieces(chunk, self._held.get(chunk.partition, ())):
            if held:
                stretches.warm(piece.values)
            else:
                for stretch in stretches.add(piece, whole=self._source == "log"):
                    self._write(stretch)
        if stretches.first_day is not None:
            self.first_day.setdefault(chunk.partition, stretches.first_day)
        self._at = chunk.end

    def close(self) -> None:
        """Write what is left."""
        if self._current is not None:
            for stretch in self._current.rest():
                self._write(stretch)
        self._current = None

    def _stretches(self, chunk: Chunk) -> Stretches:
        if self._current is None or chunk.partition != self._partition:
            self.close()
            self._current = Stretches(self._topic, chunk.partition, self._kind, self._wanted)
            self._partition, self._at = chunk.partition, -1
        if chunk.start != self._at and self._source == "log":
            self._warm(self._current, chunk)
        return self._current

    def _warm(self, stretches: Stretches, chunk: Chunk) -> None:
        """Show the records that come right before and are archived: a repeat comes soon, or never."""
        for batch in self._archive.read(self._topic, chunk.partition, max(0, chunk.start - WINDOW), chunk.start):
            stretches.warm([record.value for record in self._archive.records(self._topic, batch)])

    def _write(self, stretch: Stretch) -> None:
        part = parts.write(stretch, self._staging, folder(self._topic), self._source)
        self.parts.setdefault(stretch.day, []).append(part)


def folder(topic: str) -> str:
    """The directory of a topic's parts: ``ticks`` of ``ashare.ticks.v1``."""
    return topic.removeprefix("ashare.").removesuffix(".v1")


def pieces(chunk: Chunk, held: Sequence[Span]) -> Iterator[tuple[bool, Chunk]]:
    """A chunk cut where spans that are held (rising, apart) begin and end, and of each piece whether it is held."""
    at = chunk.start
    for span in held:
        low, high = max(span.start, at), min(span.end, chunk.end)
        if low >= high:
            continue
        if low > at:
            yield False, _cut(chunk, at, low)
        yield True, _cut(chunk, low, high)
        at = high
    if at < chunk.end:
        yield False, _cut(chunk, at, chunk.end)


def _cut(chunk: Chunk, start: int, end: int) -> Chunk:
    if start == chunk.start and end == chunk.end:
        return chunk
    low, high = bisect_left(chunk.offsets, start), bisect_left(chunk.offsets, end)
    piece = Chunk(chunk.topic, chunk.partition, start)
    piece.end = end
    for name in ("offsets", "timestamps", "keys", "values", "headers"):
        setattr(piece, name, getattr(chunk, name)[low:high])
    return piece

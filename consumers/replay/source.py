"""A planned range as chunks: what is archived first, then the log, as one."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from broker.chunk import Chunk
from broker.reader import ChunkReader
from consumers.replay.plan import Piece
from schemas import UsageError

ARCHIVED_ROWS = 512
"""Most records of a chunk that comes from the archive."""


class Archived:
    """An archive directory, read through ``ashare_client.archive``."""

    def __init__(self, directory: Path) -> None:
        """Open it.

        Raises:
            UsageError: it is none, or the reading of archives is not installed.
        """
        try:
            module = importlib.import_module("ashare_client.archive")
        except ImportError as error:
            raise UsageError(
                f"--archive needs the client library ashare-client, which is not installed: {error}"
            ) from error
        # Let Arrow take its memory where Python does: its own allocator keeps more, and is no faster here.
        arrow = importlib.import_module("pyarrow")
        arrow.set_memory_pool(arrow.system_memory_pool())
        self.error: type[Exception] = module.ArchiveError
        if not directory.is_dir():
            raise UsageError(f"--archive {directory}: no such directory")
        self.directory = directory
        try:
            self._archive: Any = module.Archive(directory)
        except module.ArchiveError as error:
            raise UsageError(f"--archive {directory}: {error}") from error

    def spans(self, topic: str) -> dict[int, list[tuple[int, int]]]:
        """The offsets that are archived, by partition."""
        if topic not in self._archive.topics():
            return {}
        return {p: [(s.start, s.end) for s in spans] for p, spans in self._archive.spans(topic).items()}

    def days(self, topic: str) -> list[str]:
        """The days that are archived."""
        return [str(day) for day in self._archive.days(topic)] if topic in self._archive.topics() else []

    def at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """The first archived offset received from then on, by partition."""
        found: dict[int, int] = self._archive.at(topic, timestamp_ms) if topic in self._archive.topics() else {}
        return found

    def chunks(self, topic: str, partition: int, start: int, end: int, *, headers: bool) -> Iterator[Chunk]:
        """A range's records, in chunks; holes, as compaction leaves them, stay holes."""
        at = start
        for batch in self._archive.read(topic, partition, start, end):
            for row in range(0, batch.num_rows, ARCHIVED_ROWS):
                records = list(self._archive.records(topic, batch.slice(row, ARCHIVED_ROWS)))
                if not records:
                    continue
                chunk = Chunk(topic, partition, at)
                chunk.offsets = [record.offset for record in records]
                chunk.timestamps = [record.timestamp for record in records]
                chunk.keys = [record.key for record in records]
                chunk.values = [record.value for record in records]
                chunk.headers = [record.headers for record in records] if headers else []
                chunk.end = at = chunk.offsets[-1] + 1
                yield chunk
        if at < end:
            chunk = Chunk(topic, partition, at)
            chunk.end = end
            yield chunk


class Source:
    """Chunks of each partition of a plan, in order."""

    def __init__(
        self,
        reader: ChunkReader,
        archive: Archived | None,
        topic: str,
        pieces: Mapping[int, Sequence[Piece]],
        *,
        headers: bool,
    ) -> None:
        """A source before its first chunk; ``headers`` says whether the reader's chunks carry them."""
        self._headers = headers
        self._reader = reader
        self._archive = archive
        self._topic = topic
        self._pieces = pieces
        self._archived: dict[int, list[Iterator[Chunk]]] = {}
        self.read = 0
        self.rewind({p: parts[0].start if parts else 0 for p, parts in pieces.items()})

    def rewind(self, starts: Mapping[int, int]) -> None:
        """Read from these offsets on, each within its partition's range."""
        ranges: dict[TopicPartition, tuple[int, int]] = {}
        self._archived = {}
        self.read = 0
        for partition, parts in self._pieces.items():
            start = starts[partition]
            for piece in parts:
                self.read += max(0, min(piece.end, start) - piece.start)
                if start >= piece.end:
                    continue
                low = max(start, piece.start)
                if piece.archived:
                    assert self._archive is not None
                    chunks = self._archive.chunks(self._topic, partition, low, piece.end, headers=self._headers)
                    self._archived.setdefault(partition, []).append(chunks)
                else:
                    ranges[TopicPartition(self._topic, partition)] = (low, piece.end)
        self._reader.assign(ranges)

    @property
    def left(self) -> set[int]:
        """Partitions that are not read to their end."""
        return {tp.partition for tp in self._reader.left} | set(self._archived)

    async def fetch(self, wanted: Collection[int]) -> list[Chunk]:
        """The next chunks of the wanted partitions, at most one each; at least one, unless nothing of them is left.

        Raises:
            ReadError: the log does not give what the plan has.
        """
        chunks: list[Chunk] = []
        for partition in sorted(set(wanted) & set(self._archived)):
            # On the loop's own thread, though it may take 0.1 s: others have heaps of their own, and what is left
            # behind in those is a quarter of the memory.
            chunk = self._next_archived(partition)
            if chunk is not None:
                chunks.append(chunk)
        live = {TopicPartition(self._topic, p) for p in wanted if p not in self._archived}
        if not chunks and live:
            chunks = await self._reader.fetch(live)
        self.read += sum(chunk.end - chunk.start for chunk in chunks)
        return chunks

    def _next_archived(self, partition: int) -> Chunk | None:
        assert self._archive is not None
        queue = self._archived[partition]
        while queue:
            try:
                chunk = next(queue[0], None)
            except self._archive.error as error:
                raise UsageError(f"--archive {self._archive.directory}: {error}") from error
            if chunk is not None:
                return chunk
            queue.pop(0)
        del self._archived[partition]
        return None

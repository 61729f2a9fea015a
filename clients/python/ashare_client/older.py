"""What the log no longer holds: ranges of offsets, read from an archive where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ashare_client.archive import Archive
from ashare_client.errors import ArgumentError

Range = tuple[int, int]
"""First offset, and the one behind the last."""


@dataclass(frozen=True)
class Cover:
    """What an archive has of a range, and what it has not; both rising."""

    parts: Sequence[Range]
    holes: Sequence[Range]


class Older:
    """The archive of one topic, or the lack of one."""

    def __init__(self, directory: str | Path | None, topic: str) -> None:
        """Opens the directory.

        Raises:
            ArgumentError: there is none.
            ArchiveError: the library that reads it is not installed.
        """
        self.directory = directory
        self._topic = topic
        self._archive: Archive | None = None
        if directory is not None:
            if not Path(directory).is_dir():
                raise ArgumentError(f"archive: {directory} is not a directory")
            self._archive = Archive(directory)

    def spans(self, partition: int) -> list[Range]:
        """What there is of a partition, rising, neighbours joined."""
        if self._archive is None:
            return []
        return [(span.start, span.end) for span in self._archive.spans(self._topic).get(partition, ())]

    def at(self, ms: int) -> dict[int, int]:
        """The first offset of each partition received at or after a time; partitions without one are left out."""
        if self._archive is None:
            return {}
        return self._archive.at(self._topic, ms)

    def cover(self, partition: int, start: int, end: int) -> Cover:
        """Which of a range there is."""
        return covered(self.spans(partition), start, end)

    def read(self, partition: int, ranges: Sequence[Range], limit: int) -> Iterator[list[Any]]:
        """The records of ranges in order, in lists of at most `limit`; reads files, so it belongs into a thread."""
        assert self._archive is not None, "what there is none of is not asked for"
        for start, end in ranges:
            for arrow in self._archive.read(self._topic, partition, start, end):
                some = []
                for record in self._archive.records(self._topic, arrow):
                    some.append(record)
                    if len(some) >= limit:
                        yield some
                        some = []
                if some:
                    yield some


def covered(spans: Sequence[Range], start: int, end: int) -> Cover:
    """What spans (rising, apart) have of a range."""
    parts, holes, at = [], [], start
    for first, behind in spans:
        low, high = max(first, at), min(behind, end)
        if low >= high:
            continue
        if low > at:
            holes.append((at, low))
        parts.append((low, high))
        at = high
    if at < end:
        holes.append((at, end))
    return Cover(parts, holes)


def shown(ranges: Sequence[Range]) -> str:
    """Ranges for a person: `0-99, 500-812`, or `nothing`."""
    return ", ".join(f"{start:,}-{end - 1:,}" for start, end in ranges) or "nothing"

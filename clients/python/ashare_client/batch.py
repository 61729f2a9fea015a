"""A batch: the records of one fetch that are handed to the caller together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Literal, TypeVar, overload

from ashare_client.records import Record

R = TypeVar("R", bound=Record)
Source = Literal["log", "archive"]


class Batch(Sequence[R], Generic[R]):
    """Records in the order of their partitions; a code's are all in one partition.

    Attributes:
        records: what the caller gets.
        partitions, offsets, timestamps: where each lies in Kafka; timestamps in ms since the epoch.
        ends: by partition, the offset from which to go on when the whole batch is done.
        source: whether it came from the log or, since the log's retention has passed, from the archive.
    """

    __slots__ = ("ends", "offsets", "partitions", "records", "source", "timestamps")

    def __init__(self, source: Source = "log") -> None:
        """An empty batch."""
        self.records: list[R] = []
        self.partitions: list[int] = []
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.ends: dict[int, int] = {}
        self.source: Source = source

    def add(self, record: R, partition: int, offset: int, timestamp: int) -> None:
        """Put a record at the end."""
        self.records.append(record)
        self.partitions.append(partition)
        self.offsets.append(offset)
        self.timestamps.append(timestamp)

    def rest(self, handed: int) -> Batch[R]:
        """This batch, or what follows its first records."""
        if handed == 0:
            return self
        rest: Batch[R] = Batch(self.source)
        rest.records = self.records[handed:]
        rest.partitions = self.partitions[handed:]
        rest.offsets = self.offsets[handed:]
        rest.timestamps = self.timestamps[handed:]
        rest.ends = dict(self.ends)
        return rest

    def progress(self, handed: int) -> dict[int, int]:
        """The offsets from which to go on when only the first `handed` records are done."""
        if handed >= len(self.records):
            return dict(self.ends)
        # What follows a partition's last record that is done was filtered out, at most: it may come again.
        return {
            partition: offset + 1
            for partition, offset in zip(self.partitions[:handed], self.offsets[:handed], strict=True)
            if partition in self.ends
        }

    def __len__(self) -> int:
        """Records."""
        return len(self.records)

    def __iter__(self) -> Iterator[R]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> list[R]: ...
    def __getitem__(self, index: int | slice) -> R | list[R]:
        return self.records[index]

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} records from the {self.source}, up to {self.ends}>"

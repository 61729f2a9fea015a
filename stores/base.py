"""The small interface that every store of ticks keeps.

A store holds each tick once: ``(source, run, n)`` names it, so a batch that is written again, cut elsewhere, or whose
ticks the producer had to send again under new offsets, adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas import Tick


class StoreError(Exception):
    """The store did not take a write. Nothing of it need be kept: the caller holds the ticks and writes them again.

    The text says what the store said and, where it can be told, what to do: disk full, locked, unreachable.
    """


class UnstorableError(StoreError):
    """A tick that no store can keep, however often it is written: a number beyond 64 bits, a time beyond the year 9999.

    Attributes:
        partition: where the tick is in the batches' topic.
        offset: likewise.
    """

    def __init__(self, text: str, partition: int, offset: int) -> None:
        """The text names the field."""
        super().__init__(text)
        self.partition = partition
        self.offset = offset


@dataclass(frozen=True, slots=True)
class TickBatch:
    """Ticks of one partition, with the place that each came from; the lists are of one length.

    Attributes:
        offsets: Kafka offsets, rising.
        timestamps: Kafka record timestamps, ms since the epoch.
        values: the ticks' JSON as the log has it, where it is at hand.
    """

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps: Sequence[int]
    ticks: Sequence[Tick]
    values: Sequence[bytes] | None = None


class TickStore(Protocol):
    """Where ticks are kept. Opened once, written by one caller at a time, closed once.

    Attributes:
        identity: what tells the thing that holds the ticks from another of its name, once it is open; ``None`` where
            nothing does. A store that is told of one never makes what is missing anew.
    """

    identity: int | None

    async def open(self) -> None:
        """Make the store ready, creating what is missing.

        Raises:
            schemas.UsageError: it can't be used as configured (not writable, another owner, wrong address).
            StoreError: it is not there yet; trying again may help.
        """

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Keep the batches durably; when this returns, a crash loses none of their ticks.

        Idempotent. All of one day's ticks are written together or not at all. Of a tick that comes again under another
        offset, a store keeps either place.

        Returns:
            How many of the ticks were new; a store that can't tell counts every tick that it took.

        Raises:
            StoreError: not written, or not surely; write the same batches again. Also while the store is not open.
            UnstorableError: one tick can't be kept; nothing of its day is.
            schemas.UsageError: what holds the ticks belongs to something else by now, or to another version.
        """

    async def close(self) -> None:
        """Release files and connections. A second call does nothing."""

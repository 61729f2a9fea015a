"""The contract that every store of ticks keeps: writing, reading by day, and SQL.

A store holds each tick once: ``(source, run, n)`` names it, so a batch that is written again, cut elsewhere, or whose
ticks the producer had to send again under new offsets, adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from schemas import BareTick


class StoreError(Exception):
    """The store can't be opened or did not take a write, for now: try again. The caller still holds the ticks.

    The text says what the store said and, where it can be told, what to do: disk full, locked, unreachable. What no
    number of tries would change is a ``schemas.UsageError``.
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
        beside: whether any may have a book or figures of the day; else they need not be looked at for it, and may be
            ``BareTick``.
    """

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps: Sequence[int]
    ticks: Sequence[BareTick]
    values: Sequence[bytes] | None = None
    beside: bool = True


def without(batches: Iterable[TickBatch], partition: int, offset: int) -> list[TickBatch]:
    """The batches without the tick at one place, and without batches that are empty then."""
    kept: list[TickBatch] = []
    for batch in batches:
        left = batch
        if batch.partition == partition and offset in batch.offsets:
            at = batch.offsets.index(offset)
            lists = (batch.offsets, batch.timestamps, batch.ticks)
            offsets, timestamps, ticks = ([*entries[:at], *entries[at + 1 :]] for entries in lists)
            values = None if batch.values is None else [*batch.values[:at], *batch.values[at + 1 :]]
            left = TickBatch(batch.topic, partition, offsets, timestamps, ticks, values, batch.beside)
        if left.ticks:
            kept.append(left)
    return kept


class TickStore(Protocol):
    """Where ticks are written. Opened, written by one caller at a time, closed."""

    async def open(self) -> None:
        """Make the store ready, creating what is missing. A second call does nothing.

        After a call that failed or was cancelled, the same object is opened again when it is time, or closed.

        Raises:
            StoreError: it is away, full or locked: try again later, by and by.
            schemas.UsageError: it can't be used as configured (not writable, another's file or table, a wrong password
                or address). Trying again helps only when somebody has changed that.
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


@dataclass(frozen=True)
class Result:
    """What a query gives, read row by row.

    Attributes:
        note: what the reader should know beside it, as which days were left out.
    """

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]
    note: str | None = None


class TickReader(Protocol):
    """What was stored, read by whoever likes, at any time: nothing has to be opened, nothing is ever changed.

    Every method raises ``schemas.UsageError`` where there is no such store, or it can't be read; also while rows are
    read.
    """

    def days(self) -> list[str]:
        """The Shanghai days (YYYY-MM-DD) that there are ticks of, oldest first; none where nothing was stored yet."""

    def rows(self, day: str, topic: str | None = None) -> Iterator[Sequence[Sequence[Any]]]:
        """A day's rows, in lists of at most ``columns.ROWS``, values in the order of ``columns.NAMES``.

        Args:
            topic: only the ticks of a topic, by partition and offset; by default all, in any order.
        """

    def query(self, sql: str, days: Sequence[str] = ()) -> AbstractContextManager[Result]:
        """Run one statement on the table ``ticks``, in the database's own SQL, and nothing but reading.

        Args:
            days: Shanghai dates (YYYY-MM-DD) to read, where the database keeps days apart; by default its newest.

        Raises:
            UsageError: also where nothing was stored yet, for a statement that does not read, and for wrong SQL.
        """


class Database(TickStore, TickReader, Protocol):
    """All that a database's one module can do.

    Attributes:
        identity: what tells the thing that holds the ticks from another of its name, once it is open; ``None`` where
            nothing does. A store that was given one never makes what is missing anew.
        counts_new: whether ``write`` tells new ticks from those that are there.
    """

    identity: int | None
    counts_new: bool

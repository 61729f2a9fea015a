"""A day's ticks written into a store again: ``ashare store refill``.

A store keeps each tick once, so nothing has to be known of what it lacks, and a worker may write it meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec

from broker.chunk import Chunk
from consumers.archive.run import clear_errors
from consumers.refill.sources import Archived, Logged, Origin, Request, Warn, nobody, sources
from schemas import UsageError
from schemas.usable import UNREADABLE
from stores import StoreError, TickBatch, TickStore, UnstorableError, without

WRITE_RECORDS = 20_000
"""Ticks of one write."""

Progress = Callable[[int, int], None]
"""Called with how many records are read, and of how many."""


@dataclass
class Refilled:
    """What was written.

    Attributes:
        read: ticks of the day, by where they came from.
        stored: of these, how many were new to the store, or all where it can't tell.
        refused: why, with its place, of each tick that no store can keep.
    """

    read: Counter[Origin] = field(default_factory=Counter)
    stored: int = 0
    refused: list[str] = field(default_factory=list)


async def refill(request: Request, store: TickStore, warn: Warn, progress: Progress | None = None) -> Refilled:
    """Write a day's ticks into a store, which is opened and closed.

    Args:
        warn: called with a sentence about each reason why what is written may not be all of the day.

    Raises:
        UsageError: nobody has ticks of the day, or the archive, the broker or the store can't be used.
        ReadError: the log does not give what it has. Either way, what is written by then stays.
    """
    writer = _Writer(request, store)
    try:
        with clear_errors():
            async with AsyncExitStack() as stack:
                found = await sources(request, stack, warn)
                if not any(source.whole for source in found):
                    warn(_partly(request, found))
                stack.push_async_callback(store.close)
                await store.open()
                total, done = sum(source.size for source in found), 0
                for source in found:
                    async for chunk, passed in source.chunks():
                        await writer.add(chunk, source.origin)
                        done += passed
                        if progress is not None:
                            progress(min(done, total), total)
                await writer.flush()
    except StoreError as error:
        raise UsageError(f"{error}: run it again when that is mended, nothing is stored twice") from error
    if not writer.done.read:
        raise UsageError(nobody(request))
    return writer.done


class _Writer:
    """Writes the ticks of a day out of whatever chunks come."""

    def __init__(self, request: Request, store: TickStore) -> None:
        self.done = Refilled()
        self._store = store
        self._start, self._end = request.times
        self._batches: list[TickBatch] = []
        self._ticks = 0

    async def add(self, chunk: Chunk, origin: Origin) -> None:
        """Take the chunk's ticks of the day."""
        if not _may_hold(chunk.values, self._start, self._end):
            return
        places = zip(chunk.offsets, chunk.timestamps, chunk.ticks, chunk.values, strict=True)
        found = [
            (offset, timestamp, tick, value)
            for offset, timestamp, tick, value in places
            if tick is not None and value is not None and self._start <= tick.time < self._end
        ]
        if not found:
            return
        offsets, timestamps, ticks, values = zip(*found, strict=True)
        self._batches.append(TickBatch(chunk.topic, chunk.partition, offsets, timestamps, ticks, values))
        self.done.read[origin] += len(found)
        self._ticks += len(found)
        if self._ticks >= WRITE_RECORDS:
            await self.flush()

    async def flush(self) -> None:
        """Write what was taken; a tick that no store can keep does not keep the others out."""
        batches, self._batches, self._ticks = self._batches, [], 0
        while batches:
            try:
                self.done.stored += await self._store.write(batches)
            except UnstorableError as error:
                self.done.refused.append(str(error))
                batches = without(batches, error.partition, error.offset)
            else:
                return


class _When(msgspec.Struct, gc=False):
    time: int


_when = msgspec.json.Decoder(_When)


def _may_hold(values: Iterable[bytes | None], start: int, end: int) -> bool:
    """Whether a tick of a day may be among values: a fraction of the cost of reading them whole."""
    try:
        return any(start <= _when.decode(value).time < end for value in values)  # type: ignore[arg-type]
    except (*UNREADABLE, TypeError):
        return True


def _partly(request: Request, found: Iterable[Archived | Logged]) -> str:
    why = [
        f"the log of {request.topic} begins after the day has"
        if isinstance(source, Logged)
        else f"the archive {request.archive} has not closed the day"
        for source in found
    ]
    return f"{request.day} may be written in part: {', and '.join(why)}"

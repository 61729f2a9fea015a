"""From fetches, and from an archive, to batches of the records that the caller wants, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from ashare_client.arguments import one_of
from ashare_client.batch import Batch, Source
from ashare_client.decoding import UNREADABLE, reader
from ashare_client.errors import ClientError, NoBrokerError, RecordError
from ashare_client.log import LostError, Part, Stands, UnplacedError
from ashare_client.records import Record
from ashare_client.repeats import REMEMBERED
from ashare_client.selection import Selection
from ashare_client.standing import Standing

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)

_WAIT_SECONDS = 1.0
_REPLAY_END = "ashare_replay_end"
"""The header of the marker that `ashare replay --to-topic` writes behind the last record of each partition."""


class Taking(Standing[R]):
    """Gives the next batch of what comes, decoded, and without what is not wanted or was there before."""

    record: ClassVar[type[Record]]

    def _want(self, selection: Selection, malformed: Literal["raise", "skip"]) -> None:
        """What of the records is wanted, and what comes of those that can't be read.

        Raises:
            ArgumentError: `malformed` is neither.
        """
        one_of("malformed", malformed, ("raise", "skip"))
        self._selection = selection
        self._skip_malformed = malformed == "skip"
        self._decode = reader(self.record)
        self._failure: ClientError | None = None
        self._pull: tuple[Iterator[list[Any]], asyncio.Future[list[Any] | None]] | None = None
        self._heard: dict[str, int] = {}

    async def _take(self) -> Batch[R] | None:
        """The next batch, which may be empty; `None` when nothing has come for a while."""
        while self._backlog:
            partition, place, reading = self._backlog[0]
            records = await self._pulled(reading)
            if not self._backlog or self._backlog[0][2] is not reading:
                continue  # taken away meanwhile
            if records is not None:
                self.stats.archived += len(records)
                return self._decoded([Part(partition, records, records[-1].offset + 1)], "archive")
            self._backlog.popleft()
            self._position[partition] = place
            self._reader.resume(partition)
            self._finish()
            return self._decoded([], "archive")
        try:
            parts = await self._fetched()
        except LostError as error:
            await self._reconnect(error)
            return None
        if not parts and self._towards_an_end:
            # Where a log ends in offsets without records (compaction, transactions), only the position moves.
            moved = await self._reader.positions()
            parts = [Part(p, [], at) for p, at in moved.items() if at > self._position.get(p, at)]
        return self._decoded(parts, "log") if parts else None

    async def _fetched(self) -> list[Part]:
        """What has come of this log; a caller that gives up waiting finds it when it asks again.

        Raises:
            LostError: as `Log.fetch`.
        """
        if self._parts is None:
            try:
                self._parts = await self._reader.fetch(_WAIT_SECONDS, self._limit)
            except UnplacedError as error:
                placed = await self._confirm()
                if self._state == "open":
                    await self._place({p: at for p, at in error.places.items() if p not in placed})
                return []
        if self._state == "open" and self._reader.doubtful:
            await self._confirm()
        parts, self._parts = self._parts, None
        return parts or []

    async def _confirm(self) -> set[int]:
        """Make sure which log is read; gives the partitions that had to be placed anew in it.

        Raises:
            LostError: it is another one, or nobody says where the group stands.
        """
        reader = self._reader
        await reader.confirm()
        if self._state != "open":  # closed by another task
            return set()
        looked_at = reader.fresh & reader.assigned
        try:
            committed = await self._committed(looked_at)
            another = {p: at for p, at in committed.items() if at is Stands.IN_ANOTHER_LOG}
            if another:
                await self._place(another)
        except NoBrokerError as error:
            raise LostError(str(error)) from error
        reader.fresh -= looked_at
        if self._parts is not None:
            self._parts = [part for part in self._parts if part.partition not in another]
        return set(another)

    async def _pulled(self, reading: Iterator[list[Any]]) -> list[Any] | None:
        """The next records of an archive; a caller that gives up waiting finds them when it asks again."""
        if self._pull is None or self._pull[0] is not reading:
            self._pull = (reading, asyncio.ensure_future(asyncio.to_thread(next, reading, None)))
        records = await asyncio.shield(self._pull[1])
        self._pull = None
        return records

    @property
    def _towards_an_end(self) -> bool:
        return self._ends is not None

    def _decoded(self, parts: Sequence[Part], source: Source) -> Batch[R]:
        """The records that the caller gets."""
        batch: Batch[R] = Batch(source)
        for part in parts:
            end = part.end
            if self._ends is not None:
                if part.partition not in self._ends:
                    continue
                end = min(end, self._ends[part.partition])
            batch.ends[part.partition] = end
            self.stats.fetched += len(part.records)
            self._decode_part(part, batch)
        return batch

    def _decode_part(self, part: Part, batch: Batch[R]) -> None:
        stats, selection, decode, seen, hear = self.stats, self._selection, self._decode, self._repeats.seen, self._hear
        partition, end = part.partition, batch.ends[part.partition]
        for record in part.records:
            offset = record.offset
            if offset >= end:
                break
            if not selection.everything and not self._wants_key(record.key):
                stats.filtered += 1
                continue
            if record.value is None:
                self._gone(record.key, offset)
                continue
            try:
                value: Any = decode(record.value, record.timestamp)
            except UNREADABLE as error:
                if _ends_a_replay(record):
                    continue
                if self._malformed(partition, offset, error):
                    continue
                batch.ends[partition] = offset
                break
            if seen(partition, value):
                stats.repeated += 1
                stats.suspicious = self._repeats.suspects.count
                continue
            hear(value)
            if self._keep(value):
                batch.add(value, partition, offset, record.timestamp)
            else:
                stats.filtered += 1

    def _malformed(self, partition: int, offset: int, error: Exception) -> bool:
        """Whether to go on past a record that can't be read; else what is before it is handed out, then this fails."""
        place = f"{self.topic}/{partition} at offset {offset}"
        if self._skip_malformed:
            self.stats.malformed += 1
            log.warning("%s can't be read and is skipped: %s", place, error)
            return True
        self._failure = RecordError(f"{place} can't be read: {error}; malformed='skip' goes on past it")
        return False

    def _wants_key(self, key: bytes | None) -> bool:
        return self._selection.wants_key(key)

    def _keep(self, record: R) -> bool:  # noqa: ARG002 - for sub-classes
        """Whether the caller wants a record that is not a repeat."""
        return True

    def _gone(self, key: bytes | None, offset: int) -> None:
        """A record without a value came: its key was deleted."""

    def _hear(self, record: Any) -> None:
        """Remember when a code was heard of last."""
        heard = self._heard
        if record.code not in heard and len(heard) >= REMEMBERED:
            del heard[next(iter(heard))]
        heard[record.code] = record.received


def _ends_a_replay(record: Any) -> bool:
    """Whether a record that can't be read is a replay's end marker, which has nothing to read."""
    return not record.value and any(name == _REPLAY_END for name, _ in record.headers)

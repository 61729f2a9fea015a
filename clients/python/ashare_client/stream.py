"""One topic as a stream of typed records: what the readers of the single topics have in common.

The records of a fetch are a batch. A batch is done when the caller asks for the next one; only then does the position
move past it, and only then is it committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from aiokafka.errors import ConsumerStoppedError, KafkaError

from ashare_client.batch import Batch, Source
from ashare_client.decoding import UNREADABLE, reader
from ashare_client.errors import (
    ArgumentError,
    ClientError,
    NoBrokerError,
    NoTopicError,
    RangeError,
    RecordError,
    StateError,
)
from ashare_client.identity import LogId, read_log_id
from ashare_client.log import Committed, Log, LostError, Part, ReplacedError, Stands, UnplacedError
from ashare_client.older import Older
from ashare_client.places import End, Offsets, Start, check_order, read_place
from ashare_client.records import Record
from ashare_client.repeats import REMEMBERED, Repeats
from ashare_client.selection import Selection
from ashare_client.start import Holdings, Missing, Plan
from ashare_client.stats import Stats

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)

_WAIT_SECONDS = 1.0
_LEAVE_SECONDS = 5.0
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Stream(Generic[R]):
    """A topic's records, once each, in order per code.

    Use it in `async with`, then `async for`; or in `async for` alone, which opens and closes it. It is used once.
    """

    record: ClassVar[type[Record]]
    words: ClassVar[tuple[str, ...]] = ("latest", "earliest")

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        topic: str,
        *,
        selection: Selection,
        repeats: Repeats,
        start: Start | str = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """See the readers of the single topics."""
        self._bootstrap = _servers(bootstrap)
        self._start = read_place("start", start, self.words)
        self._end = None if end is None else read_place("end", end, ("now",))
        check_order(self._start, self._end)
        _one_of("commit", commit, ("batch", "manual"))
        _one_of("missing", missing, ("raise", "skip"))
        _one_of("malformed", malformed, ("raise", "skip"))
        if group is not None and self._end is not None:
            raise ArgumentError("group: a range with an end belongs to no group: leave group or end out")
        if log_id is not None and not isinstance(self._start, Offsets):
            raise ArgumentError("log_id: it says which log start's offsets are of: give start={partition: offset}")
        if group is None and commit == "manual":
            raise ArgumentError("commit: 'manual' needs a group to commit for")
        if batch_size < 1 or patience <= 0:
            raise ArgumentError("batch_size and patience must be positive")
        self.topic = topic
        self.stats = Stats()
        self._group = group
        self._by_batch = commit == "batch" and group is not None
        self._start_log = None if log_id is None else read_log_id(log_id)
        self._missing: Missing = missing
        self._skip_malformed = malformed == "skip"
        self._limit = batch_size
        self._patience = patience
        self._options = dict(options or {})
        self._selection = selection
        self._repeats = repeats
        self._decode = reader(self.record)

        self._older = Older(archive, topic)
        self._state: Literal["new", "open", "closed"] = "new"
        self._busy = False
        self._failure: ClientError | None = None
        self._log: Log | None = None
        self._log_id: LogId | None = None
        self._replaced = False
        self._parts: list[Part] | None = None
        self._partitions: list[int] = []
        self._position: dict[int, int] = {}
        self._ends: dict[int, int] | None = None
        self._backlog: deque[tuple[int, int, Iterator[list[Any]]]] = deque()
        self._pull: tuple[Iterator[list[Any]], asyncio.Future[list[Any] | None]] | None = None
        self._batch: Batch[R] = Batch()
        self._handed = 0
        self._heard: dict[str, int] = {}
        self._uncommitted: dict[int, int] = {}
        self._committing: dict[int, int] = {}
        self._uncommitted_why: Exception | None = None
        self._committer: asyncio.Task[None] | None = None
        self._opened_at = 0.0

    async def open(self) -> Self:
        """Connect, and stand where `start` says; records that come from now on are read.

        Raises:
            StateError: it was opened before.
            ClientError: as the sub-class says: no broker, no topic, a range that is gone.
        """
        if self._state != "new":
            raise StateError(f"this reader of {self.topic} was opened before: make a new one")
        self._state = "open"
        self._opened_at = time.time()
        try:
            await self._connect()
            if self._group is None:
                await self._stand()
        except BaseException:
            await self.abandon()
            raise
        return self

    async def close(self) -> None:
        """Disconnect. The batch in hand is not done by this: leave `async with` without an error, or commit.

        Raises:
            NoBrokerError: what is done could not be committed within `patience` seconds: it comes again.
        """
        await self._leave(self._patience, raises=True)

    async def abandon(self) -> None:
        """As `close`, after an error, which a commit that fails must not hide: it is logged."""
        await self._leave(min(self._patience, _LEAVE_SECONDS), raises=False)

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Without an error, what was handed out is done; with one, the batch in hand comes again.

        Raises:
            NoBrokerError: as `close`; not where there was an error.
        """
        if error is not None:
            await self.abandon()
            return
        if self._state == "open":
            self._settle(self._handed)
        await self.close()

    async def __aiter__(self) -> AsyncGenerator[R, None]:
        """Record after record."""
        async with self._opened():
            while (record := self.hand()) is not None or await self.advance():
                if record is not None:
                    yield record

    async def batches(self) -> AsyncGenerator[Batch[R], None]:
        """Batch after batch, none of them empty; what is left of one in hand comes first."""
        async with self._opened():
            while (batch := self.hand_rest()) is not None or await self.advance():
                if batch is not None:
                    yield batch

    def hand(self) -> R | None:
        """The next record of the batch in hand; `None` when all were handed out."""
        index = self._handed
        if index >= len(self._batch.records):
            return None
        self._handed = index + 1
        return self._batch.records[index]

    def hand_rest(self) -> Batch[R] | None:
        """What has not been handed out of the batch in hand, as a batch; `None` when all was."""
        if self._handed >= len(self._batch.records):
            return None
        rest = self._batch.rest(self._handed)
        self._handed = len(self._batch)
        return rest

    async def advance(self) -> bool:
        """The batch in hand is done: make the next one the one in hand; false at the end.

        Raises:
            ClientError: reading can't go on.
        """
        if self._busy:
            raise StateError(f"two tasks read from one reader of {self.topic}: give each its own")
        self._busy = True
        try:
            self._settle(len(self._batch))
            return await self._next()
        except ConsumerStoppedError:
            return False  # closed by another task
        finally:
            self._busy = False

    @property
    def source(self) -> Source:
        """Where the record in hand came from: the log, or the archive since the log's retention has passed."""
        return self._batch.source

    @property
    def position(self) -> dict[int, int]:
        """By partition, the offset behind the last record that was handed out: `start=` for whoever goes on."""
        return dict(sorted((self._position | self._batch.progress(self._handed)).items()))

    @property
    def log_id(self) -> str | None:
        """Which log `position` is of (`"CLUSTER/TOPIC"`), for `log_id=` of who goes on; `None` before `open`."""
        return None if self._log_id is None else str(self._log_id)

    async def commit(self) -> None:
        """Commit `position` for the group: everything handed out so far, the record in hand included.

        Raises:
            StateError: there is no group, or it is not open.
            NoBrokerError: the commit was not confirmed.
        """
        if self._group is None:
            raise StateError("commit: there is no group to commit for: give group=")
        try:
            async with asyncio.timeout(self._patience):
                if await self._reader.commit(self.position):
                    self.stats.commits += 1
        except (KafkaError, TimeoutError) as error:
            raise NoBrokerError(f"{self._bootstrap}: the commit was not confirmed: {error!r}") from error

    async def lag(self) -> dict[int, int]:
        """By partition that this reader has, how many offsets lie between `position` and the log's end.

        Raises:
            StateError: it is not open.
            NoBrokerError: the broker does not answer.
        """
        mine = self._reader.assigned or set(self._position)
        position = self.position
        unknown = {p: at for p, at in (await self._committed(mine - position.keys())).items() if isinstance(at, int)}
        ends = await self._reader.ends(mine)
        return {p: max(0, ends[p] - at) for p, at in sorted((unknown | position).items()) if p in ends}

    def age(self, code: str) -> float | None:
        """Seconds since the newest record of a code that has come was received off the feed; `None` before any has.

        Raises:
            ArgumentError: the code is not among those that are read.
        """
        if not self._selection.wants(code):
            raise ArgumentError(f"age: {code} is not read here: see codes= and boards=")
        received = self._heard.get(code)
        return None if received is None else time.time() - received / 1e6

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

    @property
    def _reader(self) -> Log:
        if self._log is None or self._state != "open":
            raise StateError(f"the reader of {self.topic} is not open: use it in `async with`")
        return self._log

    async def _connect(self) -> None:
        reader = Log(self._bootstrap, self.topic, group=self._group, options=self._options, revoked=self._taken_away)
        partitions = await reader.open()
        self._log = reader
        if self._log_id is not None and self._log_id.differs(reader.id):
            self._forget(reader.id)
        if self._log_id is None or self._group is not None or not isinstance(self._start, Offsets):
            self._partitions = partitions
        else:
            self._partitions = [p for p in self._partitions if p in partitions]
        self._log_id = reader.id
        if self._group is not None:
            await reader.join()
            await self._place(self._done_or(await reader.committed(reader.assigned)))

    def _forget(self, now: LogId) -> None:
        """Another log stands behind the topic's name: nothing that is known of places and records holds for it."""
        log.warning(
            "%s: the topic was deleted and made again, or the cluster is another one: it is read from its start (its"
            " log is %s, before %s)",
            *(self.topic, now, self._log_id),
        )
        self.stats.replaced += 1
        self._replaced = True
        self._parts = None
        self._backlog.clear()
        self._position.clear()
        self._uncommitted.clear()
        self._batch.ends.clear()
        self._repeats.forget()

    def _done_or(self, committed: Mapping[int, Committed]) -> dict[int, Committed]:
        """Where to go on: behind what is done, whether its commit was confirmed or waits still."""
        waiting, self._uncommitted = self._uncommitted, {}
        for p, at in waiting.items():
            if p in committed:
                known = committed[p]
                if known is None or (isinstance(known, int) and at > known):
                    self._uncommitted[p] = at
        return {**committed, **self._uncommitted}

    async def _stand(self) -> None:
        """Outside of a group: find out where to begin and to end, and begin."""
        holdings = self._holdings()
        named = isinstance(self._start, Offsets)
        if not named and isinstance(self._end, Offsets):
            self._partitions = sorted(self._end.by_partition.keys() & set(self._partitions))
        plans = await self._plans(self._partitions)
        self._partitions = sorted(plans)
        if self._end is not None:
            self._ends = await holdings.ends(self._end, self._partitions, named=named)
            holdings.check_order(self._start, self._end, plans, self._ends)
        self._reader.read({p: plan.place for p, plan in plans.items()})
        for p, plan in plans.items():
            self._begin(p, plan)
        self._finish()

    async def _plans(self, partitions: list[int]) -> dict[int, Plan]:
        """Where `start` is: at the log's beginning, if the offsets that it names are of another log.

        Raises:
            RangeError: what was asked for is gone.
        """
        reader = self._reader
        if self._start_log is None or not self._start_log.differs(reader.id):
            return await self._holdings().plans(self._start, partitions)
        said = f"start's offsets are of another log ({self._start_log}) than {self.topic} is now ({reader.id})"
        if self._end is not None:
            raise RangeError(f"{said}: what they are of is gone")
        log.warning("%s: it is read from its start", said)
        self.stats.replaced += 1
        assert isinstance(self._start, Offsets), "looked at by __init__"
        return {
            p: Plan(at) for p, at in (await reader.begins(self._start.by_partition.keys() & set(partitions))).items()
        }

    async def _place(self, places: Mapping[int, Committed]) -> None:
        """Begin in partitions at their offsets, or at `start` where the group has none, which is then its first.

        Where the group's place is in another log, begin at the start of this one.

        Raises:
            RangeError: an offset is gone.
        """
        reader, holdings = self._reader, self._holdings()
        # A topic that is deleted takes the group's places with it.
        another = [p for p, at in places.items() if at is Stands.IN_ANOTHER_LOG or (at is None and self._replaced)]
        if fresh := [p for p, at in places.items() if at is None and p not in another]:
            if isinstance(self._start, Offsets) and set(fresh) - self._start.by_partition.keys():
                raise ArgumentError(f"start: a group reads all partitions: name all of {self._partitions}")
            named = isinstance(self._start, Offsets)
            plans = await self._plans(self._partitions if named else fresh)
            for p in fresh:
                self._begin(p, plans[p])
            # From here on the group stands somewhere, so that a member that dies before its first batch loses nothing.
            await reader.commit({p: plans[p].first for p in fresh})
        offsets = {p: at for p, at in places.items() if isinstance(at, int)}
        begins = await reader.begins([*offsets, *another])
        ends = await reader.ends(offsets)
        for p, offset in offsets.items():
            if offset > ends[p]:
                log.warning("%s/%d was made anew: it ends at %d, before %d", self.topic, p, ends[p], offset)
                self.stats.replaced += 1
                self._begin(p, Plan(begins[p]))
            else:
                self._begin(p, holdings.plan(p, offset, begins[p]))
        if another:
            await self._begin_anew({p: begins[p] for p in another})

    async def _begin_anew(self, begins: Mapping[int, int]) -> None:
        """Begin at the log's start in partitions in which the group stood in another log, and have it stand here."""
        if not self._replaced:
            log.warning(
                "%s: group %s stood in another log in partitions %s: the topic was deleted and made again, or the"
                " cluster is another one: they are read from their start",
                *(self.topic, self._group, ", ".join(map(str, sorted(begins)))),
            )
            self.stats.replaced += 1
        for p, begin in begins.items():
            self._begin(p, Plan(begin))
        try:
            await self._reader.commit(begins)
        except KafkaError as error:
            log.warning("%s: not committed yet: %r", self.topic, error)

    def _begin(self, partition: int, plan: Plan) -> None:
        """Read a partition as planned: the archive's part first, the log being held until it is through."""
        reader = self._reader
        self.stats.skipped += plan.skipped
        reader.seek(partition, plan.place)
        end = None if self._ends is None else self._ends[partition]
        older = [(low, high if end is None else min(high, end)) for low, high in plan.older if end is None or low < end]
        self._position[partition] = older[0][0] if older else plan.place
        if older:
            reader.pause(partition)
            self._backlog.append((partition, plan.place, self._older.read(partition, older, self._limit)))

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open for an iteration, where nobody has."""
        if self._state != "new":
            yield
            return
        await self.open()
        try:
            yield
        except BaseException:
            await self.abandon()
            raise
        await self.close()

    def _holdings(self) -> Holdings:
        return Holdings(self._reader, self._older, self._missing)

    async def _committed(self, partitions: set[int]) -> dict[int, Committed]:
        return await self._reader.committed(partitions) if self._group is not None and partitions else {}

    async def _next(self) -> bool:
        progress = time.monotonic()
        while True:
            if self._failure is not None:
                raise self._failure
            if self._state != "open" or (self._ends is not None and not self._ends):
                return False
            batch = await self._take()
            if batch is None:
                if self._ends is not None and time.monotonic() - progress > self._patience:
                    left = ", ".join(f"{self.topic}/{p}" for p in sorted(self._ends)[:3])
                    raise NoBrokerError(f"{self._bootstrap} brought nothing of {left} for {self._patience:g} s")
                continue
            progress = time.monotonic()
            self._batch, self._handed = batch, 0
            if batch:
                self.stats.delivered += len(batch)
                return True
            self._settle(0)

    def _settle(self, handed: int) -> None:
        """Take the first records of the batch in hand for done."""
        done = self._batch.progress(handed)
        if handed >= len(self._batch):
            self._batch, self._handed = Batch(self._batch.source), 0
        if not done:
            return
        self._position.update(done)
        self._finish()
        if self._by_batch:
            self._uncommitted.update(done)
            if self._committer is None or self._committer.done():
                self._committer = asyncio.create_task(self._commit_behind())

    def _finish(self) -> None:
        """Read no more of partitions that have reached their end."""
        if self._ends is None:
            return
        for p in [p for p, end in self._ends.items() if self._position[p] >= end]:
            del self._ends[p]
            self._reader.pause(p)

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

    async def _reconnect(self, cause: Exception) -> None:
        """Make the consumer anew, and go on from where it stood."""
        log.warning("%s: connecting anew: %s", self.topic, cause)
        self.stats.reconnected += 1
        self._parts = None  # they come again
        if isinstance(cause, ReplacedError):
            self._uncommitted.clear()  # nothing of the log before is to be committed while its consumer is closed
        began = time.monotonic()
        if self._committer is not None:
            self._committer.cancel()  # it may wait for what is no more; what it had comes again
        for attempt in range(1 << 30):
            if self._log is not None:
                await self._log.close()
            if self._state != "open":
                return
            try:
                await self._connect()
                if self._group is None:
                    await self._go_on()
            except (NoBrokerError, NoTopicError):
                if self._ends is not None and time.monotonic() - began > self._patience:
                    raise
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
            else:
                return

    async def _go_on(self) -> None:
        """Outside of a group: read on with a new consumer.

        Raises:
            RangeError: the range that was read is of a log that is gone.
        """
        if self._replaced:
            await self._renew()
            begins = await self._reader.begins(self._partitions)
            self._reader.read(begins)
            self._position = begins
            self._finish()
            self._replaced = False
            return
        going = {p: at for p, at in self._position.items() if self._ends is None or p in self._ends}
        waiting = {partition: place for partition, place, _ in self._backlog}
        self._reader.read(going | waiting)
        for partition in waiting:
            self._reader.pause(partition)

    async def _renew(self) -> None:
        """Outside of a group, another log is about to be read from its start.

        Raises:
            RangeError: there is a range, which ends in the one before.
        """
        if self._ends is not None:
            raise RangeError(f"{self.topic} was replaced by another log while its range was read: the rest is gone")

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

    async def _taken_away(self, partitions: set[int]) -> None:
        """The group takes partitions away: commit what is done, and forget where they stood.

        What of them is in hand is handed out all the same, but not committed: its next owner reads it again.
        """
        await self._flush(_LEAVE_SECONDS, raises=False)
        for partition in partitions:
            self._position.pop(partition, None)
            self._batch.ends.pop(partition, None)
            self._uncommitted.pop(partition, None)
            self._committing.pop(partition, None)
        if self._parts is not None:
            self._parts = [part for part in self._parts if part.partition not in partitions]
        self._backlog = deque(entry for entry in self._backlog if entry[0] not in partitions)

    async def _commit_behind(self) -> None:
        """Commit what is done, while the caller works on what is next. What fails is tried with what is done then."""
        while self._uncommitted and self._log is not None:
            self._committing, self._uncommitted = self._uncommitted, {}
            try:
                if await self._log.commit(self._committing):
                    self.stats.commits += 1
                self._committing = {}
            except (KafkaError, StateError) as error:
                self._uncommitted_why = error
                log.warning("%s: not committed yet, it is tried again: %r", self.topic, error)
                return
            finally:
                self._uncommitted = self._committing | self._uncommitted
                self._committing = {}

    async def _leave(self, patience: float, *, raises: bool) -> None:
        self._state = "closed"
        if self._pull is not None:
            await asyncio.wait([self._pull[1]])
        if self._log is not None:
            try:
                await self._flush(patience, raises=raises)
            finally:
                await self._log.close()

    async def _flush(self, patience: float, *, raises: bool) -> None:
        """Wait until what is done is committed, trying again what failed, but not for ever.

        Raises:
            NoBrokerError: it is not, and ``raises``.
        """
        deadline = time.monotonic() + patience
        for attempt in range(1 << 30):
            if self._committer is not None and not self._committer.done():
                await asyncio.wait([self._committer], timeout=max(0.0, deadline - time.monotonic()))
                if not self._committer.done():
                    self._committer.cancel()
                    await asyncio.wait([self._committer], timeout=1.0)
            if not self._uncommitted:
                return
            if time.monotonic() >= deadline:
                break
            if attempt:
                await asyncio.sleep(min(_BACKOFF[min(attempt - 1, len(_BACKOFF) - 1)], patience))
            self._committer = asyncio.create_task(self._commit_behind())
        places = ", ".join(f"{self.topic}/{p} up to {at:,}" for p, at in sorted(self._uncommitted.items())[:3])
        why = f": {self._uncommitted_why!r}" if self._uncommitted_why else ""
        said = (
            f"{self._bootstrap}: group {self._group} could not commit what is done ({places}"
            f"{', …' if len(self._uncommitted) > 3 else ''}) within {patience:g} s{why}; it comes again"
        )
        self._uncommitted.clear()
        if raises:
            raise NoBrokerError(said)
        log.warning("%s", said)


def _servers(bootstrap: str | Iterable[str]) -> str:
    servers = bootstrap if isinstance(bootstrap, str) else ",".join(bootstrap)
    if not servers:
        raise ArgumentError("bootstrap: name a broker: '127.0.0.1:9092'")
    if "@" in servers or "://" in servers:
        # Not quoted, here or by what fails later: it may hold a password.
        raise ArgumentError("bootstrap: HOST:PORT[,HOST:PORT] and no more: a user and a password are options=")
    return servers


def _one_of(argument: str, given: str, choice: tuple[str, ...]) -> None:
    if given not in choice:
        raise ArgumentError(f"{argument}: {given!r} is none of {', '.join(choice)}")

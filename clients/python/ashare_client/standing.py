"""Where a reader stands in its log: begun at `start`, placed by its group, going on with a new consumer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from aiokafka.errors import KafkaError

from ashare_client.arguments import one_of, servers
from ashare_client.batch import Batch
from ashare_client.committing import BACKOFF, Commits
from ashare_client.errors import ArgumentError, NoBrokerError, NoTopicError, RangeError, StateError
from ashare_client.identity import LogId, read_log_id
from ashare_client.log import Committed, Log, Part, ReplacedError, Stands
from ashare_client.older import Older
from ashare_client.places import End, Offsets, Start, check_order, read_place
from ashare_client.records import Record
from ashare_client.repeats import Repeats
from ashare_client.start import Holdings, Missing, Plan
from ashare_client.stats import Stats

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)

LEAVE_SECONDS = 5.0
"""How long what is done may take to be committed, where waiting longer would hold up others."""


class Standing(Generic[R]):
    """One topic's partitions, and the offset at which each is read; nothing is read here.

    Attributes:
        stats: what was counted.
    """

    words: ClassVar[tuple[str, ...]] = ("latest", "earliest")

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        topic: str,
        *,
        repeats: Repeats,
        start: Start | str,
        end: End | None,
        group: str | None,
        commit: Literal["batch", "manual"],
        archive: str | Path | None,
        missing: Missing,
        batch_size: int,
        patience: float,
        log_id: str | None,
        options: Mapping[str, Any] | None,
    ) -> None:
        """Nothing is connected; see the readers of the single topics.

        Raises:
            ArgumentError: an argument can't be meant.
        """
        self._bootstrap = servers(bootstrap)
        self._start = read_place("start", start, self.words)
        self._end = None if end is None else read_place("end", end, ("now",))
        check_order(self._start, self._end)
        one_of("commit", commit, ("batch", "manual"))
        one_of("missing", missing, ("raise", "skip"))
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
        self._limit = batch_size
        self._patience = patience
        self._options = dict(options or {})
        self._repeats = repeats
        self._older = Older(archive, topic)
        self._state: Literal["new", "open", "closed"] = "new"
        self._log: Log | None = None
        self._log_id: LogId | None = None
        self._replaced = False
        self._parts: list[Part] | None = None
        self._partitions: list[int] = []
        self._position: dict[int, int] = {}
        self._ends: dict[int, int] | None = None
        self._backlog: deque[tuple[int, int, Iterator[list[Any]]]] = deque()
        self._batch: Batch[R] = Batch()
        self._commits = Commits(self._bootstrap, topic, group, self.stats)

    @property
    def _reader(self) -> Log:
        if self._log is None or self._state != "open":
            raise StateError(f"the reader of {self.topic} is not open: use it in `async with`")
        return self._log

    async def _connect(self) -> None:
        reader = Log(self._bootstrap, self.topic, group=self._group, options=self._options, revoked=self._taken_away)
        partitions = await reader.open()
        self._log = self._commits.log = reader
        if self._log_id is not None and self._log_id.differs(reader.id):
            self._forget(reader.id)
        if self._log_id is None or self._group is not None or not isinstance(self._start, Offsets):
            self._partitions = partitions
        else:
            self._partitions = [p for p in self._partitions if p in partitions]
        self._log_id = reader.id
        if self._group is not None:
            await reader.join()
            await self._place(self._commits.done_or(await reader.committed(reader.assigned)))

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
        self._commits.clear()
        self._batch.ends.clear()
        self._repeats.forget()

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

    def _holdings(self) -> Holdings:
        return Holdings(self._reader, self._older, self._missing)

    async def _committed(self, partitions: set[int]) -> dict[int, Committed]:
        return await self._reader.committed(partitions) if self._group is not None and partitions else {}

    def _finish(self) -> None:
        """Read no more of partitions that have reached their end."""
        if self._ends is None:
            return
        for p in [p for p, end in self._ends.items() if self._position[p] >= end]:
            del self._ends[p]
            self._reader.pause(p)

    async def _reconnect(self, cause: Exception) -> None:
        """Make the consumer anew, and go on from where it stood."""
        log.warning("%s: connecting anew: %s", self.topic, cause)
        self.stats.reconnected += 1
        self._parts = None  # they come again
        if isinstance(cause, ReplacedError):
            self._commits.clear()  # nothing of the log before is to be committed while its consumer is closed
        began = time.monotonic()
        self._commits.stop()  # it may wait for what is no more; what it had comes again
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
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
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

    async def _taken_away(self, partitions: set[int]) -> None:
        """The group takes partitions away: commit what is done, and forget where they stood.

        What of them is in hand is handed out all the same, but not committed: its next owner reads it again.
        """
        await self._commits.flush(LEAVE_SECONDS, raises=False)
        for partition in partitions:
            self._position.pop(partition, None)
            self._batch.ends.pop(partition, None)
        self._commits.forget(partitions)
        if self._parts is not None:
            self._parts = [part for part in self._parts if part.partition not in partitions]
        self._backlog = deque(entry for entry in self._backlog if entry[0] not in partitions)

"""Thresholds set at run time, between Kafka and the changes agent.

A reader outside of the group follows ``ashare.thresholds.v1``. What it sees takes effect in a partition by a mark,
which names the first tick judged by it (``jobs.in_force``): published and confirmed before that tick is judged, and
restored with the partition like its other rows. So the changes that are emitted again after a crash are judged as
before, whatever was set meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker.background import discard, ended
from broker.publisher import Publisher
from jobs.in_force import InForce, MarkRow, Wanted
from jobs.thresholds import Thresholds
from processors.streaming.agent import Table
from processors.streaming.follower import Follower, reader
from processors.streaming.tables import RECOVERY_PATIENCE
from schemas import RecordError, encode
from schemas.topics import PRICE_CHANGES, THRESHOLD_MARKS, THRESHOLDS, TICKS, topics

log = logging.getLogger(__name__)

_TOPIC = TopicPartition(THRESHOLDS, 0)
_SHOWN = 5
"""Marks that one line of the log names."""


class RunTimeThresholds:
    """What is in force in each partition of this worker, by settings and by what was set at run time."""

    def __init__(
        self,
        bootstrap: str,
        base: Thresholds,
        *,
        marks: Table,
        rows: Table,
        publisher: Publisher,
        committed: Callable[[int], int | None],
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            base: those of the settings.
            marks: the marks of the partitions.
            rows: where the changes job stands with each code.
            publisher: takes the marks.
            committed: a partition's committed offset.
        """
        self.base = base
        self._marks, self._rows, self._publisher, self._committed = marks, rows, publisher, committed
        self._wanted = Wanted()
        self._partitions: dict[int, InForce] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()
        self._bootstrap = bootstrap
        self._follower = Follower(bootstrap, THRESHOLDS, self._took)
        self._offsets: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Read the topic to its end, then follow it.

        Raises:
            KafkaError, TimeoutError: the broker stops answering.
        """
        # What a connection asks waits until its request for records is answered: offsets are asked for by another.
        self._offsets = await reader(self._bootstrap, "ashare-thresholds")
        await self._follower.start()
        log.info("thresholds in force: %s", self.described())

    def reread(self) -> None:
        """Another log stands behind the thresholds' name: read it from its beginning."""
        self._follower.reread()

    async def stop(self) -> None:
        """Stop following."""
        await self._follower.stop()
        if self._offsets is not None:
            await self._offsets.stop()

    def forget(self) -> None:
        """Partitions were revoked: of those that come, others may have judged ticks meanwhile."""
        self._partitions = {}
        self._ends = {}

    async def assigned(self) -> None:
        """Partitions are this worker's and restored: ask where their logs end, so that no chunk waits for that."""
        self.forget()
        try:
            self._ends = await self._ask(range(topics()[TICKS].partitions))
        except (KafkaError, TimeoutError) as error:
            log.warning("the ends of the logs are asked for again when chunks come: %r", error)

    @property
    def run_time(self) -> Mapping[str, str]:
        """What is set at run time, by scope."""
        return self._wanted.set()

    @property
    def in_force(self) -> Mapping[str, str]:
        """What the next ticks are judged by, by scope: run time before settings."""
        return self.base.by_scope() | self._wanted.set()

    def described(self) -> str:
        """``in_force`` as text, with what is from where."""
        run_time = self.run_time
        return ", ".join(
            f"{scope} {text}{' (run time)' if scope in run_time else ''}" for scope, text in self.in_force.items()
        )

    async def of(self, partition: int) -> InForce:
        """What is in force in a partition of which a chunk came; new thresholds' marks are durable when this returns.

        Raises:
            DeliveryError, KafkaError, TimeoutError: the broker does not take a mark, or tell an offset.
        """
        found = self._partitions.get(partition)
        if found is None or found.revision != self._wanted.revision:
            found = await self._settle(partition)
        return found

    async def _settle(self, partition: int) -> InForce:
        partitions = self._partitions
        found = partitions.get(partition)
        if found is None:
            # Revoked meanwhile, it lands in what was forgotten.
            found = partitions[partition] = await self._take_up(partition)
        revision = self._wanted.revision
        # All partitions that are at work in one go: each would have to wait for its own confirmation.
        settled: list[tuple[int, InForce, list[MarkRow], bool]] = []
        for number, in_force in partitions.items():
            due, complete = in_force.due(self._wanted, self._committed(number))
            settled.append((number, in_force, due, complete))
            queue = self._publisher.queue(THRESHOLD_MARKS, number)
            for row in due:
                queue.add(row.key, encode(row.record()), time.time_ns() // 1_000_000)
        queues = [self._publisher.queue(THRESHOLD_MARKS, number) for number, _, due, _ in settled if due]
        await asyncio.gather(*(queue.delivered() for queue in queues))
        for _, in_force, due, complete in settled:
            in_force.take(due)
            if complete:
                in_force.revision = revision
        _say([(number, row) for number, _, due, _ in settled for row in due])
        return found

    async def _take_up(self, partition: int) -> InForce:
        """A partition's first chunk since it was assigned: what lies in the log now, another may have judged."""
        ticks, changes = _places(partition)
        ends = self._ends if ticks in self._ends else await self._ask([partition])
        async with asyncio.timeout(RECOVERY_PATIENCE):
            await self._caught_up(ends[_TOPIC])
        marks = self._marks.rows(partition)
        untouched = not marks and not ends[changes] and not self._rows.held.get(partition)
        return InForce(self.base, partition, marks, 0 if untouched else ends[ticks], ends[_TOPIC])

    async def _ask(self, partitions: Iterable[int]) -> dict[TopicPartition, int]:
        """The ends of some partitions of the ticks and the changes, and of the thresholds."""
        assert self._offsets is not None
        if (dead := ended(self._offsets)) is not None:
            log.error("the Kafka client that asks for offsets is made anew: %s", dead)
            await discard(self._offsets)
            self._offsets = await reader(self._bootstrap, "ashare-thresholds")
        places = [place for partition in partitions for place in _places(partition)]
        async with asyncio.timeout(RECOVERY_PATIENCE):
            return dict(await self._offsets.end_offsets([*places, _TOPIC]))

    async def _caught_up(self, end: int) -> None:
        while self._wanted.position < end:
            self._moved.clear()
            await self._moved.wait()

    def _took(self, records: Sequence[Any], position: int) -> None:
        for record in records:
            try:
                scope = self._wanted.take(record.key, record.value, record.offset)
            except RecordError as error:
                log.error("%s: a record is not a threshold, what was set stays in force: %s", THRESHOLDS, error)  # noqa: TRY400
                continue
            if self._follower.caught_up:
                log.info("threshold of %s: %s", scope, self.run_time.get(scope, "unset, the setting is in force"))
        self._wanted.reached(position)
        self._moved.set()


def _places(partition: int) -> tuple[TopicPartition, TopicPartition]:
    """A partition of the ticks, and that of their changes."""
    return TopicPartition(TICKS, partition), TopicPartition(PRICE_CHANGES, partition)


def _say(made: list[tuple[int, MarkRow]]) -> None:
    if made:
        shown = ", ".join(f"{row.scope} from offset {row.start} of {number}" for number, row in made[:_SHOWN])
        more = f" and {len(made) - _SHOWN:,} more" if len(made) > _SHOWN else ""
        log.info("run-time thresholds take effect: %s%s", shown, more)

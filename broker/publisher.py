"""Records to Kafka in wide batches: in order per partition, acknowledged by all replicas, never silently dropped.

One lane per partition holds what waits and the one batch in flight; load makes the batches bigger by itself. A batch
that fails, or whose acknowledgement stays away, leaves an idempotent producer with a hole in its sequence that no
later batch gets over. So the client is then closed, a new one made, and what is unconfirmed sent again, in order: a
record may arrive twice, and its reader tells by its identity.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from broker.background import discard, ended
from broker.producing import Producing
from broker.refusals import Refusal, Verdict, pause, refusal_of
from schemas import UsageError
from schemas.topics import topics

log = logging.getLogger(__name__)

Headers = list[tuple[str, bytes]]
_NO_HEADERS: Headers = []
_T = TypeVar("_T")
_Entry = tuple[bytes | None, bytes | None, int, Headers, int]

BATCH_BYTES = 512 << 10
"""A batch's size at which it is closed; below every topic's ``max.message.bytes``."""
_RECORD_OVERHEAD = 128
"""More than Kafka's framing of a record with key and value takes."""
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class RecordTooLargeError(ValueError):
    """A record that its topic's ``max.message.bytes`` does not admit; the broker would only say so after the send."""


class DeliveryError(Exception):
    """Records were still unacknowledged when the time to stop was up; the text says how many."""


class Lane:
    """One partition's way to the broker."""

    def __init__(self, publisher: Publisher, topic: str, partition: int) -> None:
        """Made by ``Publisher.lane``."""
        self.topic = topic
        self.partition = partition
        self._publisher = publisher
        self._waiting: deque[_Entry] = deque()
        self._flight: list[_Entry] = []
        self._flight_bytes = 0
        self._departed = 0.0
        self._added = 0
        self._refused = 0
        self._rests_until = 0.0
        self._acknowledged = 0
        self._barriers: deque[tuple[int, asyncio.Future[None]]] = deque()
        declared = topics().get(topic)
        limit = int(declared.config["max.message.bytes"]) if declared else 1_048_588
        self._limit = limit - _RECORD_OVERHEAD

    def add(self, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers = _NO_HEADERS) -> None:
        """Queue one record; it is sent by itself. Never waits: see ``Publisher.room`` for back-pressure.

        Args:
            value: ``None`` for a tombstone.
            timestamp_ms: the Kafka record timestamp, ms since the epoch.

        Raises:
            RecordTooLargeError: the topic does not take a record of this size.
        """
        size = (len(value) if value else 0) + (len(key) if key else 0)
        for name, content in headers:
            size += len(name) + len(content or b"") + 4  # a foreign record's header may have no value
        if size > self._limit:
            raise RecordTooLargeError(f"{self.topic}: a record of {size:,} bytes, the topic takes {self._limit:,}")
        waiting, publisher = self._waiting, self._publisher
        waiting.append((key, value, timestamp_ms, headers, size + _RECORD_OVERHEAD))
        self._added += 1
        publisher.unacknowledged_bytes += size + _RECORD_OVERHEAD
        # What waits behind another record was woken for it.
        if len(waiting) == 1 and not self._flight:
            publisher.wake(self)

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps_ms: Sequence[int],
        headers: Sequence[Headers],
    ) -> None:
        """``add`` for many records at once; those before one that is too large are queued.

        Raises:
            RecordTooLargeError: as for ``add``.
        """
        put, before, total = self._waiting.append, len(self._waiting), 0
        try:
            for key, value, timestamp, some in zip(keys, values, timestamps_ms, headers, strict=True):
                size = (len(value) if value else 0) + (len(key) if key else 0)
                for name, content in some:
                    size += len(name) + len(content or b"") + 4  # a foreign record's header may have no value
                if size > self._limit:
                    raise RecordTooLargeError(
                        f"{self.topic}: a record of {size:,} bytes, the topic takes {self._limit:,}"
                    )
                size += _RECORD_OVERHEAD
                put((key, value, timestamp, some, size))
                total += size
        finally:
            self._added += len(self._waiting) - before
            self._publisher.unacknowledged_bytes += total
            if not self._flight:
                self._publisher.wake(self)

    async def delivered(self) -> None:
        """Wait until everything added so far is acknowledged by all replicas.

        Raises:
            DeliveryError: the publisher itself failed; nothing more will be sent.
        """
        if self._acknowledged < self._added:
            self._publisher.check()
            barrier = asyncio.get_running_loop().create_future()
            self._barriers.append((self._added, barrier))
            await barrier

    @property
    def unacknowledged(self) -> int:
        """Records added and not yet acknowledged."""
        return self._added - self._acknowledged

    @property
    def in_flight(self) -> Sequence[_Entry]:
        """The records of the batch that is not acknowledged."""
        return self._flight

    @property
    def flying_since(self) -> float | None:
        """``time.monotonic()`` at which the batch in flight left, ``None`` without one."""
        return self._departed if self._flight else None

    def board(self, client: AIOKafkaProducer) -> BatchBuilder | None:
        """Fill the next batch from what waits; ``None`` when there is nothing, or a batch is in flight."""
        if self._flight or not self._waiting:
            return None
        batch: BatchBuilder = client.create_batch()
        # The builder inside takes one call a record; the one around it takes three.
        append, waiting, flight = batch._builder.append, self._waiting, self._flight
        size = 0
        while waiting:
            key, value, timestamp, headers, weight = entry = waiting[0]
            if append(len(flight), timestamp, key, value, headers) is None:
                break
            waiting.popleft()
            flight.append(entry)
            size += weight
        batch._relative_offset = len(flight)
        batch.close()
        self._flight_bytes = size
        self._departed = time.monotonic()
        return batch

    def rest(self) -> float:
        """The broker refuses what is sent to the topic, and may take it later; gives the seconds until then."""
        self._refused += 1
        seconds = pause(self._refused)
        self._rests_until = time.monotonic() + seconds
        return seconds

    @property
    def resting(self) -> float:
        """Seconds for which nothing is to be sent, 0 or less if it may."""
        return self._rests_until - time.monotonic() if self._rests_until else 0.0

    def landed(self) -> tuple[int, int]:
        """The batch in flight is acknowledged; gives its records and bytes."""
        self._refused, self._rests_until = 0, 0.0
        records, size = len(self._flight), self._flight_bytes
        self._flight = []
        self._acknowledged += records
        while self._barriers and self._barriers[0][0] <= self._acknowledged:
            barrier = self._barriers.popleft()[1]
            if not barrier.done():
                barrier.set_result(None)
        return records, size

    def turn_back(self) -> int:
        """The batch in flight has an unknown outcome: it goes first again. Gives its number of records."""
        returned = len(self._flight)
        self._waiting.extendleft(reversed(self._flight))
        self._flight = []
        return returned

    def fail(self, error: DeliveryError) -> None:
        """Nothing more will be sent: tell those who wait."""
        while self._barriers:
            barrier = self._barriers.popleft()[1]
            if not barrier.done():
                barrier.set_exception(error)

    def waits(self) -> bool:
        """Whether a batch could leave."""
        return bool(self._waiting) and not self._flight


class Publisher:
    """Kafka's producing end for one process. Made, started, used and stopped on one event loop.

    Memory is bounded by the caller: above ``limit_bytes`` unacknowledged, ``full`` is true and ``room()`` waits.
    """

    def __init__(self, bootstrap: str, *, client_id: str, limit_bytes: int = 64 << 20, deadline: float = 30.0) -> None:
        """Nothing connects before ``start``.

        Args:
            deadline: seconds that a batch may stay unacknowledged before the client is made anew.
        """
        self.bootstrap = bootstrap
        self.unacknowledged_bytes = 0
        self.acknowledged = 0
        self.resent = 0
        self.rebuilt = 0
        self._client_id = client_id
        self._limit = limit_bytes
        self._deadline = deadline
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._ready: set[Lane] = set()
        self._leaving = False
        self._by_aiokafka: deque[tuple[Lane, BatchBuilder]] = deque()
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._client: AIOKafkaProducer | None = None
        self._producing: Producing[Lane] | None = None
        self._generation = 0
        self._broken: str | None = None
        self._broke = asyncio.Event()
        self._failure: DeliveryError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *required: str) -> None:
        """Connect, and check that the required topics exist as declared.

        Raises:
            UsageError: no broker answers, or a required topic is missing or has another number of partitions.
        """
        try:
            await self._connect()
        except (KafkaError, OSError) as error:
            raise UsageError(f"no Kafka broker answers at {self.bootstrap} (--bootstrap): {error}") from error
        try:
            await self._check(required)
        except BaseException:
            await self._discard()
            raise
        self._tasks = [
            asyncio.create_task(self._pump(), name="publisher-pump"),
            asyncio.create_task(self._watch(), name="publisher-watch"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        self._leave_soon()

    def lane(self, topic: str, partition: int) -> Lane:
        """The lane of a partition, always the same object."""
        try:
            return self._lanes[topic, partition]
        except KeyError:
            return self._lanes.setdefault((topic, partition), Lane(self, topic, partition))

    @property
    def full(self) -> bool:
        """Whether more than the limit is unacknowledged."""
        return self.unacknowledged_bytes > self._limit

    def check(self) -> None:
        """Raise ``DeliveryError`` if the publisher itself failed."""
        if self._failure is not None:
            raise self._failure

    async def room(self) -> None:
        """Wait while the publisher is full.

        Raises:
            DeliveryError: the publisher itself failed.
        """
        while self.full:
            self.check()
            self._drained.clear()
            await self._drained.wait()

    async def flush(self) -> None:
        """Wait until everything added so far to any lane is acknowledged."""
        await asyncio.gather(*(lane.delivered() for lane in list(self._lanes.values())))

    async def stop(self, patience: float = 30.0) -> None:
        """Deliver everything in hand and close. A second call does nothing.

        Raises:
            DeliveryError: after ``patience`` seconds records were still unacknowledged; they are not delivered.
        """
        if not self._tasks:
            return
        try:
            async with asyncio.timeout(patience):
                await self.flush()
        except TimeoutError:
            left = sum(lane.unacknowledged for lane in self._lanes.values())
            raise DeliveryError(
                f"{left:,} records were not acknowledged by {self.bootstrap} in {patience:g} s"
            ) from None
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
            await self._discard()

    def wake(self, lane: Lane) -> None:
        """Have the lane's next batch sent (for ``Lane``)."""
        self._ready.add(lane)
        self._leave_soon()

    async def _connect(self) -> None:
        client = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap.split(","),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(self._deadline * 1000),
            retry_backoff_ms=50,
        )
        try:
            # One whose metadata task dies while it starts would start for ever.
            async with asyncio.timeout(self._deadline):
                await client.start()
        except BaseException:
            await discard(client)
            raise
        self._client = client
        self._producing = Producing(client, partial(self._landed, self._generation))

    async def _check(self, required: Sequence[str]) -> None:
        assert self._client is not None
        for topic in required:
            found = await self._partitions(self._client, topic)
            if not found:
                raise UsageError(f"topic {topic} is not on {self.bootstrap}: run `ashare topics apply`")
            declared = topics().get(topic)
            if declared and found != declared.partitions:
                raise UsageError(
                    f"topic {topic} has {found} partitions on {self.bootstrap}, schemas/topics.yaml declares"
                    f" {declared.partitions}: keys would lie in other partitions than readers expect"
                )

    @staticmethod
    async def _partitions(client: AIOKafkaProducer, topic: str) -> int:
        """The topic's partitions, 0 if it is not there after a moment: a topic made just now may be unknown yet."""
        for _ in range(5):
            cluster = await client.client.fetch_all_metadata()
            found = cluster.partitions_for_topic(topic)
            if found:
                return len(found)
            await asyncio.sleep(0.3)
        return 0

    def _leave_soon(self) -> None:
        """Send when whoever adds records now has added them all."""
        if not self._leaving:
            self._leaving = True
            asyncio.get_running_loop().call_soon(self._leave)

    def _leave(self) -> None:
        self._leaving = False
        if self._producing is None or self._broken is not None or self._failure is not None:
            return
        try:
            self._board(self._producing)
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self._fail(error)

    def _board(self, producing: Producing[Lane]) -> None:
        """A batch of each lane that is ready, unless its node owes an answer: then it goes with the next request."""
        assert self._client is not None
        ready, self._ready = self._ready, set()
        boarded: dict[int, list[tuple[Lane, BatchBuilder]]] = {}
        for lane in ready:
            if (seconds := lane.resting) > 0:
                asyncio.get_running_loop().call_later(seconds, self.wake, lane)
                continue
            node = producing.node(lane)
            if node in producing.busy:
                self._ready.add(lane)
            elif (batch := lane.board(self._client)) is None:
                continue
            elif node is None:
                self._by_aiokafka.append((lane, batch))
                self._work.set()
            else:
                boarded.setdefault(node, []).append((lane, batch))
        for node, some in boarded.items():
            producing.send(node, some)

    async def _pump(self) -> None:
        """Make the client anew when it is broken, and have aiokafka send what can't be sent from here."""
        while True:
            await self._work.wait()
            self._work.clear()
            if self._broken is not None:
                await self._rebuild()
            client, generation = self._client, self._generation
            assert client is not None
            while self._by_aiokafka and self._broken is None:
                some = [self._by_aiokafka.popleft() for _ in range(len(self._by_aiokafka))]
                # All at once: one for a topic that is gone is waited for as long as a batch may take.
                await asyncio.gather(*(self._hand_over(client, generation, lane, batch) for lane, batch in some))

    async def _hand_over(self, client: AIOKafkaProducer, generation: int, lane: Lane, batch: BatchBuilder) -> None:
        """Have aiokafka send a batch."""
        try:
            sent = await self._unless_broken(client.send_batch(batch, lane.topic, partition=lane.partition))
        except Exception as error:  # noqa: BLE001 - whatever it was, the batch did not leave
            if generation == self._generation and self._broken is None:
                self._turned_down(lane, error)
        else:
            sent.add_done_callback(partial(self._landed, generation, lane))

    async def _unless_broken(self, sending: Coroutine[Any, Any, _T]) -> _T:
        """The outcome of a call of the client's, which may wait for a task of its that is no more.

        Raises:
            DeliveryError: the client broke meanwhile.
        """
        call, broke = asyncio.ensure_future(sending), asyncio.ensure_future(self._broke.wait())
        try:
            await asyncio.wait([call, broke], return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise DeliveryError("the client broke")
            return call.result()
        finally:
            call.cancel()
            broke.cancel()

    def _landed(self, generation: int, lane: Lane, sent: asyncio.Future[object] | None) -> None:
        if generation != self._generation:
            return
        if sent is not None and (sent.cancelled() or sent.exception() is not None):
            self._turned_down(lane, None if sent.cancelled() else sent.exception())
            return
        records, size = lane.landed()
        self.acknowledged += records
        self.unacknowledged_bytes -= size
        if not self.full:
            self._drained.set()
        if lane.waits():
            self._ready.add(lane)
        if self._ready:
            self._leave_soon()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours ended: unless it was stopped, that is a defect, and whoever waits must hear of it."""
        if task.cancelled():
            return
        self._fail(task.exception())

    def _fail(self, error: BaseException | None) -> None:
        if isinstance(error, DeliveryError):
            log.critical("%s", error)
            self._failure = error
        else:
            log.critical("the publisher failed", exc_info=error)
            self._failure = DeliveryError(f"the publisher failed: {error!r}")
            self._failure.__cause__ = error
        for lane in self._lanes.values():
            lane.fail(self._failure)
        self._drained.set()

    def _turned_down(self, lane: Lane, error: BaseException | None) -> None:
        """A batch was refused, or not sent: what to do about it stands in ``broker.refusals``."""
        refusal = refusal_of(error)
        if refusal is not None and refusal.verdict is Verdict.NEVER:
            self._fail(DeliveryError(self._refusal(lane, refusal)))
            return
        if refusal is not None and refusal.verdict is Verdict.LATER and self._broken is None:
            said = self._refusal(lane, refusal)
            seconds = max(other.rest() for other in self._lanes.values() if other.topic == lane.topic)
            log.error("%s; they are sent again in %g s", said, seconds)
        self._break(f"{lane.topic}/{lane.partition}: {error!r}")

    def _refusal(self, lane: Lane, refusal: Refusal) -> str:
        dates = [timestamp / 1000 for _, _, timestamp, _, _ in lane.in_flight]
        latest = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(max(dates, default=0.0)))
        return (
            f"{self.bootstrap} refuses {len(dates):,} records of {lane.topic}, dated up to {latest} UTC,"
            f" {refusal.words} ({refusal.name})"
        )

    def _break(self, why: str) -> None:
        if self._failure is not None:
            return
        if self._broken is None:
            self._broken = why
        self._broke.set()
        self._work.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._deadline / 4))
            flying = [(since, lane) for lane in self._lanes.values() if (since := lane.flying_since)]
            oldest, lane = min(flying, key=itemgetter(0), default=(None, None))
            if oldest is not None and lane is not None and time.monotonic() - oldest > self._deadline:
                self._overdue(lane)
            if self._client is not None and (dead := ended(self._client)):
                self._break(dead)

    def _overdue(self, lane: Lane) -> None:
        """No acknowledgement came in time; of a topic that is gone aiokafka never says that it is."""
        if self._client is not None and self._client.client.cluster.partitions_for_topic(lane.topic) is None:
            self._turned_down(lane, UnknownTopicOrPartitionError())
        else:
            self._break(f"a batch got no acknowledgement for {self._deadline:g} s")

    async def _rebuild(self) -> None:
        """Make a new client, and turn every batch in flight back to the head of its lane."""
        log.warning("Kafka client is made anew: %s", self._broken)
        self._generation += 1
        await self._discard()
        self._by_aiokafka.clear()
        self.resent += sum(lane.turn_back() for lane in self._lanes.values())
        for delay in chain(_BACKOFF, iter(lambda: _BACKOFF[-1], None)):
            try:
                await self._connect()
                break
            except (KafkaError, OSError) as error:
                held = sum(lane.unacknowledged for lane in self._lanes.values())
                log.warning("%s does not answer, %s records wait in memory: %s", self.bootstrap, f"{held:,}", error)
                await asyncio.sleep(delay)
        self.rebuilt += 1
        self._broken = None
        self._broke.clear()
        self._ready.update(lane for lane in self._lanes.values() if lane.waits())
        self._leave_soon()

    async def _discard(self) -> None:
        """Close the client without waiting for what it still holds: ``stop()`` alone would flush without a limit."""
        if self._producing is not None:
            self._producing.close()
            self._producing = None
        client, self._client = self._client, None
        if client is None:
            return
        await discard(client)

"""Records to Kafka in wide batches: in order per partition, acknowledged by all replicas, never silently dropped.

One queue per partition holds what waits and the one batch in flight; load makes the batches bigger by itself. A batch
that fails, or whose acknowledgement stays away, leaves an idempotent producer with a hole in its sequence that no
later batch gets over. So the client is then closed, a new one made, and what is unconfirmed sent again, in order: a
record may arrive twice, and readers recognise it by its identity.

A process that may have been replaced meanwhile (a worker that was stopped for longer than its group waits for it) must
not publish what it still holds: ``may_send`` holds back everything while it is false, ``Publisher.abandon`` drops it.
What had left before is refused by the broker, where the next owner has taken the partition over (``Publisher.fences``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from broker import security
from broker.background import discard, ended
from broker.durations import Durations
from broker.errors import AbandonedError, DeliveryError, FencedError, RecordTooLargeError, RefusedError
from broker.fencing import Fences
from broker.gate import Gate
from broker.identity import is_fenced
from broker.login import explain, lacks, refused
from broker.partition_queue import Headers, PartitionQueue
from broker.probe import absent
from broker.producing import Producing
from broker.refusals import Refusal, Verdict, refusal_of
from schemas import UsageError
from schemas.topics import topics

__all__ = ["AbandonedError", "DeliveryError", "Headers", "PartitionQueue", "Publisher", "RecordTooLargeError"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_SHANGHAI = ZoneInfo("Asia/Shanghai")
BATCH_BYTES = 512 << 10
"""A batch's size at which it is closed; below every topic's ``max.message.bytes``."""
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_HOLD_SECONDS = 0.05
"""How often ``may_send`` is asked again while it is false."""


class Publisher:
    """Kafka's producing end for one process. Made, started, used and stopped on one event loop.

    Memory is bounded by the caller: above ``limit_bytes`` unacknowledged, ``full`` is true and ``room()`` waits.

    Attributes:
        may_send: as given; always true by default.
        abandoned: how often ``abandon`` was called.
        partitions: of the topics that ``start`` required.
        batches: how long each took from leaving until it was acknowledged.
        acknowledged_bytes: what the acknowledged ones took of memory.
        fences: has the broker refuse what earlier owners of some partitions send.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        limit_bytes: int = 64 << 20,
        deadline: float = 30.0,
        may_send: Callable[[], bool] | None = None,
        insist: bool = True,
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            deadline: seconds that a batch may stay unacknowledged before the client is replaced.
            may_send: asked directly before each produce request, new or sent again, on the event loop. While it is
                false nothing leaves, and what waits counts towards ``limit_bytes``. Only bytes of an earlier request
                that the kernel has not taken yet can't be held back.
            insist: what the broker refuses until somebody mends something is sent again, and said; else the publisher
                fails with a ``RefusedError``: for a command, whose user is there to mend it.
        """
        self._insist = insist
        self.bootstrap = bootstrap
        self.unacknowledged_bytes = 0
        self.acknowledged = self.acknowledged_bytes = 0
        self.batches = Durations()
        self.resent = 0
        self.rebuilt = 0
        self.abandoned = 0
        self.may_send = may_send or (lambda: True)
        self.fences = Fences(self)
        self.partitions: dict[str, int] = {}
        self._client_id = client_id
        self._limit = limit_bytes
        self._deadline = deadline
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        self._ready: set[PartitionQueue] = set()
        self._scheduled = False
        self._by_aiokafka: deque[tuple[PartitionQueue, BatchBuilder]] = deque()
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._client: AIOKafkaProducer | None = None
        self._producing: Producing[PartitionQueue] | None = None
        self._gate: Gate | None = None
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
            raise await asyncio.to_thread(explain, self.bootstrap, error) from error
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
        self._send_soon()

    def queue(self, topic: str, partition: int) -> PartitionQueue:
        """The queue of a partition, always the same object."""
        try:
            return self._queues[topic, partition]
        except KeyError:
            return self._queues.setdefault((topic, partition), PartitionQueue(self, topic, partition))

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
            AbandonedError: ``abandon`` was called meanwhile.
            DeliveryError: the publisher itself failed.
        """
        before = self.abandoned
        while self.full:
            self.check()
            self._drained.clear()
            await self._drained.wait()
            if self.abandoned != before:
                raise AbandonedError("what filled the publisher was abandoned")

    def abandon(self) -> int:
        """Drop everything that is not acknowledged, in all partitions, at once; gives the number of records.

        Nothing of it is sent from now on, nor sent again: the connections that carried batches in flight are cut, and
        the client is replaced. Those who wait in ``delivered``, ``flush`` and ``room`` get an ``AbandonedError``.
        What is added from now on is sent as ever.
        """
        self.abandoned += 1
        in_flight = any(queue.in_flight_since is not None for queue in self._queues.values())
        dropped = sum(queue.abandon() for queue in self._queues.values())
        self.unacknowledged_bytes = 0
        self._by_aiokafka.clear()
        self._ready.clear()
        self._drained.set()
        if in_flight:
            if self._gate is not None:
                self._gate.cut()
            self._shut()
            self._break(f"{dropped:,} records were abandoned, some of them in flight")
        return dropped

    async def flush(self) -> None:
        """Wait until everything added so far is acknowledged; raises what ``PartitionQueue.delivered`` does."""
        unacknowledged = [queue for queue in self._queues.values() if queue.unacknowledged]
        await asyncio.gather(*(queue.delivered(queue.added) for queue in unacknowledged))

    async def _flush_unless(self, stalled: float) -> None:
        flushing = asyncio.ensure_future(self.flush())
        try:
            while not flushing.done():
                before = self.acknowledged
                await asyncio.wait([flushing], timeout=stalled)
                if not flushing.done() and self.acknowledged == before:
                    raise TimeoutError
            await flushing
        finally:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)

    async def stop(self, patience: float = 30.0, *, stalled: float | None = None) -> None:
        """Deliver everything in hand and close. A second call does nothing.

        Args:
            stalled: seconds without any acknowledgement after which no more is waited; default: ``patience``.

        Raises:
            DeliveryError: after that time records were still unacknowledged; they are not delivered.
        """
        if not self._tasks:
            return
        try:
            async with asyncio.timeout(patience):
                if stalled is None:
                    await self.flush()
                else:
                    await self._flush_unless(stalled)
        except TimeoutError:
            left = sum(queue.unacknowledged for queue in self._queues.values())
            waited = patience if stalled is None else min(patience, stalled)
            raise DeliveryError(f"{left:,} records were not acknowledged by {self.bootstrap} in {waited:g} s") from None
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
            await self.fences.close()
            await self._discard()

    @property
    def client(self) -> AIOKafkaClient | None:
        """The client in use; ``None`` while it is replaced (for ``Fences``)."""
        return None if self._client is None else self._client.client

    def fenced(self, queue: PartitionQueue) -> None:
        """The partition is another member's: drop what the queue holds, and whatever is still added to it.

        Those who wait for it get a ``FencedError``. Other queues go on.
        """
        if queue.identity is not None:
            queue.identity.lost = True
        self.unacknowledged_bytes -= queue.unacknowledged_bytes
        self._by_aiokafka = deque(waiting for waiting in self._by_aiokafka if waiting[0] is not queue)
        dropped = queue.abandon(FencedError)
        log.warning("%s/%d is another member's now: %d records are dropped", queue.topic, queue.partition, dropped)
        if not self.full:
            self._drained.set()

    def wake(self, queue: PartitionQueue) -> None:
        """Have the queue's next batch sent (for ``PartitionQueue``)."""
        self._ready.add(queue)
        self._send_soon()

    async def _connect(self) -> None:
        client = AIOKafkaProducer(
            **security.options(),
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
        self._gate = Gate(client.client, self.may_send)
        self._producing = Producing(client, partial(self._completed, self._generation))

    async def _check(self, required: Sequence[str]) -> None:
        assert self._client is not None
        for topic in required:
            found = await self._partitions(self._client, topic)
            self.partitions[topic] = found
            if not found:
                raise await absent(self.bootstrap, topic)
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

    def _send_soon(self) -> None:
        """Send at the end of this turn of the loop, when more records may have been added."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send_ready)

    def _send_ready(self) -> None:
        self._scheduled = False
        if self._producing is None or self._broken is not None or self._failure is not None:
            return
        try:
            if self.may_send():
                self._send_batches(self._producing)
            elif self._ready:
                self._scheduled = True
                asyncio.get_running_loop().call_later(_HOLD_SECONDS, self._send_ready)
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self._fail(error)

    def _send_batches(self, producing: Producing[PartitionQueue]) -> None:
        """A batch of each queue that is ready, unless its node owes an answer: then it goes with the next request."""
        assert self._client is not None
        ready, self._ready = self._ready, set()
        batches: dict[int, list[tuple[PartitionQueue, BatchBuilder]]] = {}
        for queue in ready:
            if (seconds := queue.resting) > 0:
                asyncio.get_running_loop().call_later(seconds, self.wake, queue)
                continue
            if (identity := queue.identity) is not None and identity.lost:
                self.fenced(queue)
                continue
            if identity is not None and identity.broken:
                self.fences.renew(queue)
                continue
            node = producing.node(queue)
            if node in producing.busy:
                self._ready.add(queue)
            elif (batch := queue.next_batch(self._client)) is None:
                continue
            elif node is None:
                self._by_aiokafka.append((queue, batch))
                self._work.set()
            else:
                batches.setdefault(node, []).append((queue, batch))
        for node, some in batches.items():
            producing.send(node, some)

    async def _pump(self) -> None:
        """Replace a broken client, and have aiokafka send what can't be sent from here."""
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
                await asyncio.gather(*(self._hand_over(client, generation, queue, batch) for queue, batch in some))

    async def _hand_over(
        self, client: AIOKafkaProducer, generation: int, queue: PartitionQueue, batch: BatchBuilder
    ) -> None:
        """Have aiokafka send a batch."""
        try:
            if (identity := queue.identity) is not None:
                await self._unless_broken(client.client._wait_on_metadata(queue.topic))
                # Never under another identity than the one that the queue had when it gave the batch.
                if generation == self._generation and self._producing is not None and queue.identity is identity:
                    self._producing.pass_on(queue, batch)
                return
            sent = await self._unless_broken(client.send_batch(batch, queue.topic, partition=queue.partition))
        except Exception as error:  # noqa: BLE001 - in any case the batch did not leave
            if generation == self._generation and self._broken is None:
                self._turned_down(queue, error)
        else:
            sent.add_done_callback(partial(self._completed, generation, queue))

    async def _unless_broken(self, sending: Coroutine[Any, Any, _T]) -> _T:
        """The outcome of a call of the client, which may wait for a task that the client has lost.

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

    def _completed(self, generation: int, queue: PartitionQueue, sent: asyncio.Future[object] | None) -> None:
        if generation != self._generation:
            return
        if sent is not None and (sent.cancelled() or sent.exception() is not None):
            self._turned_down(queue, None if sent.cancelled() else sent.exception())
            return
        left = queue.in_flight_since
        if left is not None:
            self.batches.add(time.monotonic() - left)
        records, size = queue.acknowledge()
        self.acknowledged += records
        self.acknowledged_bytes += size
        self.unacknowledged_bytes -= size
        if not self.full:
            self._drained.set()
        if queue.ready:
            self._ready.add(queue)
        if self._ready:
            self._send_soon()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of the publisher ended. Unless it was stopped, that is a defect, and whoever waits gets the error."""
        if task.cancelled():
            return
        self._fail(task.exception())

    def _fail(self, error: BaseException | None) -> None:
        if isinstance(error, DeliveryError):
            if not isinstance(error, RefusedError):
                log.critical("%s", error)
            self._failure = error
        else:
            log.critical("the publisher failed", exc_info=error)
            self._failure = DeliveryError(f"the publisher failed: {error!r}")
            self._failure.__cause__ = error
        for queue in self._queues.values():
            queue.fail(self._failure)
        self._drained.set()

    def _turned_down(self, queue: PartitionQueue, error: BaseException | None) -> None:
        """A batch was refused, or not sent: what to do about it stands in ``broker.refusals``."""
        if queue.identity is not None and is_fenced(error):
            self.fenced(queue)
            return
        refusal = refusal_of(error)
        if refusal is not None and refusal.verdict is Verdict.NEVER:
            self._fail(DeliveryError(self._refusal(queue, refusal)))
            return
        if refusal is not None and refusal.verdict is Verdict.LATER and not self._insist:
            write = isinstance(error, TopicAuthorizationFailedError) and lacks(f"WRITE on the topic {queue.topic}")
            self._fail(RefusedError(write or (error and refused(error)) or self._refusal(queue, refusal)))
            return
        if refusal is not None and refusal.verdict is Verdict.LATER and self._broken is None:
            said = self._refusal(queue, refusal)
            seconds = max(other.rest() for other in self._queues.values() if other.topic == queue.topic)
            log.error("%s; they are sent again in %g s", said, seconds)
        self._break(f"{queue.topic}/{queue.partition}: {error!r}")

    def _refusal(self, queue: PartitionQueue, refusal: Refusal) -> str:
        dates = [timestamp / 1000 for _, _, timestamp, _, _ in queue.in_flight]
        latest = datetime.fromtimestamp(max(dates, default=0.0), _SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        return (
            f"{self.bootstrap} refuses {len(dates):,} records of {queue.topic}, dated up to {latest} in Shanghai,"
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
            in_flight = [(since, queue) for queue in self._queues.values() if (since := queue.in_flight_since)]
            oldest, queue = min(in_flight, key=itemgetter(0), default=(None, None))
            if oldest is not None and queue is not None and time.monotonic() - oldest > self._deadline:
                self._overdue(queue)
            if self._client is not None and (dead := ended(self._client)):
                self._break(dead)

    def _overdue(self, queue: PartitionQueue) -> None:
        """No acknowledgement came in time; of a topic that is gone aiokafka never says that it is."""
        if self._client is not None and self._client.client.cluster.partitions_for_topic(queue.topic) is None:
            self._turned_down(queue, UnknownTopicOrPartitionError())
        else:
            self._break(f"a batch got no acknowledgement for {self._deadline:g} s")

    async def _rebuild(self) -> None:
        """Make a new client, and put every batch in flight back at the head of its queue."""
        log.warning("the Kafka client is replaced: %s", self._broken)
        await self._discard()
        self._by_aiokafka.clear()
        for queue in self._queues.values():
            self.resent += queue.requeue()
            if queue.identity is not None:
                queue.identity.broken = True
        for delay in chain(_BACKOFF, iter(lambda: _BACKOFF[-1], None)):
            try:
                await self._connect()
                break
            except (KafkaError, OSError) as error:
                held = sum(queue.unacknowledged for queue in self._queues.values())
                log.warning("%s does not answer, %s records wait in memory: %s", self.bootstrap, f"{held:,}", error)
                await asyncio.sleep(delay)
        self.rebuilt += 1
        self._broken = None
        self._broke.clear()
        self._ready.update(queue for queue in self._queues.values() if queue.ready)
        self._send_soon()

    def _shut(self) -> None:
        """Nothing leaves by this client any more, and nothing that comes counts."""
        self._generation += 1
        if self._producing is not None:
            self._producing.close()
            self._producing = None
        if self._gate is not None:
            self._gate.shut()
            self._gate = None

    async def _discard(self) -> None:
        """Close the client without waiting for what it still holds: ``stop()`` alone would flush without a limit."""
        self._shut()
        client, self._client = self._client, None
        if client is None:
            return
        await discard(client)

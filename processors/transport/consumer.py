"""Faust's Kafka consumer, on chunks: one message per fetch, and commits that mean what they say.

Replaced, with the reason (Faust 0.15.3):

- ``getmany`` and ``_drain_messages``: a task is made and cancelled for each message there (50 of the 80 µs that one
  costs); and a message here is a whole fetch, since at a few thousand ticks a second a chunk holds two or three.
- ``_new_offset``, ``_add_gap``, ``ack``: see ``processors.transport.offsets``. Chunks are acknowledged by themselves.
- ``_commit_offsets``: the stock one books a failed commit as done (faust#692).
- ``on_partitions_revoked``: the stock one forgets what is acknowledged before it commits (faust#502).
- ``perform_seek``: without a committed offset the stock one leaves the position where it is, past what was dropped.
- ``wait_empty``: the stock one waits for ever, and the group throws the member out meanwhile.
- ``_wait_next_records``: the stock one sleeps a whole second when every buffer is full.
- aiokafka's requests, one by one: see ``broker.fetching``. Changelogs, which Faust assigns too, are not fetched at all:
  what came of 36 partitions was held for ever, looked at in each fetch, and kept every request from waiting long.
- the thread of its own that Kafka is spoken to from: each fetch costs two hand-overs between event loops there, which
  is most of a worker's work at a few hundred ticks a second, and the two fight for the interpreter when there is much
  to do. No work here holds the loop for long, so heartbeats need no thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from broker.chunk import Chunk, corrupt, drain
from broker.fetching import Fetching
from processors.transport.offsets import Delivery, OffsetQueue
from processors.watchdog import fatal

log = logging.getLogger(__name__)

HELD_WAIT_MS, IDLE_WAIT_MS = 20, 250
"""Longest that a request for more waits at the broker. One that leaves partitions out, whose records are still held, is
what these must wait for before they are asked for again; one for all of them may wait long."""
GATHER_SECONDS = 0.003
"""From taking what came to asking for more: a request and an answer cost as much as dozens of ticks. 4 ms would save a
tenth of the CPU at a few hundred ticks a second, and leave the median latency no room within that of two raw hops."""
GATHER_TICKS = 500
"""With so many in one answer more is asked for at once: the broker looks for it while these are worked on."""
DRAIN_PATIENCE = 20.0
"""Seconds that a rebalance or a stop waits for chunks in hand; what is not done by then comes again."""

Fetched = tuple[int, dict[TP, Chunk]]


class OvertakenError(Exception):
    """Another assignment has come while the last one was being taken up; what follows from it is on its way."""


class LoopWorker:
    """Stands in for the thread that Faust starts for its consumer: the same service, as a task of the app's loop."""

    def __init__(self, service: BatchConsumerThread) -> None:
        """Nothing runs yet."""
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the service."""
        self._task = asyncio.ensure_future(self._service.serve())

    def stop(self) -> None:
        """Nothing to join: the service has been waited for when Faust calls this."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """What talks to Kafka, called a thread by Faust and none here (``LoopWorker``); fetches give chunks.

    ``seeks`` counts the seeks that were carried out: a fetch that carries an older count brings data from before a
    seek.
    """

    logger = logging.getLogger("faust.transport")
    Worker = LoopWorker  # type: ignore[assignment]
    seeks = 0

    async def serve(self) -> None:
        """From start to stop (for ``LoopWorker``)."""
        try:
            await self._serve()
        except Exception:
            log.exception("the consumer failed")
            self.set_shutdown()

    async def _gather_remaining_tasks(self) -> None:
        """The loop's other tasks are the app's, and none of ours to cancel."""

    async def on_start(self) -> None:
        """Start the consumer, and have its requests wait as long as they may."""
        await super().on_start()
        fetcher = self._ensure_consumer()._fetcher
        # Changelogs are assigned too, and restored by a reader of their own: nobody would take what came of them.
        self._fetching = Fetching(
            fetcher,
            wait=lambda: HELD_WAIT_MS if fetcher._records else IDLE_WAIT_MS,
            wanted=lambda topic: topic not in self.app.tables.changelog_topics,
        )

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Fetched:  # type: ignore[override]
        """The next chunks, by partition, with the count of seeks that they follow."""
        consumer = self._ensure_consumer()
        if not self.consumer.flow_active:
            return self.seeks, {}
        fetcher, coordinator = consumer._fetcher, consumer._coordinator
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        # Faust never asks: without it a coordination error ends heartbeats and rejoins in silence.
        coordinator.check_errors()
        deadline = time.monotonic() + timeout
        with fetcher._subscriptions.fetch_context():
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    await fetcher._subscriptions.wait_for_assignment()
                chunks = {TP(chunk.topic, chunk.partition): chunk for chunk in drain(fetcher, active_partitions)}
                if chunks:
                    self._ask(fetcher, sum(map(len, chunks.values())))
                now = time.monotonic()
                if chunks or now >= deadline or not self.consumer.flow_active:
                    return self.seeks, chunks
                waiter = fetcher._create_fetch_waiter()
                # A timer and a future that both know: ``asyncio.wait`` costs three times as much.
                timer = self.thread_loop.call_at(self.thread_loop.time() + deadline - now, fetcher._notify, waiter)
                try:
                    await waiter
                finally:
                    timer.cancel()
                if fetcher._closed:
                    return self.seeks, {}

    def _ask(self, fetcher: Any, came: int) -> None:
        if came < GATHER_TICKS:
            self.thread_loop.call_later(GATHER_SECONDS, self._fetching.ask)
        else:
            self._fetching.ask()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition that is not a changelog's to its committed offset, or to its beginning.

        Raises:
            OvertakenError: one of them is assigned no more.
        """
        try:
            return cast("Mapping[TP, int]", await self.call_thread(self._seek_all))
        except IllegalStateError as error:
            raise OvertakenError(str(error)) from error

    async def _seek_all(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        found: dict[TP, int] = {}
        changelogs = self.app.tables.changelog_topics
        for tp in consumer.assignment():
            if tp.topic in changelogs:
                continue
            committed = await consumer.committed(tp)
            if committed is None:
                await consumer.seek_to_beginning(tp)
                committed = await consumer.position(tp)
            else:
                consumer.seek(tp, committed)
            found[TP(tp.topic, tp.partition)] = committed
        self.seeks += 1
        return found


class BatchConsumer(driver.Consumer):
    """Faust's consumer; the value of a message is the list of a fetch's ``Delivery``, one a partition.

    The message carries one of their partitions as its own, for Faust, which looks its streams up by it.

    Attributes:
        queues: chunks in hand, by partition.
        expected: the offset that each partition's next chunk begins at.
        confirmed: monotonic time of each partition's last commit that the broker confirmed.
        lost_to_retention: records that the broker had deleted before they were read.
        abandoned: chunks in hand were given up since the last recovery, so rows in memory may be ahead of published
        ones.
    """

    logger = logging.getLogger("faust.transport")
    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Faust makes it."""
        self.queues: dict[TP, OffsetQueue] = {}
        self.expected: dict[TP, int] = {}
        self.confirmed: dict[TP, float] = {}
        self.lost_to_retention = 0
        self.abandoned = False
        self._room = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    # -- fetching ------------------------------------------------------------------------------------------------------

    def on_buffer_drop(self, tp: TP) -> None:
        """A stream's buffer has room again: fetch without waiting."""
        super().on_buffer_drop(tp)
        self._room.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Take partitions up again; wakes the fetch loop."""
        super().resume_partitions(tps)
        self._room.set()

    async def _fetch(self) -> tuple[Fetched, set[TP]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        active = self._get_active_partitions()
        # A stream that is full holds back every partition: they come in one message.
        if active and not self._buffered_partitions:
            return await self._thread.getmany(active, 1.0), active
        self._room.clear()
        await self.wait_first(self._room.wait(), timeout=1.0)
        return (self._thread.seeks, {}), active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """The messages of one fetch."""
        (seeks, chunks), active = await self._fetch()
        if self.should_stop or not chunks:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, chunk in chunks.items():
            await self._check_jump(tp, chunk)
        # What was fetched before a seek comes again. Nothing else may be dropped here, a new generation's chunks least
        # of all: their partitions' positions have moved past them. From here to the yield nothing else can run.
        if seeks != self._thread.seeks or not self.flow_active:
            return
        mine = {tp: chunk for tp, chunk in chunks.items() if tp in active}
        if deliveries := [delivery for tp, chunk in mine.items() if (delivery := self._entered(tp, chunk))]:
            yield self._message(deliveries)
        for chunk in mine.values():
            if chunk.corrupt:
                raise corrupt(chunk)

    def _entered(self, tp: TP, chunk: Chunk) -> Delivery | None:
        """Enter a chunk into its partition's queue; one without records is done with that."""
        self._follow(tp, chunk)
        agents = len(self.app.agents) if chunk.offsets else 1
        delivery = Delivery(chunk, self._queue(tp), time.monotonic(), agents)
        if chunk.offsets:
            return delivery
        delivery.ack()
        return None

    async def _check_jump(self, tp: TP, chunk: Chunk) -> None:
        """End the process where a chunk begins behind records that the log still holds and nobody read.

        That would be a loss of our own making; the successor reads them. What retention took is told of, before what
        follows can be committed: a successor would not know of it.
        """
        expected = self.expected.get(tp)
        if expected is None or chunk.start <= expected:
            return
        if (await self.earliest_offsets(tp))[tp] < chunk.start:
            log.critical("%s/%s: offsets %s to %s were passed over", tp.topic, tp.partition, expected, chunk.start - 1)
            fatal("records were passed over")
        lost = cast("Any", self.app).lost
        if lost is not None:
            await lost(tp.partition, expected, chunk)

    def _follow(self, tp: TP, chunk: Chunk) -> None:
        """Compare a chunk's start with where the last one ended; a jump is said loudly, since nobody else would."""
        expected = self.expected.get(tp)
        if expected is not None and chunk.start > expected:
            self.lost_to_retention += chunk.start - expected
            log.error(
                "%s/%s: offsets %s to %s were deleted before they were read: retention is shorter than the lag",
                *(tp.topic, tp.partition, expected, chunk.start - 1),
            )
        elif expected is not None and chunk.start < expected:
            log.error("%s/%s: the log begins anew at %s (was at %s)", tp.topic, tp.partition, chunk.start, expected)
            self.queues.pop(tp, None)
            self._committed_offset[tp] = None
        self.expected[tp] = chunk.end

    def _queue(self, tp: TP) -> OffsetQueue:
        return self.queues.setdefault(tp, OffsetQueue())

    def _message(self, deliveries: list[Delivery]) -> tuple[TP, Message]:
        chunk = deliveries[0].chunk
        assert chunk is not None
        tp = TP(chunk.topic, chunk.partition)
        return tp, ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.offsets[-1],
            chunk.timestamps[-1] / 1000,
            0,
            None,
            None,
            deliveries,  # type: ignore[arg-type]
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        stopped = self._stopped.is_set
        fetcher_stopped = fetcher._stopped.is_set
        try:
            while not (stopped() or fetcher_stopped()):
                await asyncio.sleep(0)
                async for _tp, message in self.getmany(1.0):
                    if not await self._deliver(message):
                        break
        except (ConsumerStoppedError, asyncio.CancelledError):
            if self.transport.app.should_stop:
                return
            raise
        except Exception:
            log.exception("fetching failed")
            raise

    async def _deliver(self, message: Message) -> bool:
        """Hand a message to the streams; false when the flow was suspended meanwhile (a seek follows)."""
        if self.app.flow_control.is_active() and not any(channel.queue.full() for channel in self.app.topics):
            # Streams with room take it at once: no task for what is the rule.
            await self.callback(message)
            return True
        delivery = asyncio.ensure_future(self.callback(message))
        suspended = asyncio.ensure_future(self.suspend_flow.wait())
        await asyncio.wait({delivery, suspended}, return_when=asyncio.FIRST_COMPLETED)
        suspended.cancel()
        if delivery.done():
            delivery.result()
            return True
        delivery.cancel()
        return False

    # -- offsets -------------------------------------------------------------------------------------------------------

    def ack(self, message: Message) -> bool:
        """Every agent has taken the message over; its chunks are acknowledged one by one, when their effects are."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    @property
    def in_hand(self) -> int:
        """Chunks delivered and not done."""
        return sum(queue.waiting for queue in self.queues.values())

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps need no booking: a queue of chunks does not count single offsets."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return [tp for tp in self.queues if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        queue = self.queues.get(tp)
        return queue.committable if queue else None

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        assignment = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assignment}
        if not mine or not await self._commit(mine):
            return False
        self._committed_offset.update(mine)
        now = time.monotonic()
        self.confirmed.update(dict.fromkeys(mine, now))
        return True

    async def perform_seek(self) -> None:
        """Go back to what is committed; everything in flight is then from before and will come again."""
        self.queues.clear()
        found = await self._thread.seek_to_committed()
        self.queues.clear()
        self.expected = dict(found)
        self._committed_offset.update(found)
        now = time.monotonic()
        self.confirmed = dict.fromkeys(found, now)

    async def wait_empty(self) -> None:
        """Wait, within bounds, until the chunks in hand are done, then commit."""
        deadline = time.monotonic() + DRAIN_PATIENCE
        while self.in_hand and time.monotonic() < deadline:  # noqa: ASYNC110 - acks come by the thousand, this ends soon
            await asyncio.sleep(0.01)
        if self.in_hand:
            log.error("%s chunks were not done after %s s and will come again", self.in_hand, DRAIN_PATIENCE)
            self.queues.clear()
            self.abandoned = True
        await self.commit()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done, let what is in hand be done, commit that too, and forget the partitions."""
        await self.commit()
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self.queues.pop(tp, None)
            self.expected.pop(tp, None)
            self.confirmed.pop(tp, None)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own livelock detector compares epoch with monotonic time; ``processors.watchdog`` watches instead."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer

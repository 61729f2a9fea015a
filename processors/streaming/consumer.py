"""Faust's Kafka consumer, on chunks: one message per fetch, and commits that mean what they say.

Replaced, with the reason (Faust 0.15.3):

- ``getmany`` and ``_drain_messages``: a task is made and cancelled for each message there (50 of the 80 µs that one
  costs); and a message here is a whole fetch, since at a few thousand ticks a second a chunk holds two or three.
- ``_new_offset``, ``_add_gap``, ``ack``: see ``processors.streaming.offsets``. Chunks are acknowledged by themselves.
- ``_commit_offsets``: the stock one books a failed commit as done (faust#692).
- ``commit``: the stock one does nothing while another is on its way, so a drain may leave the last chunks uncommitted.
- ``on_partitions_revoked``: the stock one forgets what is acknowledged before it commits (faust#502).
- ``perform_seek``: without a committed offset the stock one leaves the position where it is, past what was dropped.
- ``wait_empty``: the stock one waits for ever, and the group throws the member out meanwhile.
- ``_wait_next_records``: the stock one sleeps a whole second when every buffer is full.
- ``perform_seek`` also takes no offset that was committed for another log of the same name.
- what speaks to Kafka underneath: see ``processors.streaming.client``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from broker.chunk import Chunk, corrupt
from broker.probe import LogId
from broker.publisher import AbandonedError
from processors.streaming.client import BatchConsumerThread, Fetched, OvertakenError
from processors.streaming.offsets import Delivery, Fetch, OffsetQueue
from processors.streaming.watchdog import fatal

__all__ = ["BatchConsumer", "BatchTransport", "OvertakenError"]

log = logging.getLogger(__name__)

DRAIN_PATIENCE = 5.0
"""Seconds that a rebalance or a stop waits for chunks in hand; what is not done by then comes again."""

REBUILD_PATIENCE = 3.0
"""The same when the client is made anew: what is done can't be committed then, and comes again anyway."""


class BatchConsumer(driver.Consumer):
    """Faust's consumer; the value of a message is a ``Fetch``, a delivery a partition.

    The message carries one of their partitions as its own, for Faust, which looks its streams up by it.

    Attributes:
        queues: chunks in hand, by partition.
        expected: the offset that each partition's next chunk begins at.
        confirmed: monotonic time of each partition's last commit that the broker confirmed.
        lost_to_retention: records that the broker had deleted before they were read.
        on_log_replaced: told when another log stands behind a topic's name: the topic, the log that was read, if that
            is known, and the one that is read from its start now.
        abandoned: chunks in hand were given up since the last recovery, so rows in memory may be ahead of published
        ones.
        fetches: those that the agent has not come to the end of.
    """

    logger = logging.getLogger("faust.transport")
    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Faust makes it."""
        self.queues: dict[TP, OffsetQueue] = {}
        self.expected: dict[TP, int] = {}
        self.confirmed: dict[TP, float] = {}
        self.lost_to_retention = 0
        self.on_log_replaced: Callable[[str, LogId | None, LogId], object] = lambda *_: None
        self.abandoned = False
        self.fetches: list[Fetch] = []
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
        try:
            if not self.flow_active:
                await self.perform_seek()
                return
            for tp, chunk in chunks.items():
                await self._check_jump(tp, chunk)
        except OvertakenError:
            return  # a seek follows
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
        delivery = Delivery(chunk, self._queue(tp), time.monotonic())
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
        await self._tell_lost(tp, expected, chunk)

    async def _tell_lost(self, tp: TP, expected: int, chunk: Chunk) -> None:
        """Have it told that the log lost what lay before a chunk."""
        try:
            await cast("Any", self.app).runner.lost(tp.partition, expected, chunk)
        except AbandonedError as error:
            raise OvertakenError(str(error)) from error

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

    def log_replaced(self, topic: str, before: LogId | None, now: LogId) -> None:
        """Another log stands behind a topic's name, and is read from its start."""
        cluster = before is not None and before.cluster != now.cluster
        log.error(
            "%s is another log than before (%s): it is read from its start",
            *(topic, "another cluster answers" if cluster else "the topic was made anew"),
        )
        self.on_log_replaced(topic, before, now)

    def _queue(self, tp: TP) -> OffsetQueue:
        return self.queues.setdefault(tp, OffsetQueue())

    def _message(self, deliveries: list[Delivery]) -> tuple[TP, Message]:
        chunk = deliveries[0].chunk
        assert chunk is not None
        tp = TP(chunk.topic, chunk.partition)
        self.fetches = [fetch for fetch in self.fetches if not fetch.ended]
        self.fetches.append(Fetch(deliveries))
        return tp, ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.offsets[-1],
            chunk.timestamps[-1] / 1000,
            0,
            None,
            None,
            self.fetches[-1],  # type: ignore[arg-type]
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
        """The agent has taken the message over; its chunks are acknowledged one by one, when their effects are."""
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

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """As Faust's, which only waits for a commit that is on its way: that one lacks what was done since it left."""
        while self._commit_fut is not None:
            await asyncio.wait([self._commit_fut])
        return await super().commit(topics, start_new_transaction)

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
        self._drop_waiting()
        self.queues.clear()
        # Where records were deleted behind what is committed, the first chunk that comes jumps over them.
        found = await self._thread.seek_to_places()
        self.queues.clear()
        self.expected = dict(found)
        self._committed_offset.update(found)
        now = time.monotonic()
        self.confirmed = dict.fromkeys(found, now)

    def _drop_waiting(self) -> None:
        """Give up what the agent has not begun: it comes again, to this member or another."""
        for fetch in reversed(self.fetches):
            fetch.drop()
        self.fetches = []

    async def wait_empty(self) -> None:
        """Have what the agent has begun finished, within bounds, and commit it; the rest comes again.

        Faust calls this when partitions leave and when the worker stops. It has emptied the streams' buffers by then.
        """
        runner = cast("Any", self.app).runner
        self._drop_waiting()
        patience = REBUILD_PATIENCE if self._thread.rebuilding else DRAIN_PATIENCE
        deadline = time.monotonic() + patience
        runner.hurry()
        # Acknowledgements come by the thousand, and this ends soon: no event is set for each.
        while not (done := not self.in_hand and runner.idle) and time.monotonic() < deadline and runner.an_owner:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if done:
            await self.commit()
            return
        why = f"was not done after {patience:g} s" if runner.an_owner else "may be another member's by now"
        log.error("%s chunks are given up and come again: what was in hand %s", self.in_hand, why)
        await self.commit()
        self.queues.clear()
        self.abandoned = True
        await runner.abandon()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """As Faust's; rows that were made of another log than what is read now are not kept."""
        if await self._thread.replaced():
            self.abandoned = True
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done, let what is in hand be done, commit that too, and forget the partitions."""
        await self.commit()
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self.queues.pop(tp, None)
            self.expected.pop(tp, None)
            self.confirmed.pop(tp, None)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own livelock detector compares epoch with monotonic time; ``streaming.watchdog`` watches instead."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer

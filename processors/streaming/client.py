"""The Kafka client under Faust's consumer: fetches give chunks, commits are a member's, and a broken one is made anew.

Replaced in Faust 0.15.3 and aiokafka 0.14.0, with the reason:

- the thread of its own that Kafka is spoken to from: each fetch costs two hand-overs between event loops there, which
  is most of a worker's work at a few hundred ticks a second, and the two fight for the interpreter when there is much
  to do. No work here holds the loop for long, so heartbeats need no thread.
- aiokafka's requests, one by one: see ``broker.fetching``. Changelogs, which Faust assigns too, are not fetched at all:
  what came of 36 partitions was held for ever, looked at in each fetch, and kept every request from waiting long.
- a client that lost one of its background tasks: Faust would wait for it for ever. Here it is made anew, which to Faust
  is a rebalance: its partitions are revoked, and assigned again when the new client has joined the group.
- commits: the stock one ends the worker when it fails, and waits for ever when the client has lost a task. Here one
  leaves only while the member that asked for it is one (``broker.background``), and carries the id of the log that it
  is of, so that no offset of one log is ever taken for another's of the same name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from broker.background import commit_as_member, discard, ended, leave
from broker.chunk import Chunk, drain
from broker.fetching import Fetching
from broker.probe import LogId, Probe, ProbeError
from processors.streaming.watchdog import fatal

if TYPE_CHECKING:
    from processors.streaming.consumer import BatchConsumer

log = logging.getLogger(__name__)

HELD_WAIT_MS, IDLE_WAIT_MS = 20, 250
"""Longest that a request for more waits at the broker. One that leaves partitions out, whose records are still held, is
what these must wait for before they are asked for again; one for all of them may wait long."""
GATHER_RECORDS = 500
"""With so many in one answer more is asked for at once: the broker looks for it while these are worked on."""
COMMIT_SECONDS = 30.0
"""Longest that a commit may take; it is asked for again half a second later."""
START_SECONDS = 30.0
_UPKEEP_SECONDS = 0.5
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)

Fetched = tuple[int, dict[TP, Chunk]]
_T = TypeVar("_T")


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

    Attributes:
        seeks: the seeks that were carried out: a fetch that carries an older count brings data from before a seek.
        logs: the log behind each topic's name, as it was when reading began at its place.
        rebuilt: how often the client was made anew.
        rebuilding: whether it is being made anew: nothing can be asked of it then.
    """

    logger = logging.getLogger("faust.transport")
    Worker = LoopWorker  # type: ignore[assignment]
    consumer: BatchConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Faust makes it."""
        self.seeks = self.rebuilt = 0
        self.rebuilding = False
        self._placed = False
        self.logs: dict[str, LogId] = {}
        self._wanted: str | None = None
        self._calls: set[asyncio.Future[Any]] = set()
        self._upkeep: asyncio.Task[None] | None = None
        super().__init__(*args, **kwargs)

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
        """Start the consumer, and look after it from then on."""
        self.time_started = time.monotonic()
        self._consumer = await self._connected()
        self._upkeep = asyncio.create_task(self._look_after(), name="consumer-upkeep")
        self._upkeep.add_done_callback(_upkeep_ended)

    async def on_thread_stop(self) -> None:
        """Stop the consumer, however much of it still works."""
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self._consumer is None:
            return
        # What is done is committed by now.
        await leave(self._consumer, for_good=True)
        await discard(self._consumer)

    def close(self) -> None:
        """Nothing: Faust calls it where an app stops in a rebalance, and would close the client before it has left."""

    async def _connected(self) -> AIOKafkaConsumer:
        """A consumer that is started, whose requests wait as long as they may.

        Raises:
            KafkaError, OSError: no broker answers.
        """
        consumer = self._create_consumer(loop=self.thread_loop)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
        except BaseException:
            await discard(consumer)
            raise
        commit_as_member(consumer)
        runner = cast("Any", self.app).runner
        runner.lease.follow(consumer._coordinator)
        runner.membership.follow(consumer._coordinator)
        fetcher = consumer._fetcher
        # Changelogs are assigned too, and restored by a reader of their own: nobody would take what came of them.
        self._fetching = Fetching(
            fetcher,
            wait=lambda: HELD_WAIT_MS if fetcher._records else IDLE_WAIT_MS,
            wanted=lambda topic: topic not in self.app.tables.changelog_topics,
        )
        return consumer

    # -- upkeep --------------------------------------------------------------------------------------------------------

    def rebuild(self, why: str) -> None:
        """Have the client made anew soon."""
        if not self.rebuilding:
            self._wanted = self._wanted or why

    async def _look_after(self) -> None:
        seen: str | None = None
        while True:
            await asyncio.sleep(_UPKEEP_SECONDS)
            if self.app.should_stop:
                continue
            # A group's coordinator starts and stops some of its tasks: what has ended is looked at twice.
            before, seen = seen, ended(self._ensure_consumer())
            if not self._placed:
                membership = cast("Any", self.app).runner.membership
                self._placed = await membership.check_place(self._ensure_consumer(), self.app)
            why = self._wanted or (seen if seen == before else None)
            if why is not None:
                await self._rebuild(why)
                seen = self._wanted = None

    async def _rebuild(self, why: str) -> None:
        """Replace the client; to Faust, its partitions are revoked, and assigned again when the new one has joined."""
        log.error("the Kafka client is made anew: %s", why)
        began, app, old = time.monotonic(), self.app, self._ensure_consumer()
        self.rebuilding, self._placed = True, False
        try:
            for call in list(self._calls):
                call.cancel()
            topics, assigned = old.subscription(), ensure_TPset(old.assignment())
            app.on_rebalance_start()
            await self.on_partitions_revoked(assigned)
            await discard(old)
            await self._reconnect()
        finally:
            self.rebuilding = False
        if topics and not app.should_stop:
            self._ensure_consumer().subscribe(topics=set(topics), listener=self._rebalance_listener)
            log.warning("the Kafka client was made anew in %.1f s", time.monotonic() - began)

    async def _reconnect(self) -> None:
        attempt = 0
        while not self.app.should_stop:
            try:
                self._consumer = await self._connected()
            except (KafkaError, OSError) as error:
                log.warning("no Kafka broker answers: %r", error)
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
                attempt += 1
            else:
                self.rebuilt += 1
                return

    async def _asked(self, asking: Coroutine[Any, Any, _T]) -> _T:
        """What the client answers, unless it is made anew meanwhile: a client that lost a task may never answer.

        Raises:
            OvertakenError: it was made anew.
        """
        if self.rebuilding:
            asking.close()  # the old client would be asked for ever
            raise OvertakenError("the Kafka client is made anew")
        call = asyncio.ensure_future(asking)
        self._calls.add(call)
        try:
            await asyncio.wait([call])
        finally:
            call.cancel()
            self._calls.discard(call)
        if call.cancelled():
            raise OvertakenError("the Kafka client is made anew")
        return call.result()

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Fetched:  # type: ignore[override]
        """The next chunks, by partition, with the count of seeks that they follow."""
        consumer = self._ensure_consumer()
        if not self.consumer.flow_active:
            return self.seeks, {}
        fetcher = consumer._fetcher
        if not self._works(consumer):
            await asyncio.sleep(_UPKEEP_SECONDS / 10)
            return self.seeks, {}
        shared = cast("Any", self.app).runner.shared
        deadline = time.monotonic() + timeout
        with fetcher._subscriptions.fetch_context():
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    try:
                        await self._asked(fetcher._subscriptions.wait_for_assignment())
                    except OvertakenError:  # a client that lost a task is never assigned anything
                        return self.seeks, {}
                drained = drain(fetcher, active_partitions, shared=shared)
                chunks = {TP(chunk.topic, chunk.partition): chunk for chunk in drained}
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

    def _works(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether the client can be fetched with; one that can't is made anew.

        Raises:
            ConsumerStoppedError: it was stopped.
            KafkaError: this user may not read here.
        """
        if self._wanted is not None or self.rebuilding:
            return False
        if consumer._closed or consumer._fetcher._closed:
            raise ConsumerStoppedError
        if consumer._coordinator._coordination_task.cancelled():
            # Asked for its result, it would cancel whoever asks: Faust's fetching, which then ends without a word.
            self.rebuild("its coordination task was cancelled")
            return False
        try:
            # Faust never asks: without it a coordination error ends heartbeats and rejoins in silence.
            consumer._coordinator.check_errors()
        except (GroupAuthorizationFailedError, TopicAuthorizationFailedError):
            raise
        except KafkaError as error:
            self.rebuild(repr(error))
            return False
        return True

    def _ask(self, fetcher: Any, came: int) -> None:
        if came < GATHER_RECORDS:
            self.thread_loop.call_later(cast("Any", self.app).runner.agent.linger, self._fetching.ask)
        else:
            self._fetching.ask()

    # -- offsets -------------------------------------------------------------------------------------------------------

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The first offset that each partition still holds.

        Raises:
            OvertakenError: the client is made anew.
        """
        return cast("Mapping[TP, int]", await self._asked(self._ensure_consumer().beginning_offsets(partitions)))

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; false if it was not confirmed, or the group has moved on."""
        if self.rebuilding:
            return False
        places = {
            TopicPartition(*tp): OffsetAndMetadata(offset, known.topic if (known := self.logs.get(tp.topic)) else "")
            for tp, offset in offsets.items()
        }
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._asked(self._ensure_consumer().commit(places))
        except (CommitFailedError, IllegalStateError, OvertakenError) as error:
            log.warning("not committed, what it is of comes again: %s", error)
            return False
        except TimeoutError:
            log.error("no commit was confirmed within %g s", COMMIT_SECONDS)  # noqa: TRY400 - nothing to trace
            return False
        except Exception as error:
            log.exception("committing failed")
            await self.crash(error)
            return False
        return True

    async def replaced(self) -> bool:
        """Whether another log stands behind a topic's name than the one that was read."""
        if not self.logs:
            return False
        return any(_another(self.logs.get(topic), now) for topic, now in (await self._identified()).items())

    async def _identified(self) -> dict[str, LogId]:
        """The logs behind the names of what is read; none where no broker tells."""
        topics = {tp.topic for tp in self._ensure_consumer().assignment()} - set(self.app.tables.changelog_topics)

        def ask() -> dict[str, LogId]:
            with Probe(cast("Any", self.app).bootstrap) as probe:
                return dict(probe.find(topics).logs)

        try:
            return await asyncio.to_thread(ask)
        except ProbeError as error:
            log.warning("which logs stand behind %s is not known: %s", ", ".join(sorted(topics)), error)
            return {}

    def positions(self) -> dict[TP, int]:
        """The offset that each partition is fetched from next, where it has one; for any thread."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        states = {} if assignment is None else {TP(*tp): assignment.state_value(tp) for tp in assignment.tps}
        return {tp: at for tp, state in states.items() if state is not None and (at := state._position) is not None}

    async def seek_to_places(self) -> dict[TP, int]:
        """Seek every assigned partition that is not a changelog's; gives the offsets that they are due to go on from.

        These are the committed ones, or a log's beginning where there is none, or where it was committed for another
        log. Where records behind the committed one are deleted, the first that is left is what comes.

        Raises:
            OvertakenError: one of them is assigned no more, or the client is made anew.
        """
        try:
            return await self._asked(self._seek_all())
        except IllegalStateError as error:
            raise OvertakenError(str(error)) from error

    async def _seek_all(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        changelogs = self.app.tables.changelog_topics
        mine = [tp for tp in consumer.assignment() if tp.topic not in changelogs]
        found = await self._identified()
        committed = await consumer._coordinator.fetch_committed_offsets(mine)
        begins = await self._begins(consumer, mine)
        places: dict[TP, int] = {}
        anew: dict[str, tuple[LogId | None, LogId]] = {}
        for there in mine:
            tp, place, begin = TP(there.topic, there.partition), committed.get(there), begins[there]
            known, now = self.logs.get(tp.topic), found.get(tp.topic)
            if now is not None and (_another(known, now) or (place is not None and _of_another(place.metadata, now))):
                anew[tp.topic] = (known, now)
                place = None
            places[tp] = begin if place is None else place.offset
            consumer.seek(there, max(places[tp], begin))
        self.logs.update(found)
        if anew:
            # From here on the group stands in the new log, whatever was committed under its name before.
            await self.commit({tp: place for tp, place in places.items() if tp.topic in anew})
        for topic, (before, now) in anew.items():
            self.consumer.log_replaced(topic, before, now)
        self.seeks += 1
        return places

    async def _begins(self, consumer: AIOKafkaConsumer, partitions: list[Any]) -> Mapping[Any, int]:
        while True:
            try:
                return cast("Mapping[Any, int]", await consumer.beginning_offsets(partitions))
            except IllegalStateError:
                raise
            except KafkaError as error:
                log.warning("where the logs begin is not known yet: %r", error)
                await asyncio.sleep(_UPKEEP_SECONDS)


def _another(known: LogId | None, now: LogId) -> bool:
    return known is not None and known != now


def _of_another(committed: str, now: LogId) -> bool:
    """Whether an offset was committed for another log; one that was committed without an id is taken for this one's."""
    return bool(committed and now.topic and committed != now.topic)


def _upkeep_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        log.critical("looking after the consumer failed", exc_info=task.exception())
        fatal("looking after the consumer failed")

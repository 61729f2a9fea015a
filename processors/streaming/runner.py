"""One agent at work: its Faust app and consumer group, its publishers, its effects, what is lost and what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from faust.types import TP

from broker.chunk import Chunk
from broker.errors import AbandonedError, FencedError
from broker.probe import LogId
from broker.publisher import DeliveryError, PartitionQueue, Publisher
from broker.shared import SharedBatches
from processors import losses
from processors.events import Teller
from processors.streaming.agent import Agent, Context, Message, StateRow, Table
from processors.streaming.consumer import BatchConsumer
from processors.streaming.dead_letters import DeadLetters, Responsibility
from processors.streaming.effects import Effects
from processors.streaming.faust_app import SESSION_SECONDS, StreamApp, make_app
from processors.streaming.groups import group_of, take_over
from processors.streaming.lease import Lease
from processors.streaming.membership import Membership
from processors.streaming.offsets import Fetch
from processors.streaming.watchdog import fatal
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS, partition_of, topics

log = logging.getLogger(__name__)

_STOP_SECONDS = 10.0
_FENCED_SECONDS = 0.05
_PLACES = 200_000
"""Keys whose partition is remembered."""


class AgentRunner:
    """Runs one agent.

    Attributes:
        handled: records that the agent was given.
        chunks: how many chunks they came in.
        handle_seconds: how long the agent took for them.
        newest: when the newest of them came, ms since the epoch; 0 before the first.
        rebalances: how often partitions were assigned.
        assigned_at: monotonic time of the last.
        current: monotonic time at which a partition's state was last known to hold all that its log did.
        done: monotonic time at which the brokers told an end of its log up to which all of a partition is confirmed.
        fenced: another member has taken one of the partitions over, and this one has not left it yet: it does nothing.
    """

    def __init__(
        self,
        agent: Agent,
        bootstrap: str,
        *,
        address: str,
        place: str,
        member: str,
        beside: Collection[str] = (),
        shared: SharedBatches | None = None,
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            address: where the other members of the group reach this process.
            place: names this process in what it announces.
            member: names it in the group (``streaming.membership``).
            beside: the agents of the same process.
            shared: what those of them that read the same topic have taken apart and decoded.
        """
        self.agent = agent
        self.shared = shared
        self.group = group_of(agent.name)
        self.bootstrap = bootstrap
        self.handled = self.chunks = self.published = self.logs_replaced = self.rebalances = self.newest = 0
        self.handle_seconds = self.assigned_at = 0.0
        self.current: dict[int, float] = {}
        self.done: dict[int, float] = {}
        self.fenced = False
        self.lease = Lease(SESSION_SECONDS)
        self.membership = Membership(self.group, member)
        self.losses = losses.Losses(self.group, agent.name)
        self.app: StreamApp = make_app(bootstrap, self.group, address=address, member=member, runner=self)
        self.publisher = Publisher(bootstrap, client_id=self.group, may_send=self._may_act)
        # A client has one request on its way: records must not wait behind rows.
        self.records_publisher = self.publisher
        if agent.outputs and agent.table is not None:
            self.records_publisher = Publisher(bootstrap, client_id=f"{self.group}-records", may_send=self._may_act)
        responsible = Responsibility(bootstrap, agent.name, beside)
        self.dead_letters = DeadLetters(self.publisher.queue(DEAD_LETTERS, 0), self.group, responsible)
        self.events = Teller(self.publisher, self.group, place)
        self._effects: dict[int, Effects] = {}
        self._unpublished: dict[int, set[StateRow]] = {}
        self._places: dict[tuple[str, bytes], PartitionQueue] = {}
        self._working: asyncio.Task[None] | None = None
        self._rejoining: asyncio.TimerHandle | None = None
        self._build()

    def _build(self) -> None:
        app, agent = self.app, self.agent
        for number, table in enumerate(self._tables):
            table.state = app.StateTable(
                agent.name if number == 0 else f"{agent.name}-{number}",
                changelog_topic=self._topic(table.topic),
                restore=table.restore,
                key_type=str,
                rebuild=table.rebuild,
            )
        app.on_partitions_revoked.connect(self._revoked)
        app.on_rebalance_complete.connect(self._assigned)

        async def run(stream: Any) -> None:
            async for event in stream.noack().events():
                event.ack()
                await self._work(event.value)

        app.agent(self._topic(agent.input), name=agent.name)(run)

    @property
    def _tables(self) -> list[Table]:
        agent = self.agent
        return [*([] if agent.table is None else [agent.table]), *agent.side_tables]

    def _topic(self, name: str) -> Any:
        return self.app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", internal=False
        )

    def _may_act(self) -> bool:
        return self.lease.valid

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, and have the agent start; its group is joined when the app starts.

        Raises:
            UsageError: no broker, missing topics, a worker of an earlier version, an agent that can't run as set up.
        """
        agent = self.agent
        await take_over(self.bootstrap, agent.name)
        required = {agent.input, *agent.outputs, *agent.requires, *(table.topic for table in self._tables)}
        await self.publisher.start(*sorted(required | {DEAD_LETTERS, FEED_EVENTS}))
        if self.records_publisher is not self.publisher:
            await self.records_publisher.start()
        await agent.start(
            Context(
                bootstrap=self.bootstrap,
                group=self.group,
                publisher=self.records_publisher,
                publish_rows=self._publish_rows,
                committed=self._committed,
                concerns=self.losses.concerns,
                lease=self.lease,
                events=self.events,
                dead_letters=self.dead_letters,
            )
        )

    async def stop(self) -> None:
        """Stop when the app has stopped; what is not confirmed by then is not committed, and comes again."""
        self._forget()
        await self.agent.stop()
        for publisher in {self.records_publisher, self.publisher}:
            try:
                await publisher.stop(_STOP_SECONDS)
            except (DeliveryError, AbandonedError) as error:
                log.error("stopping %s: %s; what they belong to is not committed and comes again", self.group, error)  # noqa: TRY400

    # -- a chunk's way -------------------------------------------------------------------------------------------------

    async def _work(self, fetch: Fetch) -> None:
        """Have the agent handle what a fetch brought. What fails here ends the process, and the chunks come again."""
        self._working = working = asyncio.create_task(self._handle(fetch), name=f"agent-{self.agent.name}")
        try:
            await asyncio.wait([working])
        finally:
            working.cancel()
        if not working.cancelled() and (error := working.exception()) is not None:
            if isinstance(error, FencedError):
                log.warning("agent %s: what it has in hand comes again: %s", self.agent.name, error)
                self._on_fenced()
                return
            log.critical("agent %s failed", self.agent.name, exc_info=error)
            fatal(f"agent {self.agent.name} failed")

    async def _handle(self, fetch: Fetch) -> None:
        for delivery in fetch:
            chunk = delivery.chunk
            assert chunk is not None
            while self.fenced:  # noqa: ASYNC110 - soon this task is cancelled
                await asyncio.sleep(_FENCED_SECONDS)
            effects = self._effects_of(chunk.partition)
            await effects.room()
            begun = time.monotonic()
            queues: set[PartitionQueue] = set()
            if chunk.topic == TICKS and chunk.bad and await self.dead_letters.take(chunk, chunk.bad):
                queues.add(self.dead_letters.queue)
            records, rows, done = await self.agent.handle(chunk)
            if self.dead_letters.failed(chunk):
                queues.add(self.dead_letters.queue)
            if records:
                self._publish(records, queues, chunk.partition if self.agent.keyed_alike else None)
            effects.submit(delivery, rows, queues, done, len(chunk))
            delivery.chunk = None
            self.handled += len(chunk)
            self.chunks += 1
            self.handle_seconds += time.monotonic() - begun
            if chunk.timestamps:
                self.newest = max(self.newest, chunk.timestamps[-1])
            end = cast("int | None", self.consumer.highwater(TP(chunk.topic, chunk.partition)))
            if end is not None and chunk.end >= end:
                self.current[chunk.partition] = time.monotonic()

    def _publish(self, records: Sequence[Message], queues: set[PartitionQueue], partition: int | None) -> None:
        places, queue, of = self._places, None, ""
        for topic, key, value, timestamp, headers in records:
            if partition is None:
                queue = places.get((topic, key)) or self._place(topic, key)
                queues.add(queue)
            elif queue is None or topic != of:
                queue, of = self.records_publisher.queue(topic, partition), topic
                queues.add(queue)
            queue.add(key, value, timestamp, headers)
        self.published += len(records)

    def _place(self, topic: str, key: bytes) -> PartitionQueue:
        if len(self._places) >= _PLACES:
            self._places.clear()
        queue = self.records_publisher.queue(
            topic, partition_of(key.decode("utf-8", "replace"), self.partitions(topic))
        )
        self._places[topic, key] = queue
        return queue

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has: as declared, or as the broker says."""
        declared = topics().get(topic) or next((one for one in self.agent.declares if one.name == topic), None)
        return declared.partitions if declared is not None else self.publisher.partitions[topic]

    def _effects_of(self, partition: int) -> Effects:
        effects = self._effects.get(partition)
        if effects is None:
            table = self.agent.table
            state = None if table is None else self.publisher.queue(table.topic, partition)
            every = 0.0 if table is None else table.every
            effects = self._effects[partition] = Effects(self.agent.name, partition, state, every, self._on_fenced)
        return effects

    def _publish_rows(self, partition: int, rows: Iterable[StateRow], records: Sequence[Message] = ()) -> None:
        queues: set[PartitionQueue] = set()
        if records:
            self._publish(records, queues, partition if self.agent.keyed_alike else None)
        self._effects_of(partition).touch(rows, queues)

    # -- partitions that come and go -----------------------------------------------------------------------------------

    async def take_over(self, places: Collection[TP], owned: Callable[[], bool]) -> None:
        """Have the broker refuse whatever earlier owners of the tables' partitions still send (``broker.fencing``).

        Raises:
            FencedError: ``owned`` turned false.
            TimeoutError: it takes too long.
        """
        sides = {table.topic for table in self.agent.side_tables}
        # Rows of side tables are the agent's to publish.
        by_publisher: dict[Publisher, list[PartitionQueue]] = {}
        for tp in places:
            publisher = self.records_publisher if tp.topic in sides else self.publisher
            by_publisher.setdefault(publisher, []).append(publisher.queue(tp.topic, tp.partition))
        await asyncio.gather(
            *(publisher.fences.take_over(queues, self.group, owned) for publisher, queues in by_publisher.items())
        )

    def _on_fenced(self) -> None:
        """Rows were refused. The group tells this member that it lost the partition; else it joins again."""
        if not self.fenced:
            self.fenced = self.consumer.abandoned = True
            self._rejoining = asyncio.get_running_loop().call_later(SESSION_SECONDS, self._rejoin)

    def _rejoin(self) -> None:
        self.consumer._thread.rebuild("another member has taken a partition over that the group says is this one's")

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand: all that was handled is confirmed."""
        return (self._working is None or self._working.done()) and all(e.idle for e in self._effects.values())

    @property
    def an_owner(self) -> bool:
        """Whether what is in hand can still be finished: the partitions are this member's, as far as it knows."""
        return self.lease.valid and not self.fenced

    def hurry(self) -> None:
        """Partitions are about to leave: do not wait for the next beat."""
        for effects in self._effects.values():
            effects.hurry()

    async def abandon(self) -> None:
        """Give up everything in hand, at once: none of it is published or stored any more."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        for effects in self._effects.values():
            effects.cancel()
        self._effects.clear()
        self._unpublished.clear()
        for publisher in {self.records_publisher, self.publisher}:
            publisher.abandon()
        self.agent.revoked()

    async def _revoked(self, *_args: Any, **_kwargs: Any) -> None:
        self._forget()

    def _forget(self) -> None:
        self.fenced = False
        if self._rejoining is not None:
            self._rejoining.cancel()
            self._rejoining = None
        for partition, effects in self._effects.items():
            if effects.rows:
                self._unpublished[partition] = set(effects.rows)
            effects.cancel()
        self._effects.clear()
        self.current.clear()
        self.done.clear()
        self.agent.revoked()

    async def _assigned(self, *_args: Any, **_kwargs: Any) -> None:
        self.rebalances += 1
        self.assigned_at = time.monotonic()
        consumer = self.consumer
        consumer.on_log_replaced = self.log_replaced
        table = self.agent.table
        for partition, rows in self._unpublished.items():
            held = {} if table is None else table.held.get(partition, {})
            mine = [row for row in rows if held.get(row.key.decode("utf-8", "replace")) is row]
            if mine:
                self._publish_rows(partition, mine)
        self._unpublished.clear()
        await self.agent.assigned()

    async def lost(self, partition: int, expected: int, chunk: Chunk) -> None:
        """Announce records that the log lost before they were read."""
        rows = losses.rows_of([table.held for table in self._tables], partition)
        await losses.tell(self.events, self.losses, expected, chunk, rows)

    def log_replaced(self, topic: str, before: LogId | None, now: LogId) -> None:
        """Say in band that a topic is read from its start, since another log stands behind its name."""
        was = "another" if before is None else f"log {before.topic} of cluster {before.cluster}"
        reason = f"{topic} was {was} and is log {now.topic} of cluster {now.cluster}, which is read from its start"
        log.error("%s", reason)
        self.logs_replaced += 1
        self.events.say("log_replaced", reason)

    # -- what is known of it -------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the app has a consumer."""
        return self.app._consumer is not None

    @property
    def consumer(self) -> BatchConsumer:
        """The app's consumer, once it is running."""
        return cast("BatchConsumer", self.app.consumer)

    @property
    def recovered(self) -> bool:
        """Whether the partitions are assigned and their tables are whole."""
        return bool(self.app.tables.actives_ready) and not self.app.rebalancing

    def _committed(self, partition: int) -> int | None:
        return self.consumer._committed_offset.get(TP(self.agent.input, partition))

    def lag(self, ends: Mapping[tuple[str, int], int]) -> dict[str, int]:
        """Records between the last confirmed commit and the end of the log, by partition.

        Args:
            ends: what the brokers told, besides what fetching itself brings.
        """
        if not self.running:
            return {}
        consumer = self.consumer
        lag: dict[str, int] = {}
        for tp in list(consumer.expected):
            fetched = cast("int | None", consumer.highwater(tp))
            told = ends.get((tp.topic, tp.partition))
            # What fetching brought is newer, as long as it brings anything.
            end = fetched if told is None or fetched is None else max(fetched, told)
            committed = consumer._committed_offset.get(tp)
            if end is not None and committed is not None:
                lag[str(tp.partition)] = max(0, end - committed)
        return lag

    def keep_current(self, ends: Mapping[tuple[str, int], int], asked: float) -> None:
        """Note which partitions hold, and have confirmed, all that their logs held when the brokers were asked."""
        for tp, at in list(self.consumer.expected.items()) if self.running else ():
            queue, end = self.consumer.queues.get(tp), ends.get((tp.topic, tp.partition))
            if end is None:
                continue
            whole = end <= at and (queue is None or not queue.waiting)
            if whole:
                self.current[tp.partition] = max(self.current.get(tp.partition, 0.0), asked)
            if whole or end <= (self.consumer._committed_offset.get(tp) or 0):
                self.done[tp.partition] = asked

    def status(self, ends: Mapping[tuple[str, int], int]) -> dict[str, Any]:
        """Counters since the start."""
        lag = self.lag(ends)
        return {
            "group": self.group,
            "input": self.agent.input,
            "recovered": self.recovered,
            "handled": self.handled,
            "chunks": self.chunks,
            "published": self.published,
            "dead_letters": self.dead_letters.count,
            "lost_to_retention": self.consumer.lost_to_retention if self.running else 0,
            "logs_replaced": self.logs_replaced,
            "clients_rebuilt": self.consumer._thread.rebuilt if self.running else 0,
            "lease_lapses": self.lease.lapses,
            "lag": lag,
            "lag_total": sum(lag.values()),
            **self.agent.status(),
        }

    def complaints(self) -> dict[str, str]:
        """What is wrong, besides what the watchdog sees."""
        found: dict[str, str] = {}
        if not self.recovered:
            found["recovery"] = "partitions are being assigned or recovered"
        elif not self.lease.valid:
            found["lease"] = "no heartbeat of the consumer group was confirmed for its session's time-out"
        if self.losses.complaint is not None:
            found["retention"] = self.losses.complaint
        with contextlib.suppress(RuntimeError):  # an agent's tables may change size meanwhile
            found.update(self.agent.complaints())
        return found

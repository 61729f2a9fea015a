"""One worker process: the app, its agents, its store, its watchdog."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from faust import Worker as FaustWorker
from faust.types import TP

from broker.chunk import Chunk
from broker.probe import Found, LogId, Probe
from broker.publisher import DeliveryError, Publisher
from jobs import in_force
from jobs.changes import Changes
from jobs.marks import QUIET_SECONDS
from jobs.snapshots import Snapshots
from jobs.thresholds import Thresholds
from processors import losses
from processors.agents import AGENTS, ChangesAgent, DeadLetterBox, SnapshotsAgent, StorageAgent, attach
from processors.app import StreamApp, make_app
from processors.following import Follower
from processors.gaps import GapMarks
from processors.logs import LogWatch, Unfetched
from processors.peers import announced, check_own
from processors.storage import StorageWriter
from processors.stores.apart import StoreApart
from processors.telling import Teller
from processors.thresholds import RunTimeThresholds
from processors.transport.consumer import BatchConsumer
from processors.transport.tables import StateTable
from processors.watchdog import Check, Watchdog
from processors.web import Routes
from schemas import UsageError
from schemas.topics import (
    DEAD_LETTERS,
    FEED_EVENTS,
    PRICE_CHANGES,
    PRICE_CHANGES_STATE,
    SNAPSHOTS,
    THRESHOLD_MARKS,
    THRESHOLDS,
    TICKS,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker is told.

    Attributes:
        agents: some of ``AGENTS``.
        web_url: where other workers reach this one.
        web_hosts: further names that its HTTP is asked by.
        peer_secret: what the workers of the group share.
    """

    bootstrap: str
    agents: tuple[str, ...]
    store: str
    thresholds: Thresholds
    web_host: str
    web_port: int
    web_url: str
    web_hosts: tuple[str, ...] = ()
    peer_secret: str | None = field(default=None, repr=False)


def parse_agents(text: str) -> tuple[str, ...]:
    """Agents from a comma string, in their fixed order.

    Raises:
        UsageError: none, or one that does not exist.
    """
    named = {name.strip() for name in text.split(",") if name.strip()}
    unknown = named - set(AGENTS)
    if unknown or not named:
        what = f"no agent is called {min(unknown)!r}" if unknown else "no agent is named"
        raise UsageError(f"{what}: --agents takes {', '.join(AGENTS)}")
    return tuple(name for name in AGENTS if name in named)


class Worker:
    """Builds the parts and starts and stops them with the Faust app."""

    def __init__(self, options: WorkerOptions) -> None:
        """Nothing connects before ``run``."""
        check_own(options.web_url)
        self.options = options
        self.group = "-".join(("ashare", *options.agents))
        self.app: StreamApp = make_app(
            options.bootstrap,
            self.group,
            web_host=options.web_host,
            web_port=options.web_port,
            web_url=announced(options.web_url, options.peer_secret),
        )
        self.handled = self.chunks = 0
        self._beat = time.monotonic()
        self._beating: asyncio.Task[None] | None = None
        self._agents: list[SnapshotsAgent | ChangesAgent | StorageAgent] = []
        self._tables: list[Any] = []
        self._logs: dict[str, LogId] = {}
        self.logs_replaced = 0
        self.log_watch = LogWatch(Probe(options.bootstrap), [TICKS, FEED_EVENTS, THRESHOLDS], TICKS, self._looked)
        self._unfetched = Unfetched()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._build()
        self.watchdog = Watchdog(self._checks())

    def _build(self) -> None:
        options, app = self.options, self.app
        self.publisher = Publisher(options.bootstrap, client_id=self.group)
        # A client has one request on its way: changes must not wait behind rows.
        self.changes_publisher = Publisher(options.bootstrap, client_id=f"{self.group}-changes")
        self.letters = DeadLetterBox(self.publisher.queue(DEAD_LETTERS, 0), self.group)
        self.teller = Teller(self.publisher, self.group, f"{socket.gethostname()}:{options.web_port}")
        self.losses = losses.Losses(self.group)
        self._repeats_told: dict[str, float] = {}
        self.snapshots_job = Snapshots()
        self.changes_job = Changes(options.thresholds)
        self.writer: StorageWriter | None = None
        self.snapshots: SnapshotsAgent | None = None
        self.changes: ChangesAgent | None = None
        self.thresholds: RunTimeThresholds | None = None
        self.gaps: GapMarks | None = None
        ticks = self._topic(TICKS)
        table = None
        if "snapshots" in options.agents:
            table = app.StateTable(
                "snapshots",
                changelog_topic=self._topic(SNAPSHOTS),
                restore=self.snapshots_job.restore,
                key_type=str,
                rebuild=self.snapshots_job.apply,
            )
            self.snapshots = SnapshotsAgent(table, self.snapshots_job, self.publisher, self.letters)
            self.gaps = GapMarks(
                options.bootstrap,
                self.snapshots_job.missing,
                table,
                self.snapshots.publish,
                group=self.group,
                also=self.losses.take,
            )
            self._attach(ticks, "snapshots", self.snapshots)
        if "storage" in options.agents:
            self.writer = StorageWriter(StoreApart(options.store), lambda error: self.letters.refuse(error, TICKS))
            self._attach(ticks, "storage", StorageAgent(self.writer, self.letters))
        if "changes" in options.agents:
            self.thresholds, self.changes = self._build_changes()
            self._attach(ticks, "changes", self.changes)
        self.events = None if self.gaps else Follower(options.bootstrap, FEED_EVENTS, self.losses.took)
        app.lost = self._lost
        app.install_routes = Routes(
            app,
            table,
            self.health,
            self.status,
            hosts=(options.web_url, options.web_host, *options.web_hosts),
            peer_secret=options.peer_secret,
        ).install
        app.on_partitions_revoked.connect(self._revoked)
        app.on_rebalance_complete.connect(self._assigned)
        app.on_before_shutdown.connect(self._shut_down)

    def _build_changes(self) -> tuple[RunTimeThresholds, ChangesAgent]:
        marks = self.app.StateTable(
            "thresholds", changelog_topic=self._topic(THRESHOLD_MARKS), restore=in_force.restore, key_type=str
        )
        state = self.app.StateTable(
            "changes",
            changelog_topic=self._topic(PRICE_CHANGES_STATE),
            restore=self.changes_job.restore,
            key_type=str,
            rebuild=lambda rows, chunk: self.changes_job.apply(
                rows, chunk, in_force.InForce(self.options.thresholds, chunk.partition, marks.rows(chunk.partition), 0)
            ),
        )
        thresholds = RunTimeThresholds(
            self.options.bootstrap,
            self.options.thresholds,
            marks=marks,
            rows=state,
            publisher=self.changes_publisher,
            committed=lambda partition: self._consumer._committed_offset.get(TP(TICKS, partition)),
        )
        return thresholds, ChangesAgent(
            state,
            self.changes_job,
            self.changes_publisher,
            self.publisher,
            thresholds=thresholds,
            letters=self.letters,
        )

    def _topic(self, name: str) -> Any:
        return self.app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", internal=False
        )

    def _attach(self, topic: Any, name: str, agent: SnapshotsAgent | ChangesAgent | StorageAgent) -> None:
        first = not self._agents
        self._agents.append(agent)

        async def handle(event: Any, chunk: Any) -> None:
            if first:
                self.handled += len(chunk)
                self.chunks += 1
            await agent.handle(event, chunk)

        attach(self.app, topic, name, handle)

    async def _revoked(self, *_args: Any, **_kwargs: Any) -> None:
        for agent in self._agents:
            agent.forget()
        if self.gaps is not None:
            self.gaps.forget()

    async def _assigned(self, *_args: Any, **_kwargs: Any) -> None:
        self._consumer.on_log_replaced = self._log_replaced
        if self.gaps is not None:
            self.gaps.assigned()
        if self.thresholds is not None:
            await self.thresholds.assigned()

    def _check_port(self) -> None:
        """Faust would find the port taken after it joined the group, and end with a traceback."""
        host, port = self.options.web_host, self.options.web_port
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise UsageError(
                    f"--web-port {port} on {host} can't be used: {error.strerror}; give another"
                ) from error

    async def _start(self) -> None:
        self._check_port()
        await self.publisher.start(TICKS, SNAPSHOTS, PRICE_CHANGES, PRICE_CHANGES_STATE, DEAD_LETTERS, FEED_EVENTS)
        if self.thresholds is not None:
            await self.changes_publisher.start(THRESHOLDS, THRESHOLD_MARKS)
            await self.thresholds.start()
        if self.gaps is not None:
            await self.gaps.start()
        if self.events is not None:
            await self.events.start()
        if self.writer is not None:
            await self.writer.start()
        self._beating = asyncio.create_task(self._heartbeat(), name="heartbeat")
        self._loop = asyncio.get_running_loop()
        self.log_watch.start()
        self.watchdog.start()

    async def _shut_down(self, *_args: Any, **_kwargs: Any) -> None:
        self.watchdog.stop()
        self.log_watch.stop()
        if self.gaps is not None:
            await self.gaps.stop()
        if self.events is not None:
            await self.events.stop()
        for agent in self._agents:
            agent.forget()
        if self.writer is not None:
            await self.writer.stop()
        if self.thresholds is not None:
            await self.thresholds.stop()
        if self._beating is not None:
            self._beating.cancel()
        try:
            await self.changes_publisher.stop(10.0)
            await self.publisher.stop(10.0)
        except DeliveryError as error:
            log.error("stopping: %s; what they belong to is not committed and comes again", error)  # noqa: TRY400

    async def _heartbeat(self) -> None:
        while True:
            self._beat = time.monotonic()
            self._tell_of_repeats()
            await asyncio.sleep(0.5)

    async def _lost(self, partition: int, expected: int, chunk: Chunk) -> None:
        """Tell of records that the log lost before they were read."""
        held = [table.partitions_held for table in self.app.tables.data.values() if isinstance(table, StateTable)]
        rows = losses.rows_of(held, partition)
        await losses.tell(self.teller, self.losses, expected, chunk, rows)

    def _tell_of_repeats(self) -> None:
        """Announce what the jobs drop as repeated and what only looks like it, a source once for all jobs."""
        for job in (self.snapshots_job, self.changes_job):
            for dropped in job.repeats.news():
                log.error("%s", dropped)
                if self._beat - self._repeats_told.get(dropped.source, -QUIET_SECONDS) >= QUIET_SECONDS:
                    self._repeats_told = {
                        source: at for source, at in self._repeats_told.items() if self._beat - at < QUIET_SECONDS
                    } | {dropped.source: self._beat}
                    self.teller.say("repeats", str(dropped), count=dropped.count)

    # -- which logs are read -------------------------------------------------------------------------------------------

    def _looked(self, found: Found) -> None:
        """The brokers told, in the log watch's thread, which logs there are."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._compare, dict(found.logs))

    def _compare(self, found: dict[str, LogId]) -> None:
        """Have what is read of another log than the one that is there read anew."""
        now = found.pop(TICKS, None)
        # Partitions that are being assigned are about to be read from the right place.
        if now is not None and self._running and self.recovered:
            client = self._consumer._thread
            if client.logs.get(TICKS, now) != now:
                client.rebuild(f"{TICKS} is another log than the one that is read")
        for topic, log_id in found.items():
            before = self._logs.setdefault(topic, log_id)
            if before == log_id:
                continue
            self._logs[topic] = log_id
            self._log_replaced(topic, before, log_id)
            if topic == FEED_EVENTS and self.gaps is not None:
                self.gaps.reread()
            if topic == FEED_EVENTS and self.events is not None:
                self.events.reread()
            if topic == THRESHOLDS and self.thresholds is not None:
                self.thresholds.reread()

    def _log_replaced(self, topic: str, before: LogId | None, now: LogId) -> None:
        """Say in band that a topic is read from its start, since another log stands behind its name."""
        self.logs_replaced += 1
        was = "another" if before is None else f"log {before.topic} of cluster {before.cluster}"
        reason = f"{topic} was {was} and is log {now.topic} of cluster {now.cluster}, which is read from its start"
        log.error("%s", reason)
        self.teller.say("log_replaced", reason)

    # -- what is told of it --------------------------------------------------------------------------------------------

    @property
    def recovered(self) -> bool:
        """Whether the partitions are assigned and their tables are whole."""
        return bool(self.app.tables.actives_ready) and not self.app.rebalancing

    def health(self) -> dict[str, Any]:
        """``status`` is "ok", or else why not."""
        complaints = dict(self.watchdog.complaints)
        if not self.recovered:
            complaints["recovery"] = "partitions are being assigned or recovered"
        if self.writer is not None and self.writer.failing:
            complaints["store"] = self.writer.failing
        dropped = {one.source: one for job in (self.snapshots_job, self.changes_job) for one in job.repeats.many()}
        if dropped:
            complaints["repeats"] = "; ".join(str(one) for one in list(dropped.values())[:3])
        if self.losses.complaint is not None:
            complaints["retention"] = self.losses.complaint
        rooms = (self.snapshots_job.room, self.changes_job.room)
        if refused := max(room.refused for room in rooms):
            last = next(room.last for room in rooms if room.refused)
            complaints["codes"] = (
                f"{refused:,} ticks are of codes that have neither snapshot nor changes, as there are too many (now"
                f" {last[:64]!r}): look what writes them, and restart the worker"
            )
        return {"status": "failing" if complaints else "ok", "complaints": complaints, "group": self.group}

    def status(self) -> dict[str, Any]:
        """Counters since the start."""
        lag = self._lag()
        return {
            "agents": list(self.options.agents),
            "group": self.group,
            "recovered": self.recovered,
            "ticks": self.handled,
            "chunks": self.chunks,
            "stored": self.writer.stored if self.writer else 0,
            "changes": self.changes.emitted if self.changes else 0,
            "snapshots": sum(len(rows) for rows in self._snapshot_rows().values()),
            "repeated": max(self.snapshots_job.repeated, self.changes_job.repeated),
            "suspicious": max(self.snapshots_job.repeats.suspicious, self.changes_job.repeats.suspicious),
            "late": self.snapshots_job.late,
            "refused": max(self.snapshots_job.room.refused, self.changes_job.room.refused),
            "thresholds": dict(self.thresholds.in_force) if self.thresholds else {},
            "thresholds_run_time": sorted(self.thresholds.run_time) if self.thresholds else [],
            "dead_letters": self.letters.buried,
            "lost_to_retention": self._consumer.lost_to_retention if self._running else 0,
            "logs_replaced": self.logs_replaced,
            "clients_rebuilt": self._consumer._thread.rebuilt if self._running else 0,
            "lag": lag,
            "lag_total": sum(lag.values()),
        }

    def _snapshot_rows(self) -> dict[int, dict[str, Any]]:
        table = self.app.tables.data.get("snapshots")
        return table.partitions_held if isinstance(table, StateTable) else {}

    @property
    def _running(self) -> bool:
        return self.app._consumer is not None

    @property
    def _consumer(self) -> BatchConsumer:
        return cast("BatchConsumer", self.app.consumer)

    def _lag(self) -> dict[str, int]:
        """Records between the last confirmed commit and the end of the log, by partition."""
        if not self._running:
            return {}
        consumer = self._consumer
        ends = self.log_watch.ends(time.monotonic())
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

    # -- what is watched -----------------------------------------------------------------------------------------------

    def _checks(self) -> dict[str, tuple[Check, float]]:
        return {
            "event loop": (self._check_loop, 30.0),
            "rebalance": (self._check_rebalance, 300.0),
            "coordinator": (self._check_coordinator, 60.0),
            "progress": (self._check_progress, 120.0),
            "fetch": (self._check_fetch, 60.0),
            # A broker that is away is tried again in place; nothing is lost by waiting.
            "broker": (self.log_watch.silence, math.inf),
            "commit": (self._check_commit, 120.0),
        }

    def _check_loop(self, now: float) -> str | None:
        late = now - self._beat
        return f"blocked for {late:.0f} s" if late > 5 else None

    def _check_rebalance(self, _now: float) -> str | None:
        return None if self.recovered else "partitions are being assigned or recovered"

    def _check_coordinator(self, _now: float) -> str | None:
        consumer = self._consumer._thread._consumer if self._running else None
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None:
            return None
        task = getattr(coordinator, "_coordination_task", None)
        if task is not None and task.done() and not self.app.should_stop:
            return "the group coordination task has ended"
        return None

    def _check_progress(self, now: float) -> str | None:
        if not self._running or not self.recovered:
            return None
        # Chunks wait for a store that is away, as long as it is asked again and again; no other agent may wait for it.
        spared = 1 if self.writer is not None and self.writer.retrying(now) else 0
        queues = list(self._consumer.queues.values())
        oldest = min((t for queue in queues if (t := queue.oldest_of(spared)) is not None), default=None)
        if oldest is not None and now - oldest > 10:
            return f"a chunk is in hand for {now - oldest:.0f} s"
        return None

    def _check_fetch(self, now: float) -> str | None:
        if not self._running or not self.recovered:
            self._unfetched.look({}, {}, now)  # what waits meanwhile waits for the partitions to be taken up
            return None
        consumer = self._consumer
        # Streams that are full hold every partition back, and what they hold is in hand: that is progress's to watch.
        held = bool(consumer._buffered_partitions)
        fetched = {} if held else consumer._thread.positions()
        places = {
            tp: fetched.get(tp, at)
            for tp, at in list(consumer.expected.items())
            if not held and not _waits(consumer, tp)
        }
        stuck = self._unfetched.look(places, self.log_watch.ends(now), now)
        if stuck is not None and self._loop is not None and self._unfetched.first_time():
            self._loop.call_soon_threadsafe(consumer._thread.rebuild, f"fetching is stuck: {stuck}")
        return stuck

    def _check_commit(self, now: float) -> str | None:
        if not self._running or not self.recovered:
            return None
        consumer = self._consumer
        for tp, queue in list(consumer.queues.items()):
            committed = consumer._committed_offset.get(tp)
            age = now - consumer.confirmed.get(tp, now)
            if queue.committable is not None and (committed or 0) < queue.committable and age > 15:
                return (
                    f"{tp.topic}/{tp.partition}: done up to {queue.committable}, committed {committed} for {age:.0f} s"
                )
        return None

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until SIGTERM or SIGINT.

        Returns:
            The exit code: 0 after a clean stop.

        Raises:
            UsageError: no broker, missing topics, a store that can't be used, a port in use.
        """
        # Next to nothing here is garbage in cycles, and what is held of a market is long to look through.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        # The policy, for whatever loop Faust makes by itself.
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        worker = FaustWorker(
            self.app,
            loop=loop,
            loglevel=logging.INFO,
            quiet=True,
            stdout=sys.stderr,
            redirect_stdouts=False,
            override_logging=False,
        )
        worker.spinner = None
        loop.run_until_complete(self._start())
        try:
            worker.execute_from_commandline()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0


def _waits(consumer: BatchConsumer, tp: TP) -> bool:
    """Whether a chunk of the partition is in hand."""
    queue = consumer.queues.get(tp)
    return queue is not None and queue.waiting > 0

"""The composition of a worker process: its agents, each with a runner, and what they share."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections import Counter
from typing import Any

from broker.exposition import Exposition
from broker.probe import Found, LogId, Probe
from broker.shared import SharedBatches
from instruments.following import Following
from processors.agents.snapshots import SnapshotsAgent
from processors.feed_events import FeedEvents
from processors.http.metrics import METRICS, WorkerMetrics
from processors.http.peers import announced, check_own
from processors.http.routes import Routes
from processors.http.server import WebServer
from processors.options import WorkerOptions, make_agents
from processors.streaming.checks import AgentChecks
from processors.streaming.logs import LogWatch
from processors.streaming.membership import instance_id
from processors.streaming.runner import AgentRunner
from processors.streaming.watchdog import Watchdog
from schemas.topics import FEED_EVENTS

BLOCKED_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class Parts:
    """What one worker process is made of."""

    def __init__(self, options: WorkerOptions) -> None:
        """Nothing connects or listens yet.

        Raises:
            UsageError: an agent can't be made, or ``web_url`` is not an address that other workers can ask.
        """
        check_own(options.web_url)
        agents = make_agents(options)
        member = instance_id(options.group_instance_id, options.web_port)
        address = announced(options.web_url, options.peer_secret)
        place = f"{socket.gethostname()}:{options.web_port}"
        names = [agent.name for agent in agents]
        reading = Counter(agent.input for agent in agents)
        shared = {topic: SharedBatches(readers) for topic, readers in reading.items() if readers > 1}
        self.runners = [
            AgentRunner(
                agent,
                options.bootstrap,
                address=address,
                place=place,
                member=member,
                beside=names,
                shared=shared.get(agent.input),
            )
            for agent in agents
        ]
        takers = [take for runner in self.runners for take in (runner.losses.take, runner.agent.feed_event)]
        self.feed_events = FeedEvents(options.bootstrap, takers)
        inputs = list(reading)
        followed = dict.fromkeys((FEED_EVENTS, *(name for agent in agents for name in agent.requires)))
        self.logs = LogWatch(Probe(options.bootstrap), [*inputs, *followed], inputs, self._found)
        self._checks_of: dict[str, dict[str, str]] = {}
        self.watchdog = Watchdog(self._checks())
        snapshots = next((runner for runner in self.runners if isinstance(runner.agent, SnapshotsAgent)), None)
        self.instruments = None if snapshots is None else Following(options.bootstrap)
        routes = Routes(
            snapshots,
            self.health,
            self.status,
            hosts=(options.web_url, options.web_host, *options.web_hosts),
            peer_secret=options.peer_secret,
            exposition=Exposition(METRICS, WorkerMetrics(self.runners, self.health, self.status).read),
            known=None if self.instruments is None else self.instruments.known,
        )
        self.server = WebServer(options.web_host, options.web_port, routes.install)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._followed = set(followed)
        self._log_ids: dict[str, LogId] = {}
        self._beat = time.monotonic()

    def _checks(self) -> dict[str, Any]:
        checks: dict[str, Any] = {
            "event loop": (self._check_loop, 30.0),
            # A broker that is away is tried again in place; nothing is lost by waiting.
            "broker": (self.logs.silence, math.inf),
        }
        for runner in self.runners:
            of_agent = AgentChecks(runner, self.logs).all()
            self._checks_of[runner.agent.name] = {f"{runner.agent.name}: {what}": what for what in of_agent}
            checks |= {f"{runner.agent.name}: {what}": check for what, check in of_agent.items()}
        return checks

    def _check_loop(self, now: float) -> str | None:
        late = now - self._beat
        return f"blocked for {late:.0f} s" if late > BLOCKED_SECONDS else None

    async def look(self) -> None:
        """Until it is cancelled: show that the loop runs, and have the agents look after themselves."""
        while True:
            self._beat = time.monotonic()
            ends = self.logs.ends(self._beat)
            for runner in self.runners:
                runner.agent.look()
                runner.keep_current(ends, self.logs.asked)
            await asyncio.sleep(_LOOK_SECONDS)

    # -- which logs are read -------------------------------------------------------------------------------------------

    def _found(self, found: Found) -> None:
        """The brokers told, in the log watch's thread, which logs there are."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._compare, dict(found.logs))

    def _compare(self, found: dict[str, LogId]) -> None:
        """Have what is read of another log than the one that is there read anew."""
        for runner in self.runners:
            now = found.get(runner.agent.input)
            # Partitions that are being assigned are about to be read from the right place.
            if now is not None and runner.running and runner.recovered:
                client = runner.consumer._thread
                if client.logs.get(runner.agent.input, now) != now:
                    client.rebuild(f"{runner.agent.input} is another log than the one that is read")
        for topic in self._followed & found.keys():
            before = self._log_ids.setdefault(topic, found[topic])
            if before == found[topic]:
                continue
            self._log_ids[topic] = found[topic]
            concerned = [r for r in self.runners if topic == FEED_EVENTS or topic in r.agent.requires]
            concerned[0].log_replaced(topic, before, found[topic])
            if topic == FEED_EVENTS:
                self.feed_events.reread()
            for runner in concerned:
                runner.agent.log_replaced(topic)

    # -- what is told of it --------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """``status`` is "ok", or else why not; by agent as well."""
        watched = dict(self.watchdog.complaints)
        agents: dict[str, Any] = {}
        for runner in self.runners:
            name = runner.agent.name
            checks = self._checks_of[name]
            own = {what: watched.pop(check) for check, what in checks.items() if check in watched}
            own |= runner.complaints()
            agents[name] = {"status": "failing" if own else "ok", "complaints": own, "group": runner.group}
        complaints = watched
        for name, agent in agents.items():
            complaints |= {f"{name}: {what}": why for what, why in agent["complaints"].items()}
        return {"status": "failing" if complaints else "ok", "complaints": complaints, "agents": agents}

    def status(self) -> dict[str, Any]:
        """Counters since the start: of the process, and by agent."""
        ends = self.logs.ends(time.monotonic())
        agents = {runner.agent.name: runner.status(ends) for runner in self.runners}
        lag: dict[str, int] = {}
        for agent in agents.values():
            for partition, behind in agent["lag"].items():
                lag[partition] = max(lag.get(partition, 0), behind)
        every = agents.values()
        return {
            "agents": agents,
            "groups": [agent["group"] for agent in every],
            "recovered": all(agent["recovered"] for agent in every),
            "ticks": max(agent["handled"] for agent in every),
            "chunks": max(agent["chunks"] for agent in every),
            "stored": sum(agent.get("stored", 0) for agent in every),
            "changes": sum(agent.get("changes", 0) for agent in every),
            "snapshots": sum(agent.get("snapshots", 0) for agent in every),
            "repeated": max(agent.get("repeated", 0) for agent in every),
            "suspicious": max(agent.get("suspicious", 0) for agent in every),
            "late": max(agent.get("late", 0) for agent in every),
            "refused": max(agent.get("refused", 0) for agent in every),
            "thresholds": agents.get("changes", {}).get("thresholds", {}),
            "thresholds_run_time": agents.get("changes", {}).get("thresholds_run_time", []),
            "dead_letters": sum(agent["dead_letters"] for agent in every),
            "lost_to_retention": sum(agent["lost_to_retention"] for agent in every),
            "logs_replaced": sum(agent["logs_replaced"] for agent in every),
            "clients_rebuilt": sum(agent["clients_rebuilt"] for agent in every),
            "lag": lag,
            "lag_total": sum(lag.values()),
        }

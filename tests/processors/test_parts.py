"""What a worker process is made of, and what it tells of its agents: one that fails is named, the others are well."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from broker.http_access import LOOPBACK
from broker.probe import Found, LogId
from jobs.thresholds import parse_overrides
from processors.agents.snapshots import SnapshotsAgent
from processors.agents.storage import StorageAgent
from processors.app import Parts
from processors.options import AGENTS, WorkerOptions
from processors.streaming.agent import Agent
from processors.streaming.checks import AgentChecks
from processors.streaming.offsets import Delivery, OffsetQueue
from processors.streaming.runner import AgentRunner
from schemas.topics import FEED_EVENTS, PRICE_CHANGES, THRESHOLDS, TICKS
from tests.jobs.chunks import chunk, tick


def options(*agents: str) -> WorkerOptions:
    """Of a worker that connects nowhere."""
    return WorkerOptions(
        "127.0.0.1:9",
        agents or AGENTS,
        "sqlite:///nowhere",
        parse_overrides("0.01", ""),
        LOOPBACK,
        1,
        "http://127.0.0.1:1",
    )


@pytest.fixture
async def parts() -> Parts:
    """With all agents; nothing runs."""
    return Parts(options())


def joined(runner: AgentRunner, **more: Any) -> Any:
    """Have a runner's app have a consumer, partitions, and a lease."""
    consumer = SimpleNamespace(
        _committed_offset={},
        _buffered_partitions=set(),
        queues={},
        expected={},
        confirmed={},
        lost_to_retention=0,
        highwater=lambda _: None,
        loop=asyncio.get_running_loop(),
        _thread=SimpleNamespace(rebuilt=0, logs={}, positions=dict, asked=[]),
    )
    consumer._thread.rebuild = consumer._thread.asked.append
    vars(consumer).update(more)
    app = cast("Any", runner.app)
    app._consumer = consumer
    app.tables.actives_ready = True
    app.rebalancing = False
    runner.lease.renew(runner.lease._now())
    return consumer


async def test_each_agent_is_a_consumer_group_of_its_own(parts: Parts) -> None:
    """Whatever else runs in the process."""
    assert [runner.group for runner in parts.runners] == [f"ashare-{name}" for name in AGENTS]
    assert [cast("Any", runner.app).conf.id for runner in parts.runners] == [f"ashare-{name}" for name in AGENTS]
    (alone,) = Parts(options("changes")).runners
    assert alone.group == "ashare-changes"


async def test_a_worker_that_has_not_begun_says_so_of_each_agent(parts: Parts) -> None:
    """Its web server answers before any agent runs."""
    health = parts.health()
    assert health["status"] == "failing"
    assert health["agents"].keys() == set(AGENTS)
    assert health["complaints"] == {
        f"{name}: recovery": "partitions are being assigned or recovered" for name in AGENTS
    }
    status = parts.status()
    assert not status["recovered"]
    assert status["groups"] == [f"ashare-{name}" for name in AGENTS]
    assert (status["ticks"], status["lag"], status["lag_total"]) == (0, {}, 0)
    assert status["agents"]["storage"]["stored"] == 0


async def test_an_agent_that_fails_is_named_and_the_others_are_well(parts: Parts) -> None:
    """By what the watchdog sees, what the agent says, and its lease; what is of the process is under no agent."""
    for runner in parts.runners:
        joined(runner)
    assert parts.health()["status"] == "ok"
    snapshots, storage, changes, bars = parts.runners
    cast("StorageAgent", storage.agent).writer = cast("Any", SimpleNamespace(failing="disk full", stored=0))
    changes.lease._renewed = bars.lease._renewed = 0.0
    parts.watchdog.complaints = {"event loop": "blocked for 7 s", "snapshots: commit": "not committed for 20 s"}
    health, leases = parts.health(), ("changes: lease", "bars: lease")
    assert health["status"] == "failing"
    assert health["complaints"].keys() == {"event loop", "snapshots: commit", "storage: store", *leases}
    assert {name: agent["status"] for name, agent in health["agents"].items()} == dict.fromkeys(AGENTS, "failing")
    assert health["agents"]["storage"]["complaints"] == {"store": "disk full"}
    assert health["agents"]["snapshots"]["complaints"] == {"commit": "not committed for 20 s"}
    parts.watchdog.complaints = {}
    assert {name for name, agent in parts.health()["agents"].items() if agent["status"] == "ok"} == {"snapshots"}
    assert isinstance(snapshots.agent, SnapshotsAgent)


async def test_the_lag_of_a_worker_is_that_of_its_slowest_agent(parts: Parts) -> None:
    """Each agent has its own place in each partition."""
    ends = {TP(TICKS, 1): 100, TP(TICKS, 2): 50}
    for runner, committed in zip(parts.runners, (100, 40, 90, 100), strict=True):
        joined(
            runner,
            expected=dict.fromkeys(ends, 0),
            _committed_offset={TP(TICKS, 1): committed, TP(TICKS, 2): 50},
            highwater=ends.get,
        )
        runner.handled = committed
    status = parts.status()
    assert status["lag"] == {"1": 60, "2": 0}
    assert status["lag_total"] == 60
    assert {name: agent["lag_total"] for name, agent in status["agents"].items()} == {
        "snapshots": 0,
        "storage": 60,
        "changes": 10,
        "bars": 0,
    }
    assert status["recovered"]


async def test_another_log_behind_a_topics_name_concerns_those_who_read_it(parts: Parts) -> None:
    """The ticks' makes each client anew; thresholds are the changes agent's; feed events are read for all."""
    told: list[tuple[str, str]] = []
    reread: list[bool] = []
    for runner in parts.runners:
        consumer = joined(runner)
        consumer._thread.logs = {TICKS: LogId("c", "1")}
        name = runner.agent.name
        cast("Any", runner.agent).log_replaced = lambda topic, name=name: told.append((name, topic))
        runner.events.say = lambda *_, **__: None  # type: ignore[method-assign]
    parts.feed_events.reread = lambda: reread.append(True)  # type: ignore[method-assign]
    topics = (TICKS, FEED_EVENTS, THRESHOLDS)
    parts._compare({topic: LogId("c", "1") for topic in topics})
    assert (told, reread) == ([], [])
    parts._compare({topic: LogId("c", "2") for topic in topics})
    assert all(cast("Any", runner.consumer)._thread.asked for runner in parts.runners)
    assert ("changes", THRESHOLDS) in told
    assert {topic for name, topic in told if name in {"snapshots", "bars"}} == {FEED_EVENTS}
    assert reread == [True]
    assert sum(runner.logs_replaced for runner in parts.runners) == 2
    parts._compare({topic: LogId("c", "2") for topic in topics})
    assert len(reread) == 1
    parts._found(Found("c", {}, {}))  # before it runs, there is no loop to tell


class Waiting(Agent):
    """An agent that may wait for something."""

    name = "waiting"
    outputs = (PRICE_CHANGES,)
    excused = False

    def waits(self, now: float) -> bool:
        """As told."""
        return self.excused and now > 0


@pytest.fixture
async def checked() -> tuple[AgentRunner, AgentChecks, Any]:
    """An agent's runner with a consumer, and its checks; the logs end where a test says."""
    runner = AgentRunner(Waiting(), "127.0.0.1:9", address="http://127.0.0.1:1", place="host:1", member="host-1")
    logs = SimpleNamespace(ends=lambda _: {})
    return runner, AgentChecks(runner, cast("Any", logs)), logs


def in_hand(consumer: Any, since: float) -> Delivery:
    """A chunk that was fetched then."""
    queue = consumer.queues.setdefault(TP(TICKS, 1), OffsetQueue())
    return Delivery(chunk([tick(1, 10.0)], partition=1), queue, since)


async def test_a_chunk_in_hand_for_too_long_is_a_complaint_unless_the_agent_waits(checked: Any) -> None:
    """A store that is away is retried in place; nothing else excuses it."""
    runner, checks, _ = checked
    assert checks.progress(100.0) is None
    delivery = in_hand(joined(runner), 100.0)
    assert checks.progress(109.0) is None
    assert checks.progress(120.0) == "a chunk is in hand for 20 s"
    runner.agent.excused = True
    assert checks.progress(120.0) is None
    runner.agent.excused = False
    delivery.ack()
    assert checks.progress(120.0) is None


async def test_work_that_is_done_and_not_committed_is_a_complaint(checked: Any) -> None:
    """For as long as no commit is confirmed."""
    runner, checks, _ = checked
    consumer = joined(runner, confirmed={TP(TICKS, 1): 100.0})
    in_hand(consumer, 100.0).ack()
    assert checks.commit(110.0) is None
    assert checks.commit(120.0) == f"{TICKS}/1: done up to 1, committed None for 20 s"
    consumer._committed_offset = {TP(TICKS, 1): 1}
    assert checks.commit(120.0) is None


async def test_records_that_nothing_fetches_are_a_complaint_and_a_new_client_is_tried_first(checked: Any) -> None:
    """Not while chunks of the partition are in hand, streams are full, or partitions are assigned."""
    runner, checks, logs = checked
    place = TP(TICKS, 1)
    logs.ends = lambda _: {place: 10}
    assert checks.fetch(0.0) is None
    consumer = joined(runner, expected={place: 7})
    assert checks.fetch(0.0) is None
    consumer._buffered_partitions = {place}
    assert checks.fetch(100.0) is None
    consumer._buffered_partitions = set()
    delivery = in_hand(consumer, 0.0)
    assert checks.fetch(200.0) is None
    delivery.ack()
    assert checks.fetch(300.0) is None
    assert "nothing has come behind 7" in str(checks.fetch(320.0))
    await asyncio.sleep(0)
    assert len(consumer._thread.asked) == 1
    checks.fetch(321.0)
    await asyncio.sleep(0)
    assert len(consumer._thread.asked) == 1, "a second new client would not help"


async def test_each_agent_is_checked(checked: Any) -> None:
    """Before its partitions are its own, one check says so; the others have nothing to look at."""
    _, checks, _ = checked
    assert checks.all().keys() == {"rebalance", "coordinator", "progress", "fetch", "commit"}
    assert checks.rebalance(0.0) == "partitions are being assigned or recovered"

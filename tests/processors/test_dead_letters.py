"""Records that can't be worked on: each is a dead letter once, whichever agents read it, in whichever processes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

import pytest

from broker import groups
from broker.chunk import Chunk
from processors.options import AGENTS
from processors.streaming import dead_letters
from processors.streaming.dead_letters import DeadLetters, Responsibility, before
from schemas import UsageError
from schemas import dead_letters as letters
from tests.jobs.chunks import chunk, tick


class Groups:
    """Which agents run anywhere, as the broker tells it."""

    def __init__(self, running: Collection[str] = ()) -> None:
        """These have members; nobody has asked."""
        self.running = set(running)
        self.asked: list[list[str]] = []
        self.away = False

    async def members(self, _bootstrap: str, names: Iterable[str]) -> dict[str, int]:
        """As ``broker.groups.members``."""
        wanted = list(names)
        self.asked.append(wanted)
        if self.away:
            raise UsageError("no Kafka broker answers")
        return {name: int(name.removeprefix("ashare-") in self.running) for name in wanted}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Stands where a broker tells of groups."""
    made = Groups()
    monkeypatch.setattr(groups, "members", made.members)
    return made


class PartitionQueue:
    """Notes the letters."""

    def __init__(self) -> None:
        """None yet."""
        self.values: list[bytes] = []
        self.timestamps: list[int] = []

    def add(self, _key: bytes | None, value: bytes | None, timestamp: int, headers: Any = ()) -> None:
        """As a publisher's queue."""
        self.values.append(letters.from_kafka(value or b"", headers).payload if headers else value or b"")
        self.timestamps.append(timestamp)


def way(agent: str, beside: Collection[str]) -> tuple[DeadLetters, PartitionQueue]:
    """An agent's way to the dead letters, in a process with these agents."""
    queue = PartitionQueue()
    return DeadLetters(cast("Any", queue), f"ashare-{agent}", Responsibility("nowhere", agent, beside)), queue


def spoilt() -> Chunk:
    """Two of four records are not usable."""
    return chunk([tick(1, 10.0), b"hello", tick(2, 10.0), b"{}"])


PROCESSES = [
    ["snapshots,storage,changes"],
    ["snapshots", "storage", "changes"],
    ["snapshots,changes", "storage"],
    ["storage,changes"],
    ["changes"],
    ["snapshots,storage,changes", "changes"],
    ["changes,alerts", "movers"],
    ["alerts", "movers"],
    ["alerts"],
]


@pytest.mark.parametrize("processes", PROCESSES, ids="|".join)
async def test_each_record_is_a_letter_once_whoever_reads_it(known: Groups, processes: list[str]) -> None:
    """Of all agents that run, one of a name publishes it: the others know."""
    known.running = {agent for process in processes for agent in process.split(",")}
    seen: dict[str, int] = {}
    for process in processes:
        agents = process.split(",")
        for agent in agents:
            made, queue = way(agent, agents)
            taken = await made.take(spoilt(), spoilt().bad)
            assert taken == bool(queue.values)
            seen[agent] = max(seen.get(agent, 0), len(queue.values))
            assert made.count == len(queue.values)
    mine = [agent for agent, count in seen.items() if count]
    if known.running & set(AGENTS):
        assert len(mine) == 1
        assert mine[0] == next(agent for agent in AGENTS if agent in known.running)
    assert mine, "a record is never a letter of nobody"
    assert all(seen[agent] == 2 for agent in mine)


async def test_an_agent_that_ends_leaves_its_letters_to_the_next(
    known: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broker told counts for a while; then it is asked again. Who comes back takes them again."""
    now = [1_000.0]
    monkeypatch.setattr("processors.streaming.dead_letters.time.monotonic", lambda: now[0])
    known.running = {"snapshots"}
    made, queue = way("storage", ["storage"])
    assert not await made.take(spoilt(), spoilt().bad)
    known.running = set()
    assert not await made.take(spoilt(), spoilt().bad)
    assert len(known.asked) == 1
    now[0] += dead_letters._KNOWN_SECONDS + 1
    assert await made.take(spoilt(), spoilt().bad)
    known.running = {"snapshots"}
    now[0] += dead_letters._KNOWN_SECONDS + 1
    assert not await made.take(spoilt(), spoilt().bad)
    assert len(queue.values) == 2


async def test_where_no_broker_tells_twice_is_better_than_never(known: Groups) -> None:
    """Asked again with the next one, since nothing is known."""
    known.away = True
    made, queue = way("changes", ["changes"])
    assert await made.take(spoilt(), spoilt().bad)
    known.away, known.running = False, {"snapshots"}
    assert not await made.take(spoilt(), spoilt().bad)
    assert len(queue.values) == 2


async def test_nothing_is_asked_while_every_record_is_right(known: Groups) -> None:
    """And nothing by the agent that is always responsible."""
    right = chunk([tick(1, 10.0)])
    made, _ = way("changes", ["changes"])
    assert not await made.take(right, right.bad)
    made, _ = way("snapshots", ["snapshots"])
    assert await made.take(spoilt(), spoilt().bad)
    assert known.asked == []


async def test_what_a_job_failed_on_is_its_agents_own(known: Groups) -> None:
    """Whoever else runs: no other agent knows of it."""
    known.running = {"snapshots"}
    made, queue = way("changes", ["snapshots", "changes"])
    failed = chunk([tick(n, 10.0) for n in range(1, 5)], start=100)
    assert not made.failed(failed)
    failed.fail(102, ValueError("no"))
    assert made.failed(failed)
    assert queue.values == [failed.values[2]]
    assert queue.timestamps == [failed.timestamps[2]]


def test_the_order_of_agents_is_the_same_for_all() -> None:
    """Of two agents one comes before the other, whatever other agents each knows of."""
    assert before("snapshots", AGENTS) == []
    assert before("changes", []) == ["snapshots", "storage"]
    assert before("alerts", ["alerts", "movers", *AGENTS]) == [*AGENTS]
    assert before("movers", ["alerts", "movers", *AGENTS]) == [*AGENTS, "alerts"]

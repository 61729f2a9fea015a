"""One agent at work, over queues that a test confirms and a consumer that it plays: nothing connects to a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from faust.types import TP

from broker.chunk import Chunk
from broker.errors import FencedError
from broker.identity import Identity
from broker.publisher import PartitionQueue
from processors.streaming import consumer as consumer_module
from processors.streaming import effects as effects_module
from processors.streaming import runner as runner_module
from processors.streaming.agent import Agent, Outcome
from processors.streaming.offsets import Delivery, Fetch, OffsetQueue
from processors.streaming.runner import AgentRunner
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, SNAPSHOTS, TICKS, partition_of
from tests.jobs.chunks import chunk, tick
from tests.processors.counting import OUT, Counting, Row
from tests.processors.played import PlayedConsumer


class Rig:
    """A runner that nothing connects, and what a broker would do."""

    def __init__(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing was fetched."""
        self.agent = agent
        monkeypatch.setattr(runner_module.AgentRunner, "_build", lambda _: None)
        self.runner = AgentRunner(agent, "127.0.0.1:9", address="http://127.0.0.1:1", place="host:1", member="host-1")
        self.runner.publisher.partitions[OUT] = 12
        self.consumer = PlayedConsumer(self.runner)
        cast("Any", self.runner.app)._consumer = self.consumer
        self.fatal: list[str] = []
        for module in (runner_module, effects_module):
            monkeypatch.setattr(module, "fatal", self.fatal.append)

    def fetched(self, *chunks: Chunk) -> Fetch:
        """As the consumer enters chunks."""
        deliveries = [
            Delivery(one, self.consumer.queues.setdefault(TP(one.topic, one.partition), OffsetQueue()), 0.0)
            for one in chunks
        ]
        fetch = Fetch(deliveries)
        self.consumer.fetches.append(fetch)
        return fetch

    def queue(self, topic: str, partition: int) -> PartitionQueue:
        """The queue of state rows and dead letters, or of records."""
        publisher = self.runner.records_publisher if topic == OUT else self.runner.publisher
        return publisher.queue(topic, partition)

    def confirm(self, queue: PartitionQueue) -> None:
        """A broker takes what waits in a queue."""
        while queue._backlog:
            queue._in_flight.append(queue._backlog.popleft())
        queue.acknowledge()

    def committable(self, partition: int) -> int | None:
        """What may be committed of a partition."""
        return self.consumer.queues[TP(TICKS, partition)].committable

    def partition_of(self, code: str) -> int:
        """Where a code's records go."""
        return partition_of(code, 12)


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """With the counting agent, whose member may act."""
    made = Rig(Counting(), monkeypatch)
    made.runner.lease.renew(made.runner.lease._now())
    return made


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.001)


def some(partition: int, start: int = 0, count: int = 3) -> Chunk:
    """Ticks of one code."""
    return chunk([tick(start + n + 1, 10.0) for n in range(count)], start=start, partition=partition)


def agent_of(rig: Rig) -> Counting:
    """The agent."""
    return cast("Counting", rig.agent)


async def test_records_then_what_must_be_done_then_rows_then_the_acknowledgement(rig: Rig) -> None:
    """Each is confirmed before the next; only then an offset may be committed."""
    agent = agent_of(rig)
    agent.done = asyncio.get_running_loop().create_future()
    await rig.runner._work(rig.fetched(some(3)))
    rig.runner.hurry()
    records, rows = rig.queue(OUT, rig.partition_of("600519")), rig.queue(SNAPSHOTS, 3)
    await asyncio.sleep(0.02)
    assert (records.added, rows.added, rig.committable(3)) == (3, 0, None)
    rig.confirm(records)
    await asyncio.sleep(0.02)
    assert (rows.added, rig.committable(3)) == (0, None)
    agent.done.set_result(None)
    await until(lambda: rows.added == 1)
    assert rig.committable(3) is None
    assert not rig.runner.idle
    rig.confirm(rows)
    await until(lambda: rig.committable(3) == 3)
    assert rig.runner.idle
    assert (rig.runner.handled, rig.runner.chunks, rig.runner.published) == (3, 1, 3)
    assert not rig.fatal


async def test_giving_up_ends_a_chunk_in_the_middle_and_leaves_the_rest_of_its_fetch(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the agent has begun is cancelled, what it has not is not begun, and none of it may be committed."""
    agent = agent_of(rig)
    fetch = rig.fetched(some(1), some(2), some(3))
    working = asyncio.create_task(rig.runner._work(fetch))
    await until(lambda: len(agent.applied) == 3)
    await working
    agent.gate.clear()
    fetch = rig.fetched(some(1, start=3), some(2, start=3), some(3, start=3))
    working = asyncio.create_task(rig.runner._work(fetch))
    await until(lambda: len(agent.seen) == 4)
    for partition in (1, 2, 3):
        assert rig.queue(SNAPSHOTS, partition).added == 0
    monkeypatch.setattr(consumer_module, "DRAIN_PATIENCE", 0.2)
    await asyncio.wait_for(rig.consumer.wait_empty(), 5)
    await asyncio.wait_for(working, 5)
    agent.gate.set()
    await asyncio.sleep(0.05)
    assert agent.seen[3:] == [(1, 3)], "no further chunk of the fetch was begun"
    assert len(agent.applied) == 3
    assert agent.revocations == 1
    assert [rig.queue(SNAPSHOTS, partition).added for partition in (1, 2, 3)] == [0, 0, 0]
    assert rig.queue(OUT, rig.partition_of("600519")).unacknowledged == 0, "what was not sent is not sent any more"
    assert rig.consumer.abandoned, "rows are restored before the chunks come again"
    assert rig.consumer.queues == {}
    assert not rig.fatal


async def test_giving_up_keeps_nobody_waiting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that waits for room in effects that are given up is cancelled, too; the next fetch is worked on."""
    monkeypatch.setattr(effects_module, "LIMIT", 3)
    agent = agent_of(rig)
    working = asyncio.create_task(rig.runner._work(rig.fetched(some(1))))
    await working
    held = asyncio.create_task(rig.runner._work(rig.fetched(some(1, start=3))))
    await asyncio.sleep(0.05)
    assert not held.done()
    await asyncio.wait_for(rig.runner.abandon(), 5)
    await asyncio.wait_for(held, 5)
    assert len(agent.applied) == 1
    again = rig.fetched(some(1))
    await asyncio.wait_for(rig.runner._work(again), 5)
    assert agent.applied == [(1, 0), (1, 0)]
    assert not rig.fatal


async def test_a_rebalance_does_not_wait_for_what_lies_in_a_streams_buffer(rig: Rig) -> None:
    """Faust has emptied the buffers by then: what the agent has begun is finished and committed, the rest dropped."""
    agent = agent_of(rig)
    rig.consumer.assign(1, 2)
    first, second = rig.fetched(some(1), some(2)), rig.fetched(some(1, start=3), some(2, start=3))
    await rig.runner._work(first)
    draining = asyncio.create_task(rig.consumer.wait_empty())
    await asyncio.sleep(0.05)
    assert not draining.done(), "the first fetch's effects are not confirmed"
    rig.confirm(rig.queue(OUT, rig.partition_of("600519")))
    await until(lambda: rig.queue(SNAPSHOTS, 1).added and rig.queue(SNAPSHOTS, 2).added)
    for partition in (1, 2):
        rig.confirm(rig.queue(SNAPSHOTS, partition))
    await asyncio.wait_for(draining, 2)
    assert rig.consumer.played.commits[-1] == {TP(TICKS, 1): 3, TP(TICKS, 2): 3}
    assert not rig.consumer.abandoned
    await rig.runner._work(second)
    assert agent.applied == [(1, 0), (2, 0)], "a fetch that was dropped is not worked on, wherever it still lies"


async def test_without_a_lease_nothing_is_waited_for(rig: Rig) -> None:
    """What is in hand may be another member's by now: it is given up at once, and none of it is published."""
    await rig.runner._work(rig.fetched(some(1)))
    rig.runner.lease._renewed = 0.0
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(rig.consumer.wait_empty(), 2)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert rig.consumer.abandoned
    assert rig.queue(OUT, rig.partition_of("600519")).unacknowledged == 0
    assert not rig.runner.publisher.may_send()
    assert not rig.runner.records_publisher.may_send()


async def test_a_member_whose_rows_are_refused_does_nothing_more_and_is_not_ended(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds comes again. If its group does not tell it within a session that it lost the partition, it rejoins.

    What came behind must not be worked on meanwhile: its rows would go out, and hide what comes again.
    """
    monkeypatch.setattr(runner_module, "SESSION_SECONDS", 0.2)
    state = rig.queue(SNAPSHOTS, 1)
    state.identity = Identity("test")
    await rig.runner._work(rig.fetched(some(1), some(2)))
    rig.runner.hurry()
    rig.confirm(rig.queue(OUT, rig.partition_of("600519")))
    await until(lambda: state.added)
    rig.runner.publisher.fenced(state)
    await until(lambda: rig.runner.fenced)
    behind = asyncio.create_task(rig.runner._work(rig.fetched(some(2, 3))))
    await until(lambda: rig.consumer.played.wanted)
    assert agent_of(rig).applied == [(1, 0), (2, 0)]
    await asyncio.wait_for(rig.consumer.wait_empty(), 1)
    await asyncio.wait_for(behind, 1)
    await rig.runner._revoked()
    assert agent_of(rig).applied == [(1, 0), (2, 0)]
    assert rig.consumer.abandoned
    assert not rig.runner.fenced
    assert not rig.fatal


async def test_a_member_that_learns_that_it_lost_a_partition_does_not_join_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that waits for refused records of its own ends as little as one whose rows are refused."""
    monkeypatch.setattr(runner_module, "SESSION_SECONDS", 0.2)

    async def refused(_chunk: Chunk) -> Outcome:
        raise FencedError("another's")

    monkeypatch.setattr(rig.agent, "handle", refused)
    await rig.runner._work(rig.fetched(some(1)))
    assert rig.runner.fenced
    await rig.runner._revoked()
    await asyncio.sleep(0.4)
    assert not rig.consumer.played.wanted
    assert not rig.fatal


async def test_rows_that_changed_without_a_chunk_shortly_before_a_rebalance_are_published_after_it(rig: Rig) -> None:
    """A gap mark that was set within a beat of it reaches the topic; where the partition has left, its new owner's."""
    agent, runner = agent_of(rig), rig.runner
    rows = {partition: Row(f"60000{partition}") for partition in (1, 2, 3)}
    for partition, row in rows.items():
        agent.table.rows(partition)[row.key.decode()] = row
        runner._publish_rows(partition, [row])
    await asyncio.sleep(0)
    await runner._revoked()
    held = cast("Any", agent.table.state).partitions_held
    del held[2]
    held[3]["600003"] = Row("600003")  # restored: what assigns it marks it anew
    await runner._assigned()
    runner.hurry()
    await until(lambda: rig.queue(SNAPSHOTS, 1).added)
    await asyncio.sleep(0.05)
    assert [rig.queue(SNAPSHOTS, partition).added for partition in (1, 2, 3)] == [1, 0, 0]
    rig.confirm(rig.queue(SNAPSHOTS, 1))
    await until(lambda: runner.idle)


async def test_a_rebalance_waits_for_rows_that_changed_without_a_chunk(rig: Rig) -> None:
    """Most of them go out in time."""
    row = Row("600001")
    agent_of(rig).table.rows(1)["600001"] = row
    rig.runner._publish_rows(1, [row])
    draining = asyncio.create_task(rig.consumer.wait_empty())
    await until(lambda: rig.queue(SNAPSHOTS, 1).added)
    assert not draining.done()
    rig.confirm(rig.queue(SNAPSHOTS, 1))
    await asyncio.wait_for(draining, 2)
    assert not rig.consumer.abandoned


async def test_rows_that_were_given_up_are_not_published_later(rig: Rig) -> None:
    """They were changed by chunks that come again, to rows restored without them."""
    row = Row("600001")
    agent_of(rig).table.rows(1)["600001"] = row
    rig.runner._publish_rows(1, [row])
    await rig.runner.abandon()
    await rig.runner._revoked()
    await rig.runner._assigned()
    rig.runner.hurry()
    await asyncio.sleep(0.05)
    assert rig.queue(SNAPSHOTS, 1).added == 0


async def test_an_agent_that_fails_ends_the_process(rig: Rig) -> None:
    """Its chunk is not acknowledged, and comes again to whoever is next."""

    async def fail(_chunk: Chunk) -> Outcome:
        raise RuntimeError("a defect")

    cast("Any", rig.agent).handle = fail
    await rig.runner._work(rig.fetched(some(1)))
    assert rig.fatal == ["agent counting failed"]
    assert rig.committable(1) is None


async def test_a_record_that_a_job_fails_on_is_a_dead_letter_and_the_others_go_on(rig: Rig) -> None:
    """The chunk is acknowledged when the letter is confirmed, and not before."""
    cast("Any", rig.runner.dead_letters)._responsible._others = []  # no broker is asked who else runs
    dear = chunk([tick(1, 10.0), tick(2, 2_000_000.0), tick(3, 10.0), b"hello"], partition=1)
    await rig.runner._work(rig.fetched(dear))
    rig.runner.hurry()
    rig.confirm(rig.queue(OUT, rig.partition_of("600519")))
    await asyncio.sleep(0.02)
    letters = rig.runner.dead_letters
    assert (letters.count, rig.queue(DEAD_LETTERS, 0).added) == (2, 2)
    assert rig.queue(SNAPSHOTS, 1).added == 0
    rig.confirm(rig.queue(DEAD_LETTERS, 0))
    await until(lambda: rig.queue(SNAPSHOTS, 1).added)
    rig.confirm(rig.queue(SNAPSHOTS, 1))
    await until(lambda: rig.committable(1) == 4)


async def test_a_partition_is_current_when_its_log_was_read_to_the_end(rig: Rig) -> None:
    """By what came with a chunk, or by where the brokers said that the log ends and nothing is in hand."""
    runner, consumer = rig.runner, rig.consumer
    consumer.ends = {TP(TICKS, 1): 10}
    await runner._work(rig.fetched(some(1, start=0)))
    assert 1 not in runner.current
    await runner._work(rig.fetched(some(1, start=7)))
    before = runner.current[1]
    consumer.expected = {TP(TICKS, 1): 10, TP(TICKS, 2): 5}
    runner.keep_current({(TICKS, 1): 10, (TICKS, 2): 6}, before + 100.0)
    assert runner.current == {1: before}, "chunks are in hand, and the other log goes on"
    consumer.queues.clear()
    runner.keep_current({(TICKS, 1): 10, (TICKS, 2): 6}, before + 100.0)
    assert runner.current == {1: before + 100.0}
    await runner._revoked()
    assert runner.current == {}


def test_the_lag_is_between_what_is_committed_and_the_later_of_two_ends(rig: Rig) -> None:
    """What fetching brought may be newer than what the brokers were asked; a partition without a commit tells none."""
    consumer = rig.consumer
    consumer.expected = {TP(TICKS, n): 10 for n in range(4)}
    consumer._committed_offset = {TP(TICKS, 0): 4, TP(TICKS, 1): 10, TP(TICKS, 2): None}
    consumer.ends = {TP(TICKS, 0): 12, TP(TICKS, 1): 10}
    assert rig.runner.lag({(TICKS, 0): 9, (TICKS, 1): 11, (TICKS, 2): 20}) == {"0": 8, "1": 1}


async def test_a_loss_that_is_told_while_everything_is_given_up_does_not_end_the_worker(rig: Rig) -> None:
    """The chunk behind the lost records is not handed over: it comes again, and the loss is told then."""
    consumer, runner = rig.consumer, rig.runner
    consumer.assign(1, at=3)
    consumer.begins = {TP(TICKS, 1): 10}
    consumer.brought = [(0, {TP(TICKS, 1): some(1, start=10)})]
    getting = asyncio.create_task(consumer.next_fetch())
    events = rig.queue(FEED_EVENTS, 0)
    await until(lambda: events.added)
    await runner.abandon()
    assert await asyncio.wait_for(getting, 5) == []
    assert consumer.queues == {}
    assert consumer.lost_to_retention == 0

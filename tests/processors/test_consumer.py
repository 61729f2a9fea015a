"""From fetches to messages and commits: what is handed over, what comes again, and what is never passed over."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiokafka.errors import CorruptRecordException
from faust.types import TP

from broker.chunk import Chunk
from processors.streaming import consumer as consumer_module
from processors.streaming.consumer import BatchConsumer
from schemas.topics import TICKS
from tests.jobs.chunks import chunk, tick
from tests.processors.played import PlayedConsumer

FIRST, SECOND = TP(TICKS, 1), TP(TICKS, 2)


class Runner:
    """Notes what is told of."""

    def __init__(self) -> None:
        """A member with nothing in hand."""
        self.lost_records: list[tuple[int, int, int]] = []
        self.an_owner = True
        self.idle = True
        self.abandonments = 0

    async def lost(self, partition: int, expected: int, chunk: Chunk) -> None:
        """Records that the log had no more."""
        self.lost_records.append((partition, expected, chunk.start))

    def hurry(self) -> None:
        """Nothing waits for a beat here."""

    async def abandon(self) -> None:
        """Count it."""
        self.abandonments += 1


class Ended(Exception):  # noqa: N818 - stands for the end of the process
    """The process would have ended."""


@pytest.fixture
def runner() -> Runner:
    """What the consumer works for."""
    return Runner()


@pytest.fixture
async def consumer(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> PlayedConsumer:
    """Owns two partitions, from their beginnings."""

    def fatal(reason: str) -> None:
        raise Ended(reason)

    monkeypatch.setattr(consumer_module, "fatal", fatal)
    made = PlayedConsumer(runner)
    made.assign(1, 2)
    return made


def some(partition: int, start: int, end: int) -> Chunk:
    """Ticks from one offset to another."""
    return chunk([tick(n + 1, 10.0) for n in range(start, end)], start=start, partition=partition)


def bring(consumer: PlayedConsumer, *chunks: Chunk, seeks: int = 0) -> None:
    """What the next fetch gives."""
    consumer.brought.append((seeks, {TP(TICKS, one.partition): one for one in chunks}))


async def handled(consumer: PlayedConsumer) -> list[tuple[int, int]]:
    """Fetch, and do what came: partition and end of each chunk."""
    done = []
    for fetch in await consumer.next_fetch():
        for delivery in fetch:
            done.append((delivery.chunk.partition, delivery.end))
            delivery.ack()
    return done


async def test_a_fetch_is_one_message_with_a_delivery_a_partition(consumer: PlayedConsumer) -> None:
    """What is done of it is committed, and counts as committed when that is confirmed."""
    bring(consumer, some(1, 0, 5), some(2, 0, 3))
    (fetch,) = await consumer.next_fetch()
    first, second = fetch
    second.ack()
    assert await consumer.commit()
    assert consumer.played.commits == [{SECOND: 3}]
    assert consumer._committed_offset == {SECOND: 3}
    first.ack()
    consumer.played.confirms = False
    assert not await consumer.commit()
    assert consumer._committed_offset == {SECOND: 3}, "what was not confirmed is not taken for done"
    consumer.played.confirms = True
    assert await consumer.commit()
    assert consumer._committed_offset == {FIRST: 5, SECOND: 3}
    assert consumer.in_hand == 0


async def test_offsets_of_partitions_that_have_left_are_not_committed(consumer: PlayedConsumer) -> None:
    """They are another member's."""
    bring(consumer, some(1, 0, 5), some(2, 0, 3))
    await handled(consumer)
    consumer.mine = {SECOND}
    assert await consumer.commit()
    assert consumer.played.commits == [{SECOND: 3}]


async def test_what_was_fetched_before_a_seek_or_of_others_partitions_is_left_out(consumer: PlayedConsumer) -> None:
    """It comes again, here or there."""
    consumer.played.seeks = 4
    bring(consumer, some(1, 0, 5), seeks=3)
    assert await handled(consumer) == []
    consumer.mine = {SECOND}
    bring(consumer, some(1, 0, 5), some(2, 0, 3), seeks=4)
    assert await handled(consumer) == [(2, 3)]


async def test_what_comes_while_the_flow_is_suspended_is_sought_again(consumer: PlayedConsumer) -> None:
    """A rebalance has begun: whoever owns the partition then begins at what is committed."""
    consumer.flow_active = False
    bring(consumer, some(1, 0, 5))
    assert await handled(consumer) == []
    assert consumer.played.seeks == 1
    assert consumer.queues == {}


async def test_a_chunk_without_records_is_done_at_once(consumer: PlayedConsumer) -> None:
    """Control records end a transaction and are nobody's work; the offset behind them is committed all the same."""
    empty = Chunk(TICKS, 1, 0)
    empty.end = 2
    bring(consumer, empty)
    assert await consumer.next_fetch() == []
    assert await consumer.commit()
    assert consumer.played.commits == [{FIRST: 2}]


async def test_records_that_retention_took_are_told_of_before_what_follows_is_handed_over(
    consumer: PlayedConsumer, runner: Runner
) -> None:
    """And counted."""
    consumer.begins = {FIRST: 40}
    bring(consumer, some(1, 0, 5))
    await handled(consumer)
    bring(consumer, some(1, 40, 42))
    assert await handled(consumer) == [(1, 42)]
    assert runner.lost_records == [(1, 5, 40)]
    assert consumer.lost_to_retention == 35


async def test_records_that_the_log_holds_are_never_passed_over(consumer: PlayedConsumer, runner: Runner) -> None:
    """That would be a loss of our own making: the process ends, and its successor reads them."""
    consumer.begins = {FIRST: 7}
    bring(consumer, some(1, 0, 5))
    await handled(consumer)
    bring(consumer, some(1, 40, 42))
    with pytest.raises(Ended, match="passed over"):
        await handled(consumer)
    assert runner.lost_records == []


async def test_a_log_that_begins_anew_is_read_from_there(consumer: PlayedConsumer) -> None:
    """What was in hand of it before can't be committed any more."""
    bring(consumer, some(1, 0, 5))
    (fetch,) = await consumer.next_fetch()
    (old,) = fetch
    bring(consumer, some(1, 2, 4))
    (fetch,) = await consumer.next_fetch()
    old.ack()
    assert not await consumer.commit()
    next(iter(fetch)).ack()
    assert await consumer.commit()
    assert consumer.played.commits == [{FIRST: 4}]


async def test_what_comes_before_a_corrupt_record_is_handed_over_first(consumer: PlayedConsumer) -> None:
    """Then fetching fails, loudly."""
    damaged = some(1, 0, 5)
    damaged.corrupt = True
    bring(consumer, damaged, some(2, 0, 3))
    found: list[Any] = []
    messages = consumer.getmany(1.0)
    found += [delivery.end for delivery in cast("Any", (await anext(messages))[1].value)]
    with pytest.raises(CorruptRecordException):
        await anext(messages)
    assert found == [5, 3]


async def test_a_seek_gives_up_what_was_not_begun_and_goes_back_to_what_is_committed(
    consumer: PlayedConsumer,
) -> None:
    """A message that still lies in a stream's buffer brings nothing then."""
    bring(consumer, some(1, 0, 5), some(2, 0, 3))
    bring(consumer, some(1, 5, 9))
    (first,), (second,) = await consumer.next_fetch(), await consumer.next_fetch()
    begun = next(iter(first))
    consumer.played.places = {FIRST: 2, SECOND: 0}
    await consumer.perform_seek()
    begun.ack()
    assert [*first, *second] == []
    assert consumer.queues == {}
    assert consumer.expected == {FIRST: 2, SECOND: 0}
    assert consumer._committed_offset == {FIRST: 2, SECOND: 0}
    bring(consumer, some(1, 2, 4), seeks=consumer.played.seeks)
    assert await handled(consumer) == [(1, 4)]


async def test_a_drain_that_has_nothing_to_wait_for_commits_at_once(consumer: PlayedConsumer, runner: Runner) -> None:
    """Chunks that the agent has not begun do not count: Faust has emptied the streams' buffers."""
    bring(consumer, some(1, 0, 5))
    bring(consumer, some(1, 5, 9))
    await handled(consumer)
    (waiting,) = await consumer.next_fetch()
    await consumer.wait_empty()
    assert consumer.played.commits == [{FIRST: 5}]
    assert list(waiting) == []
    assert not consumer.abandoned
    assert runner.abandonments == 0


async def test_a_drain_that_takes_too_long_commits_what_is_done_and_gives_up_the_rest(
    consumer: PlayedConsumer, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows may be ahead of what is published, so they are restored."""
    monkeypatch.setattr(consumer_module, "DRAIN_PATIENCE", 0.05)
    bring(consumer, some(1, 0, 5), some(2, 0, 3))
    (fetch,) = await consumer.next_fetch()
    first, _never_done = fetch
    first.ack()
    await consumer.wait_empty()
    assert consumer.played.commits == [{FIRST: 5}]
    assert consumer.abandoned
    assert runner.abandonments == 1
    assert consumer.in_hand == 0


async def test_a_drain_commits_what_was_done_while_an_earlier_commit_was_on_its_way(
    consumer: PlayedConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust's own commit would only wait for that one, and what was done since would come again."""
    monkeypatch.setattr(PlayedConsumer, "commit", BatchConsumer.commit)
    consumer.play_faust()
    answered = asyncio.Event()
    commit = consumer.played.commit

    async def slow(offsets: dict[TP, int]) -> bool:
        await answered.wait()
        return await commit(offsets)

    cast("Any", consumer.played).commit = slow
    bring(consumer, some(1, 0, 5), some(2, 0, 3))
    (fetch,) = await consumer.next_fetch()
    first, second = fetch
    first.ack()
    regular = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0.01)
    second.ack()
    draining = asyncio.create_task(consumer.wait_empty())
    await asyncio.sleep(0.05)
    answered.set()
    await asyncio.wait_for(asyncio.gather(regular, draining), 5)
    assert consumer.played.commits == [{FIRST: 5}, {SECOND: 3}]

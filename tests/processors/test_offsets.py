"""The queue that decides what may be committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.streaming.offsets import Delivery, OffsetQueue
from tests.jobs.chunks import chunk, tick


def test_nothing_is_committable_before_a_chunk_is_done() -> None:
    """An empty queue and one whose chunks are all in hand commit nothing."""
    queue = OffsetQueue()
    queue.deliver(10, 0.0)
    assert queue.committable is None
    assert queue.waiting == 1


def test_a_chunk_behind_an_unfinished_one_is_not_committed() -> None:
    """Done out of order, offsets wait for the head."""
    queue = OffsetQueue()
    first, second, third = queue.deliver(10, 0.0), queue.deliver(25, 1.0), queue.deliver(40, 2.0)
    queue.done(third)
    queue.done(second)
    assert queue.committable is None
    assert queue.oldest == 0.0
    queue.done(first)
    assert queue.committable == 40
    assert queue.oldest is None


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_committable_offset_is_the_end_of_the_unbroken_head(sizes: list[int], random: object) -> None:
    """In whatever order chunks get done, and whatever gaps lie between them, what is committed was all done."""
    queue = OffsetQueue()
    ends, end = [], 0
    for size in sizes:
        end += size
        ends.append(end)
    tickets = [queue.deliver(end, 0.0) for end in ends]
    order = list(range(len(tickets)))
    random.shuffle(order)  # type: ignore[attr-defined]
    done: set[int] = set()
    for index in order:
        queue.done(tickets[index])
        done.add(index)
        head = next((i for i in range(len(ends)) if i not in done), len(ends))
        assert queue.committable == (ends[head - 1] if head else None)


def test_a_chunk_is_done_when_every_agent_is() -> None:
    """Taken in by all, its ticks go; acknowledged by all, its offset may be committed, whatever came between."""
    queue = OffsetQueue()
    delivery = Delivery(chunk([tick(1, 10.0)], start=7), queue, 0.0, 2)
    delivery.taken()
    assert not delivery.ack()
    assert delivery.chunk is not None, "the second agent has not seen it yet"
    delivery.taken()
    assert delivery.chunk is None
    assert queue.committable is None
    assert delivery.ack()
    assert queue.committable == 8


def test_a_chunk_that_only_one_agent_holds_is_told_from_one_that_more_hold() -> None:
    """While the store is away, what waits for the others besides it is what is stuck."""
    queue = OffsetQueue()
    first = Delivery(chunk([tick(1, 10.0)], start=7), queue, 1.0, 3)
    second = Delivery(chunk([tick(2, 10.0)], start=8), queue, 2.0, 3)
    assert queue.oldest_of(1) == 1.0
    first.ack()
    first.ack()
    assert queue.oldest == 1.0
    assert queue.oldest_of(1) == 2.0
    second.ack()
    second.ack()
    assert queue.oldest_of(1) is None
    assert queue.oldest == 1.0

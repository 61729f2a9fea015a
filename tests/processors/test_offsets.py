"""The queue that decides what may be committed, and the fetches whose chunks stand in it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from processors.streaming.offsets import Delivery, Fetch, OffsetQueue
from tests.jobs.chunks import chunk, tick


def delivered(queue: OffsetQueue, end: int, now: float = 0.0) -> Delivery:
    """A chunk that ends at an offset."""
    made = Chunk("ticks", 0, 0)
    made.end = end
    return Delivery(made, queue, now)


def test_nothing_is_committable_before_a_chunk_is_done() -> None:
    """An empty queue and one whose chunks are all in hand commit nothing."""
    queue = OffsetQueue()
    assert queue.committable is None
    delivered(queue, 10)
    assert queue.committable is None
    assert queue.waiting == 1


def test_a_chunk_behind_an_unfinished_one_is_not_committed() -> None:
    """Done out of order, offsets wait for the head."""
    queue = OffsetQueue()
    first, second, third = (delivered(queue, end, now) for end, now in ((10, 0.0), (25, 1.0), (40, 2.0)))
    third.ack()
    second.ack()
    assert queue.committable is None
    assert queue.oldest == 0.0
    first.ack()
    assert queue.committable == 40
    assert queue.oldest is None


def test_the_oldest_chunk_is_one_that_is_not_done() -> None:
    """Behind one that is slow, what is done counts no more for how long a chunk is in hand."""
    queue = OffsetQueue()
    first, second = delivered(queue, 10, 1.0), delivered(queue, 20, 2.0)
    assert queue.oldest == 1.0
    second.ack()
    assert queue.oldest == 1.0
    first.ack()
    assert queue.oldest is None


def test_a_delivery_is_done_by_its_ack_and_not_by_being_handled() -> None:
    """A chunk whose ticks were let go of is still in hand until its effects are confirmed."""
    queue = OffsetQueue()
    delivery = Delivery(chunk([tick(1, 10.0)], start=7), queue, 0.0)
    delivery.chunk = None
    assert queue.committable is None
    assert queue.waiting == 1
    delivery.ack()
    assert queue.committable == 8


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_committable_offset_is_the_end_of_the_unbroken_head(sizes: list[int], order: random.Random) -> None:
    """In whatever order chunks get done, and whatever gaps lie between them, what is committed was all done."""
    queue = OffsetQueue()
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    deliveries = [delivered(queue, end) for end in ends]
    indexes = list(range(len(ends)))
    order.shuffle(indexes)
    done: set[int] = set()
    for index in indexes:
        deliveries[index].ack()
        done.add(index)
        head = next((i for i in range(len(ends)) if i not in done), len(ends))
        assert queue.committable == (ends[head - 1] if head else None)


def test_what_was_not_begun_is_dropped_and_comes_again() -> None:
    """Of a fetch that is dropped half-way, the begun chunks can still be committed; the others never."""
    queues = [OffsetQueue() for _ in range(3)]
    fetch = Fetch([delivered(queue, 10) for queue in queues])
    handled = []
    for delivery in fetch:
        handled.append(delivery)
        if len(handled) == 2:
            fetch.drop()
    assert len(handled) == 2
    assert fetch.ended
    assert [queue.waiting for queue in queues] == [1, 1, 0]
    for delivery in handled:
        delivery.ack()
    assert [queue.committable for queue in queues] == [10, 10, None]
    assert not list(fetch), "a dropped fetch that still lies in a stream's buffer brings nothing"


def test_a_dropped_chunk_takes_what_was_fetched_behind_it_along() -> None:
    """Else a commit of the later one would pass it over."""
    queue = OffsetQueue()
    first, second, third = (delivered(queue, end) for end in (10, 20, 30))
    second.drop()
    third.ack()
    first.ack()
    assert queue.committable == 10
    assert queue.waiting == 0


class Partition:
    """What is known of one partition, beside its queue: its chunks in order, and which are done."""

    def __init__(self) -> None:
        """Nothing was fetched."""
        self.queue = OffsetQueue()
        self.chunks: list[Delivery] = []
        self.done: set[Delivery] = set()

    @property
    def position(self) -> int:
        """Where the next fetch begins."""
        return self.chunks[-1].end if self.chunks else 0

    def check(self) -> None:
        """What may be committed is the end of the unbroken run of done chunks."""
        due = None
        for delivery in self.chunks:
            if delivery not in self.done:
                break
            due = delivery.end
        assert self.queue.committable == due


@given(st.data())
def test_committable_never_passes_a_chunk_that_is_not_done(data: st.DataObject) -> None:
    """Fetches of several partitions, begun in order, acknowledged in any order, dropped at any time, read again."""
    partitions = [Partition() for _ in range(3)]
    fetches: list[tuple[Fetch, list[tuple[Partition, Delivery]]]] = []
    begun: list[tuple[Partition, Delivery]] = []
    for _ in range(data.draw(st.integers(1, 30))):
        step = data.draw(st.sampled_from(["fetch", "begin", "ack", "drop"]))
        if step == "fetch":
            some = []
            for partition in data.draw(st.lists(st.sampled_from(partitions), min_size=1, unique=True)):
                delivery = delivered(partition.queue, partition.position + data.draw(st.integers(1, 9)))
                partition.chunks.append(delivery)
                some.append((partition, delivery))
            fetches.append((Fetch([delivery for _, delivery in some]), some))
        elif step == "begin" and (waiting := [pair for pair in fetches if not pair[0].ended]):
            fetch, some = waiting[0]
            delivery = next(iter(fetch))
            begun.append(next(pair for pair in some if pair[1] is delivery))
        elif step == "ack" and begun:
            partition, delivery = begun.pop(data.draw(st.integers(0, len(begun) - 1)))
            delivery.ack()
            partition.done.add(delivery)
        elif step == "drop":
            kept = {delivery for _, delivery in begun}
            for fetch, _ in reversed(fetches):
                fetch.drop()
            fetches.clear()
            for partition in partitions:
                partition.chunks = [one for one in partition.chunks if one in kept or one in partition.done]
        for partition in partitions:
            partition.check()

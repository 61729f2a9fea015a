"""Which offset of a partition may be committed: a first-in-first-out queue of chunks.

It stands in for Faust's ``_new_offset``, whose lists of single offsets and interval tree of gaps commit past unfinished
messages (faust#606), stop at holes (faust#596) and cost most of the CPU.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from broker.chunk import Chunk


class Delivery:
    """A chunk from its fetch until its effects are confirmed.

    Attributes:
        since: monotonic time at which it was fetched.
        chunk: ``None`` once the agent has handled it: what waits for its effects needs no ticks.
    """

    __slots__ = ("_queue", "chunk", "done", "end", "since")

    def __init__(self, chunk: Chunk, queue: OffsetQueue, now: float) -> None:
        """Enter the chunk into its partition's queue."""
        self.chunk: Chunk | None = chunk
        self.end = chunk.end
        self.since = now
        self.done = False
        self._queue = queue
        queue.enter(self)

    def ack(self) -> None:
        """Its effects are confirmed."""
        self.done = True
        # After a rebalance or seek the queue is one that nobody looks at any more, and this changes nothing.
        self._queue.advance()

    def drop(self) -> None:
        """It was not handled and will not be: it comes again."""
        self._queue.leave(self)


class OffsetQueue:
    """The chunks of one partition from their fetch until they are done, whatever gaps lie between their offsets."""

    def __init__(self) -> None:
        """An empty queue, nothing to commit."""
        self._deliveries: deque[Delivery] = deque()
        self.committable: int | None = None

    def enter(self, delivery: Delivery) -> None:
        """A chunk was fetched."""
        self._deliveries.append(delivery)

    def leave(self, delivery: Delivery) -> None:
        """A chunk was given up. Those behind it are given up as well: ``committable`` must not pass it."""
        while self._deliveries and delivery in self._deliveries:
            self._deliveries.pop()

    def advance(self) -> None:
        """``committable`` rises to the end of the unbroken run of done chunks at the head."""
        deliveries = self._deliveries
        while deliveries and deliveries[0].done:
            self.committable = deliveries.popleft().end

    @property
    def waiting(self) -> int:
        """Chunks that were fetched and are not past the head yet."""
        return len(self._deliveries)

    @property
    def oldest(self) -> float | None:
        """When the oldest chunk that is not done was fetched, ``None`` without one; for any thread."""
        return next((delivery.since for delivery in tuple(self._deliveries) if not delivery.done), None)


class Fetch:
    """What one fetch brought, a delivery a partition, on its way through Faust's stream to the agent.

    A rebalance may begin while it waits there, or while the agent has it in hand: what was not begun by then is
    dropped, and comes again.
    """

    __slots__ = ("_at", "_deliveries", "dropped")

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        """It waits in the stream's buffer."""
        self._deliveries = deliveries
        self._at = 0
        self.dropped = False

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries, one after the other, until the fetch is dropped."""
        while self._at < len(self._deliveries) and not self.dropped:
            self._at += 1
            yield self._deliveries[self._at - 1]

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to begin."""
        return self.dropped or self._at == len(self._deliveries)

    def drop(self) -> None:
        """Give up what was not begun."""
        self.dropped = True
        for delivery in reversed(self._deliveries[self._at :]):
            delivery.drop()

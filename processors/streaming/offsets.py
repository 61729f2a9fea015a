"""Which offset of a partition may be committed: a first-in-first-out queue of chunks.

It stands in for Faust's ``_new_offset``, whose lists of single offsets and interval tree of gaps commit past unfinished
messages (faust#606), stop at holes (faust#596) and cost most of the CPU.
"""

from __future__ import annotations

from collections import deque

from broker.chunk import Chunk


class Ticket:
    """A delivered chunk's place in its partition's queue."""

    __slots__ = ("done", "end", "since", "unacknowledged")

    def __init__(self, end: int, since: float, agents: int = 1) -> None:
        """A chunk that ends before offset ``end``, delivered to so many agents at the monotonic time ``since``."""
        self.end = end
        self.since = since
        self.unacknowledged = agents
        self.done = False


class OffsetQueue:
    """The chunks of one partition from delivery until they are done, whatever gaps lie between their offsets."""

    def __init__(self) -> None:
        """An empty queue, nothing to commit."""
        self._tickets: deque[Ticket] = deque()
        self.committable: int | None = None

    def deliver(self, end: int, now: float, agents: int = 1) -> Ticket:
        """Enter a chunk that ends before ``end``."""
        ticket = Ticket(end, now, agents)
        self._tickets.append(ticket)
        return ticket

    def done(self, ticket: Ticket) -> None:
        """Mark a chunk as done; ``committable`` rises to the end of the unbroken run of done chunks at the head."""
        ticket.done = True
        tickets = self._tickets
        while tickets and tickets[0].done:
            self.committable = tickets.popleft().end

    @property
    def waiting(self) -> int:
        """Chunks delivered and not yet past the head."""
        return len(self._tickets)

    @property
    def oldest(self) -> float | None:
        """When the chunk at the head was delivered, ``None`` with an empty queue."""
        return self.oldest_of(0)

    def oldest_of(self, more_than: int) -> float | None:
        """When the oldest chunk was delivered that more than so many agents have not acknowledged; for any thread."""
        waiting = tuple(self._tickets)
        return next((ticket.since for ticket in waiting if not ticket.done and ticket.unacknowledged > more_than), None)


class Delivery:
    """A chunk on its way through the agents: each takes it in, and acknowledges it when its effects are confirmed.

    Attributes:
        chunk: ``None`` once every agent has taken it in: what waits for its acknowledgement needs no ticks.
    """

    __slots__ = ("_queue", "_ticket", "_untaken", "chunk")

    def __init__(self, chunk: Chunk, queue: OffsetQueue, now: float, agents: int) -> None:
        """Enter the chunk into its partition's queue."""
        self.chunk: Chunk | None = chunk
        self._queue = queue
        self._ticket = queue.deliver(chunk.end, now, agents)
        self._untaken = agents

    def taken(self) -> None:
        """One agent has taken the chunk in."""
        self._untaken -= 1
        if not self._untaken:
            self.chunk = None

    def ack(self) -> bool:
        """One agent is done with it; true if it was the last."""
        ticket = self._ticket
        ticket.unacknowledged -= 1
        if ticket.unacknowledged:
            return False
        # After a rebalance or seek the queue is one that nobody looks at any more, and this changes nothing.
        self._queue.done(ticket)
        return True

"""Which offset of a partition may be committed: a first-in-first-out queue of chunks.

It stands in for Faust's ``_new_offset``, whose lists of single offsets and interval tree of gaps commit past unfinished
messages (faust#606), stop at holes (faust#596) and cost most of the CPU.
"""

from __future__ import annotations

from collections import deque


class Ticket:
    """A delivered chunk's place in its partition's queue."""

    __slots__ = ("done", "end", "since")

    def __init__(self, end: int, since: float) -> None:
        """A chunk that ends before offset ``end``, delivered at the monotonic time ``since``."""
        self.end = end
        self.since = since
        self.done = False


class OffsetQueue:
    """The chunks of one partition from delivery until they are done, whatever gaps lie between their offsets."""

    def __init__(self) -> None:
        """An empty queue, nothing to commit."""
        self._tickets: deque[Ticket] = deque()
        self.committable: int | None = None

    def deliver(self, end: int, now: float) -> Ticket:
        """Enter a chunk that ends before ``end``."""
        ticket = Ticket(end, now)
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
        return self._tickets[0].since if self._tickets else None

"""The connected clients: who gets which frame, and what becomes of those who read too slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from consumers.gateway.frames import framed, head
from consumers.gateway.groups import FLUSH_SECONDS, Group, Hub
from consumers.gateway.rows import Row
from consumers.gateway.subscription import Subscription

BACKLOG_BYTES = 1 << 20
"""What may wait for a client to read it; beyond that it gets nothing until it has read."""
_READ_BYTES = 64 << 10
_PATIENCE = 10.0
"""Seconds for which nothing can be sent to a client, after which it is closed."""


@dataclass(eq=False)
class Connection:
    """One client.

    Attributes:
        transport: written to as frames come.
        closing: set when it is to be closed as one that does not read.
        groups: of its subscriptions, by id.
        behind: since when what waits for it is too much; ``None`` when it is not.
    """

    transport: asyncio.Transport
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    groups: dict[str, Group[Connection]] = field(default_factory=dict)
    behind: float | None = None

    def write(self, frame: bytes) -> None:
        """Write a frame that only this client gets."""
        if not self.transport.is_closing():
            self.transport.write(frame)

    def write_snapshot(self, message: bytes) -> None:
        """Write a large message that others get as well: it is not copied for each."""
        if not self.transport.is_closing():
            self.transport.write(head(len(message)))
            self.transport.write(message)


@dataclass
class Counts:
    """What was sent since the start."""

    frames: int = 0
    rows_bytes: int = 0
    skipped: int = 0
    resent: int = 0
    closed_slow: int = 0


class Connections:
    """All clients over one hub.

    Attributes:
        everyone: those that have said hello, with or without a subscription.
    """

    def __init__(self) -> None:
        """Nobody yet."""
        self.hub: Hub[Connection] = Hub()
        self.everyone: set[Connection] = set()
        self.counts = Counts()
        self._behind: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        """A client has come."""
        self.everyone.add(connection)

    def remove(self, connection: Connection) -> None:
        """A client has gone."""
        self.everyone.discard(connection)
        self._behind.discard(connection)
        for group in connection.groups.values():
            self.hub.leave(connection, group)
        connection.groups.clear()

    def subscribe(self, connection: Connection, asked: Subscription, *, snapshot: bool) -> None:
        """Let a client have what it asks for, from a snapshot on; the same id again changes the subscription."""
        self.unsubscribe(connection, asked.id)
        group = self.hub.join(connection, asked, time.monotonic())
        connection.groups[asked.id] = group
        if connection.behind is None:
            connection.write_snapshot(group.snapshot("subscribed") if snapshot else group.empty())

    def unsubscribe(self, connection: Connection, name: str) -> bool:
        """End a subscription; gives whether there was one."""
        group = connection.groups.pop(name, None)
        if group is not None:
            self.hub.leave(connection, group)
        return group is not None

    def take(self, rows: Iterable[Row]) -> None:
        """Take the rows that have changed since the last flush, as if all had then: none is to wait longer for it."""
        self.hub.take(rows, time.monotonic() - FLUSH_SECONDS)

    def renew(self, rows: Iterable[Row]) -> None:
        """Another table stands in the place of the one before."""
        for group in self.hub.renew(rows):
            for connection in group.members:
                if connection.behind is None:
                    connection.write_snapshot(group.snapshot("renewed"))

    def flush(self) -> None:
        """Send what is due, and see to those that are behind."""
        now = time.monotonic()
        for group, message in self.hub.flush(now):
            frame = framed(message)
            for connection in group.members:
                self._send(connection, frame)
        for connection in list(self._behind):
            self._see_to(connection, now)

    def tell(self, message: bytes) -> None:
        """Send a message to all clients."""
        frame = framed(message)
        for connection in self.everyone:
            self._send(connection, frame)

    def _send(self, connection: Connection, frame: bytes) -> None:
        if connection.behind is not None:
            self.counts.skipped += 1
            return
        transport = connection.transport
        if transport.get_write_buffer_size() > BACKLOG_BYTES:
            connection.behind = time.monotonic()
            self._behind.add(connection)
            self.counts.skipped += 1
            return
        if not transport.is_closing():
            transport.write(frame)
            self.counts.frames += 1
            self.counts.rows_bytes += len(frame)

    def _see_to(self, connection: Connection, now: float) -> None:
        assert connection.behind is not None
        if connection.transport.get_write_buffer_size() <= _READ_BYTES:
            connection.behind = None
            self._behind.discard(connection)
            self.counts.resent += 1
            for group in connection.groups.values():
                connection.write_snapshot(group.snapshot("behind"))
        elif now - connection.behind > _PATIENCE and not connection.closing.is_set():
            self.counts.closed_slow += 1
            connection.closing.set()

"""When a connection's heartbeats are due, and when silence between them means that it is dead. No I/O."""

from __future__ import annotations

from producer.feeds.provider import Capabilities
from producer.line.pacing import Pace

SILENT_BEATS = 3
"""Heartbeats without a single byte after which a connection counts as dead, where they are answered."""


class Heartbeat:
    """The two kinds of one connection: pings of the WebSocket protocol, and messages of the provider's own."""

    def __init__(self, able: Capabilities, pace: Pace, now: float) -> None:
        """Begin at ``now``, in seconds that only rise."""
        self.pings = pace.heartbeat if able.protocol_pings else 0.0
        self.own = able.heartbeat_seconds or (pace.heartbeat if pace.heartbeat_message is not None else 0.0)
        answered = [self.pings, self.own if able.heartbeat_reply else 0.0]
        self.limit = SILENT_BEATS * max(answered)
        """Seconds without a byte after which the connection is dead; 0 where nothing need be answered."""
        self._due = {kind: now + period for kind, period in (("ping", self.pings), ("own", self.own)) if period}

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; ``None`` for a connection without a heartbeat."""
        return max(0.0, min(self._due.values()) - now) if self._due else None

    def beats(self, now: float) -> list[str]:
        """What is due now: ``ping`` and ``own``."""
        due = [kind for kind, at in self._due.items() if at <= now]
        for kind in due:
            self._due[kind] = now + (self.pings if kind == "ping" else self.own)
        return due

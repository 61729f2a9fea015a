"""When a line may send its next frame: providers count every outbound message, heartbeats included.

Nothing here does I/O; the clock is the caller's, in seconds that only rise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from producer.feeds.provider import Capabilities
from producer.line.backoff import Backoff

Message = str | bytes

PING: Message = b"\x00protocol ping"
"""Stands for a ping of the WebSocket protocol, which providers count like any message."""


class TokenBucket:
    """At most so many messages in any stretch of time, and each so long after the one before.

    A plain bucket lets twice its content through in its first period. This one is filled at a rate that makes up for
    its own content, so that no stretch of ``seconds`` sees more than ``messages``: a provider that counts by the minute
    bans for the sixty-first.
    """

    def __init__(self, messages: float | None = None, seconds: float = 1.0, *, apart: float = 0.0) -> None:
        """Full.

        Args:
            messages: most in ``seconds``; ``None`` for no limit.
            apart: seconds between two messages.
        """
        self._apart = apart
        self._content = 1.0 if messages is None else max(1.0, messages // 6)
        # What a bucket of one message holds is the rate itself: `apart` alone keeps the stretch.
        spare = messages - self._content if messages is not None else 0.0
        self._rate = None if messages is None else (spare if spare > 0 else messages) / seconds
        if messages is not None and spare <= 0:
            self._apart = max(apart, seconds / messages)
        self._tokens = self._content
        self._filled = 0.0
        self._last: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until a message may go, 0 if now."""
        waits = [0.0]
        if self._last is not None:
            waits.append(self._last + self._apart - now)
        if self._rate is not None:
            self._fill(now)
            waits.append((1.0 - self._tokens) / self._rate)
        return max(waits)

    def take(self, now: float) -> None:
        """A message goes now. ``wait`` gives whether it may; a message that had to go is counted all the same."""
        self._fill(now)
        self._last = now
        if self._rate is not None:
            self._tokens -= 1.0

    def book(self, now: float) -> float:
        """Take the next token that will be there, and give the seconds until then: for one that waits by itself."""
        wait = self.wait(now)
        self.take(now + wait)
        return wait

    def _fill(self, now: float) -> None:
        if self._rate is not None and self._last is not None:
            self._tokens = min(self._content, self._tokens + max(0.0, now - self._filled) * self._rate)
        self._filled = max(self._filled, now)


def bucket_of(able: Capabilities) -> TokenBucket:
    """What a provider lets one connection send."""
    return TokenBucket(able.messages, able.messages_seconds, apart=able.messages_apart)


@dataclass
class Outbox:
    """What a connection has yet to send, under every bucket that counts it.

    Heartbeats go before requests: a subscription of forty chunks must not cost the connection its life.
    """

    buckets: Sequence[TokenBucket]
    request_buckets: Sequence[TokenBucket] = ()
    """Of requests alone: what lines of one token share, where their heartbeats would crowd it."""
    _requests: deque[Message] = field(default_factory=deque, init=False)
    _beats: dict[Message, None] = field(default_factory=dict, init=False)
    _not_before: float = field(default=0.0, init=False)

    def ask(self, messages: Sequence[Message]) -> None:
        """Queue requests, in order."""
        self._requests.extend(messages)

    def beat(self, message: Message) -> None:
        """Queue a heartbeat; one that still waits is as good as two."""
        self._beats[message] = None

    def drop_requests(self) -> None:
        """Forget the requests that have not gone: the list that they asked for is another by now."""
        self._requests.clear()

    def hold(self, until: float) -> None:
        """Ask for nothing before a time: the provider is throttling. Heartbeats go on, or it would disconnect."""
        self._not_before = max(self._not_before, until)

    @property
    def idle(self) -> bool:
        """Whether every request has gone."""
        return not self._requests

    def wait(self, now: float) -> float | None:
        """Seconds until ``next`` gives a message; ``None`` while there is none to send."""
        if not self._beats and not self._requests:
            return None
        held = 0.0 if self._beats else self._not_before - now
        return max(held, *(bucket.wait(now) for bucket in self._counting()), 0.0)

    def next(self, now: float) -> Message | None:
        """The message to send now, counted as sent; ``None`` where there is none or it is not yet time."""
        wait = self.wait(now)
        if wait is None or wait > 1e-9:
            return None
        for bucket in self._counting():
            bucket.take(now)
        if not self._beats:
            return self._requests.popleft()
        message = next(iter(self._beats))
        del self._beats[message]
        return message

    def _counting(self) -> list[TokenBucket]:
        """The buckets that count the message which is next."""
        return [*self.buckets, *(() if self._beats else self.request_buckets)]


@dataclass(frozen=True)
class Pace:
    """What a line may do, and when.

    Attributes:
        buckets: every outbound message takes a token of each.
        request_buckets: every request does, heartbeats not; lines of one token share one.
        dials: likewise every attempt to connect.
        heartbeat: seconds between protocol pings, where the feed takes them; 0 for none.
        heartbeat_message: sent with every ping, for servers that want a message of their own.
        backoff: between attempts.
    """

    buckets: Sequence[TokenBucket] = field(default_factory=lambda: (TokenBucket(),))
    request_buckets: Sequence[TokenBucket] = ()
    dials: Sequence[TokenBucket] = ()
    heartbeat: float = 20.0
    heartbeat_message: str | None = None
    backoff: Backoff = field(default_factory=Backoff)

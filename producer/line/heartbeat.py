"""The sending half of a connection: login, subscription, changes of the list, heartbeat, all under the buckets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed

from producer.feeds.provider import Capabilities, Feed
from producer.gaps.volume import Detected
from producer.line.backoff import Backoff
from producer.line.connection import FrameConnection
from producer.line.pacing import PING, Message, Outbox, TokenBucket
from producer.line.subscription import MustReconnect, Subscription
from producer.line.tasks import fault_of

log = logging.getLogger(__name__)

SILENT_BEATS = 3
"""Heartbeats without a single byte after which a connection counts as dead, where they are answered."""


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


@dataclass(frozen=True)
class End:
    """Why a connection is ended from this side; ``since`` is when it delivered last (µs), where that is known."""

    reason: str
    detected: Detected = "disconnect"
    since: int | None = None


class Heart:
    """When the next beat of each kind is due, and when silence between them means death. Pure."""

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


class Speaker:
    """Sends what one connection has to send. ``ended`` is told once when the connection can't go on."""

    def __init__(
        self,
        feed: Feed,
        subscription: Subscription,
        pace: Pace,
        greeting: Sequence[Message],
        *,
        changed: Callable[[], None],
    ) -> None:
        """Nothing is sent before ``run``.

        Args:
            changed: called when requests for another list have been queued.
        """
        self.logged_in = not feed.capabilities.logged_in_by_answer
        self.asked_at: float | None = None
        """When the subscription was asked for, in seconds that only rise."""
        self._feed = feed
        self._subscription = subscription
        self._pace = pace
        self._changed = changed
        self._outbox = Outbox(pace.buckets, pace.request_buckets)
        self._outbox.ask(greeting)
        self._work = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether every request has gone."""
        return self._outbox.idle

    def wake(self) -> None:
        """Something has changed: a login was answered, another list is wanted."""
        self._work.set()

    def hold(self, seconds: float) -> None:
        """Send nothing for a while: the feed is throttling."""
        self._outbox.hold(clock() + seconds)

    async def run(self, connection: FrameConnection) -> End | None:
        """Send what is due, until the connection ends or has to."""
        beating = asyncio.create_task(self._beat(connection), name="heartbeat")
        beating.add_done_callback(lambda _: self._work.set())
        try:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    if beating.done():
                        if beating.cancelled() or beating.exception() is not None:
                            raise fault_of(beating)
                        return beating.result()
                    try:
                        self._ask()
                    except MustReconnect:
                        return End("the list of codes changed, which takes a new connection here")
                    await self._send_one(connection)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        return None

    async def _send_one(self, connection: FrameConnection) -> None:
        """Send the next message, or wait until there may be one."""
        wait = self._outbox.wait(clock())
        if wait is None or wait > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), wait)
            self._work.clear()
            return
        message = self._outbox.next(clock())
        if message == PING:
            _ = await connection.ping()
        elif message is not None:
            await connection.send(message)

    def _ask(self) -> None:
        """Queue what is to be asked for, once what was asked before has gone: changes in between become one.

        Raises:
            MustReconnect: only a new connection can ask it.
        """
        if not (self.logged_in and self._outbox.idle):
            return
        if not self._subscription.begun:
            self._outbox.ask(self._subscription.begin())
            self.asked_at = clock()
        elif requests := self._subscription.due():
            self._outbox.ask(requests)
            self._changed()

    async def _beat(self, connection: FrameConnection) -> End | None:
        """Keep the heartbeat; gives the end of a connection on which nothing is heard though an answer is due."""
        heart = Heart(self._feed.capabilities, self._pace, clock())
        loop_time = asyncio.get_running_loop().time
        while (wait := heart.wait(clock())) is not None:
            await asyncio.sleep(wait)
            if heart.limit and not connection.held_back and loop_time() - connection.heard > heart.limit:
                return End(f"nothing heard for {heart.limit:g} s", "silence")
            for kind in heart.beats(clock()):
                message = PING if kind == "ping" else self._pace.heartbeat_message or self._feed.heartbeat()
                if message is not None:
                    self._outbox.beat(message)
            self._work.set()
        await asyncio.Event().wait()
        return None


def clock() -> float:
    """Seconds that only rise."""
    return time.monotonic()

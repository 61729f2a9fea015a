"""The sending half of a connection: login, subscription, list changes, heartbeats, all under the buckets. No I/O.

``next`` gives what to send now, ``wait`` the time until something is due.
"""

from __future__ import annotations

from collections.abc import Sequence

from producer.errors import ReconnectNeededError
from producer.feeds.provider import Feed
from producer.line.effects import Close, Send
from producer.line.heartbeat import Heartbeat
from producer.line.pacing import PING, Message, Outbox, Pace
from producer.line.subscription import Subscription


class Outgoing:
    """What one connection has to send.

    Attributes:
        logged_in: the login was answered, or needs no answer.
        asked_at: when the subscription was asked for, in seconds that only rise.
        list_changed: requests for another list have been queued; whoever takes note of it sets it back.
    """

    def __init__(
        self, feed: Feed, subscription: Subscription, pace: Pace, greeting: Sequence[Message], now: float
    ) -> None:
        """A connection that opens ``now``, in seconds that only rise."""
        self.logged_in = not feed.capabilities.logged_in_by_answer
        self.asked_at: float | None = None
        self.list_changed = False
        self._feed = feed
        self._subscription = subscription
        self._message = pace.heartbeat_message
        self._heartbeat = Heartbeat(feed.capabilities, pace, now)
        self._outbox = Outbox(pace.buckets, pace.request_buckets)
        self._outbox.ask(greeting)

    @property
    def idle(self) -> bool:
        """Whether every request has gone."""
        return self._outbox.idle

    def hold(self, until: float) -> None:
        """Ask for nothing before a time: the feed is throttling."""
        self._outbox.hold(until)

    def next(self, now: float, silent: float | None) -> Send | Close | None:
        """What is to be done now, if anything.

        Args:
            silent: seconds for which not a byte has come; ``None`` while the socket is not read.
        """
        for kind in self._heartbeat.beats(now):
            if self._heartbeat.limit and silent is not None and silent > self._heartbeat.limit:
                return Close(f"nothing heard for {self._heartbeat.limit:g} s", "silence")
            message = PING if kind == "ping" else self._message or self._feed.heartbeat()
            if message is not None:
                self._outbox.beat(message)
        try:
            self._ask(now)
        except ReconnectNeededError:
            return Close("the list of codes changed, which takes a new connection here")
        message = self._outbox.next(now)
        return None if message is None else Send(message)

    def wait(self, now: float) -> float | None:
        """Seconds until ``next`` has something by itself; ``None`` while nothing is due."""
        waits = [wait for wait in (self._outbox.wait(now), self._heartbeat.wait(now)) if wait is not None]
        return min(waits, default=None)

    def _ask(self, now: float) -> None:
        """Queue what is to be asked for, once what was asked before has gone: changes in between become one.

        Raises:
            ReconnectNeededError: only a new connection can ask it.
        """
        if not (self.logged_in and self._outbox.idle):
            return
        if not self._subscription.begun:
            self._outbox.ask(self._subscription.begin())
            self.asked_at = now
        elif requests := self._subscription.due():
            self._outbox.ask(requests)
            self.list_changed = True

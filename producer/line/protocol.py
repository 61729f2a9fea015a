"""One line's whole life without I/O: frames, answers and time go in, effects come out.

A line dials, logs in, subscribes, reads, is watched, is lost, announces what was missed, and dials again. Here it is
decided what happens; ``producer.line.driver`` makes it happen: it calls a method for all that comes, and carries out
the effects that the method gives, one by one and in order, before it asks for the next.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from producer.clock import now
from producer.errors import RefusedAgainError
from producer.feeds.decoded import Decoded, Frame
from producer.gaps.gap import Detected
from producer.line.attempts import Closing
from producer.line.effects import Close, Effect, Send
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.line.receiver import Receiver
from producer.line.retry import hint
from producer.line.state import LineState
from producer.line.watchdog import ANSWER_SECONDS

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""A connection that was subscribed for so long has succeeded, whether ticks came or not."""
_IN_FLIGHT_US = 1_000_000
"""Data in flight is lost with the connection: since its last tick, or for so long before its last byte."""


class LineProtocol:
    """One line. ``producer.line.receiver`` has a frame's way, ``producer.line.state`` what is known in between."""

    def __init__(
        self,
        endpoint: Endpoint,
        codes: Sequence[str] | None,
        pace: Pace,
        *,
        name: str = "",
        own_clock: bool = False,
        decode: Callable[[Frame], Decoded] | None = None,
        position: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = now,
    ) -> None:
        """A line that has not begun.

        Args:
            codes: to subscribe, ``None`` for the whole market; ``want`` changes them.
            name: of this connection, for the log and the events.
            own_clock: the feed's times are known to be another clock's.
            decode: reads a frame; the feed's own way if not given.
            position: gives the number of the stream's last tick.
            clock: gives seconds that only rise.
            wall: gives the local time, µs since the epoch.

        Raises:
            UsageError: it can't be dialled, or asked for the codes.
        """
        self.state = LineState(
            endpoint, codes, pace, name=name, own_clock=own_clock, position=position, clock=clock, wall=wall
        )
        self._receiver = Receiver(self.state, decode or endpoint.feed.decode)
        self.check(codes)
        self.state.reset()

    # The list of codes.

    def want(self, codes: Sequence[str] | None) -> None:
        """Subscribe these instead, without a new connection where the feed allows it."""
        wanted = None if codes is None else tuple(codes)
        if wanted != self.state.subscription.wanted:
            self.state.subscription.want(wanted)
            self.state.outage.keep(wanted)
            self.state.urgent = True

    def check(self, codes: Sequence[str] | None) -> None:
        """Find out whether the feed can be asked for these codes. Nothing is sent.

        Raises:
            UsageError: it can't; the text names the code.
        """
        if codes is None or codes:
            self.state.endpoint.address(codes)
            copy.copy(self.state.endpoint.feed).subscribe(codes)  # of the line's own, the requests are counted

    def receive(self, frames: Iterable[Frame]) -> Iterator[Effect]:
        """Frames came off one read of the socket."""
        return self._receiver.receive(frames)

    # What is due by time.

    def outgoing(self, silent: float | None) -> Send | Close | None:
        """What is to be done towards the server now, if anything.

        Args:
            silent: seconds for which not a byte has come; ``None`` while the socket is not read.
        """
        state = self.state
        effect = state.outgoing.next(state.clock(), silent)
        if state.outgoing.list_changed:
            state.outgoing.list_changed = False
            state.watchdog.rearm(state.clock())
            log.info("%sthe list of codes changed", state.prefix)
            state.connection.relisting, state.connection.relisted_at = state.subscription.confirmed, None
        if isinstance(effect, Close):
            state.connection.end = state.connection.end or effect
        return effect

    def outgoing_wait(self) -> float | None:
        """Seconds until there is something to send by itself; ``None`` while nothing is due."""
        return self.state.outgoing.wait(self.state.clock())

    def look(self, behind: float = 0.0) -> Iterator[Effect]:
        """Some time has passed: see whether the connection waits in vain, and announce what is due.

        Args:
            behind: seconds for which another line of the same codes has brought ticks and this one none.
        """
        state = self.state
        connection, at = state.connection, state.clock()
        if connection.end is None and state.watchdog.stands(connection, state.outgoing, at):
            yield from state.confirm(state.position(), "nothing was said against it")
        if connection.end is None:
            verdict = state.watchdog.verdict(connection, state.outgoing, at, state.wall() // 1000, behind)
            connection.end = state.refusal() if verdict is not None and state.refused_at_all else verdict
        if connection.end is not None:
            end = connection.end
            yield end if isinstance(end, Close) else Close(state.text_of(end))
            return
        yield from self._relisted(at)
        unseen = state.unseen.look(state.market(), at)
        yield from state.never_seen(unseen)
        yield from self.summaries(at)
        yield from state.findings(state.readability.look(at))

    def summaries(self, at: float | None = None) -> Iterator[Effect]:
        """Announce as one what was too much to be announced one by one: what is due by then, or all of it."""
        yield from self.state.announced(self.state.gaps.due(at))
        refused = self.state.connection.refusals.covering(at)
        if refused is not None:
            reason, codes, count = refused
            log.error("%s%s", self.state.prefix, reason)
            yield self.state.event("refused", reason=reason, codes=codes, count=count)

    def _relisted(self, at: float) -> Iterator[Effect]:
        """Announce another list when it is in force: all requests for it have gone, and are answered or never will be.

        Under a bucket they may take a while, in which a code that comes is not yet delivered.
        """
        state = self.state
        connection = state.connection
        if not connection.relisting or not state.outgoing.idle:
            return
        if connection.relisted_at is None:
            connection.relisted_at = at
        if state.subscription.answered_in_full or at - connection.relisted_at > ANSWER_SECONDS:
            connection.relisting = False
            yield state.event("subscribed", reason="the list of codes changed", codes=state.subscription.concerned())

    # Connections, one after the other.

    def start(self) -> Iterator[Effect]:
        """The line begins."""
        yield self.state.event("started")

    def idle(self) -> bool:
        """Whether no code is on this line, so that there is nothing to connect for; the state says so then."""
        if self.state.subscription.wanted != ():
            return False
        self.state.doing = "idle"
        return True

    def dial(self) -> None:
        """A connection to ``address`` is about to be tried."""
        self.state.doing = "connecting"
        self.state.reset()
        self.state.address = self.state.endpoint.address(self.state.subscription.wanted)

    def not_dialled(self, error: Exception) -> Iterator[Effect]:
        """No connection came about.

        Raises:
            UsageError: no attempt will help.
        """
        state = self.state
        try:
            state.attempts.not_dialled(error, state.address)
        except RefusedAgainError as refusal:
            yield state.refused_again(refusal)
            return
        state.problem = state.text_of(error) + hint(error, state.address, worked=state.attempts.connected)
        log.warning("%sno connection to %s: %s", state.prefix, state.address.shown, state.problem)

    def connected(self) -> Iterator[Effect]:
        """A connection stands."""
        state = self.state
        state.attempts.connected = True
        state.doing = "connected"
        state.opened()
        log.info("%sconnected to %s", state.prefix, state.address.shown)
        yield state.event("connected", reason=state.address.shown)

    def failed(self, fault: Exception) -> None:
        """A task of the connection has ended, and the line ends with it."""
        self.state.connection.end = fault
        self.state.problem = self.state.text_of(fault)
        log.error("%sa task of the line has ended: %s", self.state.prefix, self.state.problem)

    def cut_short(self) -> Iterator[Effect]:
        """Frames that had come could not be taken in after a task had failed."""
        reason = f"frames that had come were given up: {self.state.problem}"
        yield self.state.event("overflow", reason=reason, detected="overflow")

    def lost(self, code: int | None, closed: str, fault: str | None, silent: float) -> Iterator[Effect]:
        """The connection has ended, and nothing is known from its last tick on.

        Args:
            code: the server's close code, if it sent one.
            closed: how it ended, in words.
            fault: the bound that the server went beyond, where that ended it.
            silent: seconds since the last byte.

        Raises:
            UsageError: it ended in a way that no further attempt changes.
            Exception: a task of the line failed.
        """
        state, connection, confirmed = self.state, self.state.connection, self.state.subscription.confirmed
        at, end = state.clock(), connection.end
        lived = at - connection.opened
        if confirmed and lived >= QUIET_SECONDS:
            state.succeeded()
        since = max(connection.ticked_at, state.wall() - int(silent * 1e6) - _IN_FLIGHT_US)
        detected: Detected = "disconnect"
        if isinstance(end, Close):
            reason, detected, since = end.reason, end.detected, end.since or since
        else:
            reason = fault or (state.scrub(closed) if end is None else state.text_of(end))
        if confirmed:
            state.outage.begin(since, state.subscription.concerned(), detected, reason)
            state.outage.keep(state.subscription.wanted)
        state.problem = reason
        log.warning("%sconnection to %s lost: %s", state.prefix, state.address.shown, reason)
        yield state.event(
            "disconnected",
            reason=reason,
            start=since if confirmed else None,
            delivers=False,
            since=since,
            outage=detected,
        )
        try:
            if isinstance(end, Exception):
                raise end
            state.attempts.closed(
                Closing(code, confirmed, end is not None, connection.taken_over, connection.heard, lived, at),
                state.address,
            )
        except RefusedAgainError as refusal:
            yield state.refused_again(refusal)
            return
        if state.refused_at_all:
            raise state.refusal()

    def pause(self) -> float:
        """Seconds until the next attempt: in trading hours little is waited, and into them no more."""
        self.state.doing = "waiting"
        delay = self.state.attempts.pause(self.state.longest_pause())
        log.info("%snext attempt in %.1f s", self.state.prefix, delay)
        return delay

    def stop(self, reason: str, *, ending: bool, cut_short: bool = False) -> Iterator[Effect]:
        """The line ends.

        Args:
            ending: as it was told to.
            cut_short: without taking in what had come.
        """
        state = self.state
        state.doing = "stopped"
        if cut_short:
            yield state.event(
                "overflow",
                reason="frames that had come were given up, as the stop could not wait for Kafka",
                detected="overflow",
            )
        yield from state.never_seen(state.unseen.end(state.clock()))
        yield from state.findings(state.readability.limited())
        yield state.event("stopped", reason=reason, delivers=False, since=state.wall(), ending=ending)

    def text_of(self, error: BaseException) -> str:
        """An error's text, without the secrets of the address; it is the line's problem from now on."""
        self.state.problem = self.state.text_of(error)
        return self.state.problem

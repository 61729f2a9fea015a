"""What frames bring, in order: ticks and dead letters go on, answers are taken in, gaps are announced. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from producer.errors import RefusedAgainError
from producer.feeds.decoded import Answer, Decoded, FeedTick, Frame, Letter, Packet
from producer.line.effects import DeadLetters, Effect, Ticks
from producer.line.retry import token_refused
from producer.line.state import LineState
from producer.line.watchdog import LOOK_SECONDS

log = logging.getLogger(__name__)

SLICE = 2_048
"""Ticks that are handed on at one time, about: 16 MiB of frames can hold half a million."""
LIVED_SECONDS = 5.0
"""A connection on which ticks still come so long after it stood has succeeded. A cached tick after the subscription
shows nothing, and neither does a handshake."""
_LOGGED = 20  # lines of the log for each kind of answer on a connection
_REASON = 1_000


class Receiver:
    """The receiving half of one line."""

    def __init__(self, state: LineState, decode: Callable[[Frame], Decoded]) -> None:
        """Nothing has come.

        Args:
            decode: reads a frame.
        """
        self._state = state
        self._decode = decode

    def receive(self, frames: Iterable[Frame]) -> Iterator[Effect]:
        """Frames came. Ticks that came in one read of the socket go on together."""
        self._state.connection.heard = True
        readability = self._state.readability
        ticks: list[FeedTick] = []
        received = 0
        for frame in frames:
            readability.frames += 1
            decoded = self._decoded(frame)
            alone = decoded.packet is not None or decoded.answers or decoded.letters
            if ticks and (alone or frame.received != received or len(ticks) > SLICE):
                yield from self._ticks(ticks, received)
                ticks = []
            received = frame.received
            if not alone:
                ticks += decoded.ticks
                continue
            if decoded.letters:
                since = self._state.connection.in_flight_since = self._state.clock()
                yield DeadLetters(decoded.letters, received)
                self._done(since)
            yield from self._ticks(decoded.ticks, received, decoded.packet, decoded.answers)
        if ticks:
            yield from self._ticks(ticks, received)

    def _decoded(self, frame: Frame) -> Decoded:
        """What a frame holds; a decoder that fails costs the frame."""
        try:
            return self._decode(frame)
        except Exception as error:
            log.exception(
                "the decoder failed over a frame of %d bytes, which goes to the dead letters", len(frame.payload)
            )
            return Decoded([], [Letter(frame.payload, f"decoder: {error!r}"[:_REASON], "frame")], [])

    def _ticks(
        self, ticks: list[FeedTick], received: int, packet: Packet | None = None, answers: Sequence[Answer] = ()
    ) -> Iterator[Effect]:
        """Hand on ticks, take in what came with them, and announce what they show to be missing."""
        state = self._state
        before, came = state.position(), state.clock()
        if ticks:
            state.connection.in_flight_since = came
            yield Ticks(ticks, received, state.filtered)
            self._done(came)
        for answer in answers:
            yield from self._answered(answer)
        if state.gaps.looks and (ticks or packet is not None):
            yield from state.announced(state.gaps.came(ticks, packet, received, before, came))
        if ticks and self._flowing(ticks, received, came):
            yield from state.confirm(before, "ticks arrive")

    def _flowing(self, ticks: list[FeedTick], received: int, came: float) -> bool:
        """Take note that ticks come, of the codes and the feed's clock; gives whether they confirm the subscription."""
        state = self._state
        connection, subscription, outgoing = state.connection, state.subscription, state.outgoing
        at = state.clock()
        connection.ticked_at, connection.flowing, state.ticked_when = received, True, at
        connection.ticked_of = ticks[-1].time
        subscription.saw(ticks)
        state.silence.heard(ticks, received // 1000, at)
        if not connection.lived and came - connection.opened >= LIVED_SECONDS:
            state.succeeded()
        if subscription.confirmed or outgoing.asked_at is None or not outgoing.idle:
            return False
        # Of several requests, ticks show that one was taken; the others show it by their answers, or with time.
        return subscription.first <= 1 or subscription.answered_in_full

    def _done(self, since: float) -> None:
        """An effect has been carried out; the time that it waited for Kafka is not the feed's silence."""
        self._state.connection.in_flight_since = None
        at = self._state.clock()
        if at - since > LOOK_SECONDS:
            self._state.watchdog.rearm(at)

    # The server's answers.

    def _answered(self, answer: Answer) -> Iterator[Effect]:
        text, connection = self._state.scrub(answer.text), self._state.connection
        connection.answers[answer.kind] += 1
        if connection.answers[answer.kind] == _LOGGED:
            log.warning(
                "%smore answers of the kind %r on this connection are not logged", self._state.prefix, answer.kind
            )
        level = logging.NOTSET if connection.answers[answer.kind] > _LOGGED else logging.WARNING
        match answer.kind:
            case "subscribed":
                yield from self._acknowledged(answer)
            case "refused":
                yield from self._refuse(answer, text)
            case "logged_in":
                self._state.outgoing.logged_in = self._state.urgent = True
            case "unauthorised":
                fault = token_refused(self._state.address, text)
                again = RefusedAgainError(str(fault)) if self._state.attempts.subscribed else fault
                connection.end = connection.end or again
            case "kicked":
                connection.taken_over = True
                log.log(level, "%sanother login takes this connection over: %s", self._state.prefix, text)
            case "throttled":
                log.log(level, "%sthe feed is throttling: %s", self._state.prefix, text)
                self._state.outgoing.hold(self._state.clock() + self._state.attempts.throttled(answer.wait))
            case "closing":
                log.log(level, "%sthe feed is about to close: %s", self._state.prefix, text)
            case _:
                log.debug("an answer of the feed: %s", text)

    def _acknowledged(self, answer: Answer) -> Iterator[Effect]:
        subscription = self._state.subscription
        self._state.filtered = answer.trades_only
        subscription.answered(answer)
        lacking = subscription.missing(answer) if answer.whole else []
        if lacking:
            text = f"{len(lacking):,} codes are not among those that the feed says it has taken"
            yield from self._refusal(text, lacking)
        if subscription.answered_in_full and self._state.outgoing.idle:
            yield from self._state.confirm(self._state.position(), "acknowledged")

    def _refuse(self, answer: Answer, text: str) -> Iterator[Effect]:
        connection = self._state.connection
        if connection.refusal is None:
            connection.refused_at = self._state.clock()
        connection.refusal = self._state.problem = text
        self._state.subscription.answered(answer)
        yield from self._refusal(text, answer.codes or None)

    def _refusal(self, text: str, codes: Sequence[str] | None) -> Iterator[Effect]:
        if self._state.connection.refusals.alone(text, codes, self._state.clock()):
            log.error("%sthe feed refuses: %s", self._state.prefix, text)
            yield self._state.event("refused", reason=text, codes=None if codes is None else list(codes))

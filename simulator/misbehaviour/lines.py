"""Connections that end, or live on without a tick. Each is a gap that a right client announces."""

from __future__ import annotations

from simulator.feeds.provider import Provider, Refusal
from simulator.misbehaviour.kind import Kind, LineKind


class Kill(LineKind):
    """The connection is reset.

    A right client reconnects, subscribes again and announces one gap; its ticks are lost.
    """

    name = "kill"


class Close(LineKind):
    """A close frame, 1012 (the server restarts). As ``kill``: one gap, ticks lost."""

    name = "close"
    ending = "closed"
    code = 1012


class Kick(LineKind):
    """The words for a second login on the token, and the end.

    A right client reconnects, once; again and again would mean two producers on one token, and it would stop and say
    so. One gap, ticks lost.
    """

    name = "kick"
    words = "kicked"
    ending = "closed"


class Throttle(LineKind):
    """The words for too many requests, where there are documented ones, the end, and HTTP 429 for a second.

    A right client waits as long as the provider wants, or longer and longer, and comes back. One gap, ticks lost.
    """

    name = "throttle"
    words = "throttled"
    ending = "closed"
    shut_seconds = 1.0
    detected_after = 8.0

    def after(self, provider: Provider) -> float:
        """What the provider wants, besides."""
        return self.detected_after + (provider.throttled_seconds or 0.0)


class _Silent(LineKind):
    """Only to be noticed by what does not come, and so by who has seen for some seconds what does."""

    ripe = 4.5
    detected_after = 20.0


class Silence(_Silent):
    """The socket stays open, and nothing comes over it, not even an answer.

    A right client notices within some 10 s of a session that no tick comes, reconnects and announces one gap that
    begins with the last tick; ticks are lost.
    """

    name = "silence"
    ending = "open"
    answers = False


class ErrorThenSilence(_Silent):
    """An error frame, and no tick after it, while messages are answered. As ``silence``: one gap, ticks lost."""

    name = "error-then-silence"
    words = "error"
    ending = "open"


class AcknowledgedWithoutData(_Silent):
    """The connection is reset, and the next subscription of its codes is acknowledged and never leads to data.

    A right client announces the gap of the reset, and then, as with ``silence``, one of the new connection. Ticks are
    lost in both: two faults, one of each connection.
    """

    name = "ack-without-data"
    empty_subscriptions = 1
    detected_after = 21.0


class CachedThenClose(LineKind):
    """The connection is reset; the next three are pushed what was last known of their codes, and closed at once.

    A right client takes no such snapshot for success: its pauses grow, up to what it takes as its most in a session.
    It announces the gap of the reset, and those of the connections with it or each by itself; ticks are lost in all.
    """

    name = "cached-then-close"
    empty_subscriptions = 3
    cached_first = True
    detected_after = 25.0

    def suits(self, provider: Provider) -> bool:
        """Those that push what is cached, and those where nobody can tell it from trades."""
        return provider.caches or not provider.knows_repeats


class RefusedInSession(LineKind):
    """The connection is reset, and for two seconds the handshake is refused with HTTP 401.

    What worked with this token in this run is tried again by a right client, with growing pauses, and said loudly. One
    gap, ticks lost.
    """

    name = "refused-in-session"
    shut_seconds = 2.0
    refusal = Refusal(401, b'{"message":"unauthorized"}')
    detected_after = 15.0


class Redirect(LineKind):
    """The connection is reset, and for two seconds the handshake is answered by a redirect to another origin.

    A right client follows it in no case, since its token would go there; it says who sent it where, and tries the
    address that worked again. One gap, ticks lost.
    """

    name = "redirect"
    shut_seconds = 2.0
    refusal = Refusal(302, b"", (("Location", "ws://127.0.0.2:9/elsewhere"),))
    detected_after = 15.0


class EmptyFragments(LineKind):
    """A message begins, and goes on in empty fragments that do not end; after some MiB of them, a reset.

    A right client hangs up when there are too many, and comes back. One gap, ticks lost.
    """

    name = "empty-fragments"
    ending = "flooded"
    detected_after = 12.0


class EscapesInClose(LineKind):
    """A close frame whose reason would clear a terminal, change its title and forge a line of a log.

    A right client shows none of that as it is. As ``close``: one gap, ticks lost.
    """

    name = "escapes-in-close"
    ending = "closed"
    code = 4000
    reason = "\x1b[2J\x1b]0;owned\x07\r\nINFO all is well"


class RefusedToken(Kind):
    """Every token is refused, in the provider's own way.

    A right client stops the line, says why in plain words, and does not come back. No part of ``all``.
    """

    name = "refused-token"
    survivable = False
    standing = True

    def suits(self, provider: Provider) -> bool:
        """All but Binance, which asks for none."""
        return provider.name != "binance"


class TooManyCodes(Kind):
    """A connection takes 20 codes, whatever is documented: what is above is refused, or silently cut off (AllTick).

    A right client says which codes were refused, or never seen, and goes on with the others. It never gets the ticks of
    those, which are in no page of the ledger; so this is not part of ``all``.
    """

    name = "too-many-codes"
    survivable = False
    standing = True
    limit = 20


class HeartbeatWithoutReply(Kind):
    """Heartbeats get no answer.

    A right client goes by what comes in, whatever it is, and goes on: no ticks are lost.
    """

    name = "heartbeat-without-reply"
    standing = True

    def suits(self, provider: Provider) -> bool:
        """Those that answer them otherwise."""
        return provider.answers_beats


class Greeting(Kind):
    """Each connection is greeted with a sentence that is not JSON.

    A right client counts it, keeps it as a dead letter if it likes, and goes on: no ticks are lost.
    """

    name = "greeting"
    standing = True
    sentence = "Welcome to the market, have a nice day"


LINES: tuple[type[LineKind], ...] = (
    Kill, Close, Kick, Throttle, Silence, ErrorThenSilence, AcknowledgedWithoutData, CachedThenClose, RefusedInSession,
    Redirect, EmptyFragments, EscapesInClose,
)  # fmt: skip
STANDING: tuple[type[Kind], ...] = (RefusedToken, TooManyCodes, HeartbeatWithoutReply, Greeting)

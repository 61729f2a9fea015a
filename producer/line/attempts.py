"""What a line has learnt from its attempts to connect: which to give up, and how long to wait before the next. No I/O.

``producer.line.retry`` judges one failure by itself; here failures are judged by what came before them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from producer.feeds.provider import Capabilities
from producer.line.address import Address
from producer.line.backoff import Backoff
from producer.line.retry import LONGEST_WAIT, after_closing, after_dialling, token_refused
from schemas import UsageError

RAPID = 30.0
"""Seconds. A connection that lives longer was not taken over as soon as it stood."""
MOST_TAKEOVERS = 5
MOST_SILENT_CLOSES = 4
SILENT_CLOSES_SECONDS = 60.0
"""Longer than any server counts a dead connection: one that is refused for that comes through before."""
_RESTARTS = frozenset({1001, 1012, 1013})  # going away, restart, try again later: no other login closes with these


@dataclass
class Takeovers:
    """Connections that another login took over, one soon after the other: two producers on one token."""

    _times: deque[float] = field(default_factory=deque)

    def taken_over(self, lived: float) -> bool:
        """A connection was taken over after so many seconds; whether that is too often to be chance."""
        if lived > RAPID:
            self._times.clear()
        self._times.append(lived)
        return len(self._times) >= MOST_TAKEOVERS

    def reset(self) -> None:
        """A connection ended in another way, or has lived long enough."""
        self._times.clear()


@dataclass
class SilentCloses:
    """Connections that were closed without a message, one after the other: how some feeds refuse a token."""

    _since: float = 0.0
    _count: int = 0

    def refused(self, now: float, *, silent: bool) -> bool:
        """A connection ended; whether so many did so without a message, for so long, that it is not chance."""
        if not silent:
            self._count = 0
            return False
        if not self._count:
            self._since = now
        self._count += 1
        return self._count >= MOST_SILENT_CLOSES and now - self._since >= SILENT_CLOSES_SECONDS


@dataclass(frozen=True)
class Closing:
    """How a connection ended.

    Attributes:
        code: the server's close code, ``None`` where it sent none.
        subscribed: the subscription stood.
        ours: it was ended from this side.
        taken_over: the feed announced that another login took it over.
        heard: at least one frame came.
        lived: seconds.
        at: when it ended, in seconds that only rise.
    """

    code: int | None
    subscribed: bool
    ours: bool
    taken_over: bool
    heard: bool
    lived: float
    at: float


class Attempts:
    """The attempts of one line.

    Attributes:
        connected: a handshake succeeded in this run.
        subscribed: a subscription stood in this run.
        refused_again: pauses between attempts that are refused as if for good, after some that were not.
    """

    def __init__(self, able: Capabilities, backoff: Backoff) -> None:
        """None yet."""
        self.connected = False
        self.subscribed = False
        self.backoff = backoff
        self.refused_again = Backoff(1.0, 60.0)
        self._able = able
        self._takeovers = Takeovers()
        self._silent_closes = SilentCloses()
        self._wait = 0.0

    def begin(self) -> None:
        """Another attempt: nobody has asked to wait after it."""
        self._wait = 0.0

    def succeeded(self) -> None:
        """The connection has lived: the next failure is the first of its kind."""
        self.backoff.reset()
        self.refused_again.reset()

    def throttled(self, seconds: float | None) -> float:
        """The feed asks to wait; gives for how long it is done."""
        wait = min(seconds or 0.0, LONGEST_WAIT)
        self._wait = max(self._wait, wait)
        return wait

    def refused(self) -> float:
        """What worked before is refused; gives the seconds until the next attempt, at least."""
        pause = self.refused_again.next()
        self._wait = max(self._wait, pause)
        return pause

    def not_dialled(self, error: Exception, address: Address) -> None:
        """No connection came about.

        Raises:
            UsageError: no attempt will help.
            RefusedAgainError: it would not, had it not worked before.
        """
        self._wait = max(self._wait, after_dialling(error, address, worked=self.connected))

    def closed(self, closing: Closing, address: Address) -> None:
        """A connection has ended; returns where another attempt may help.

        Raises:
            UsageError: it may not; the text names what to change.
            RefusedAgainError: it would not, had it not worked before.
        """
        if not closing.ours:
            after_closing(
                closing.code,
                address,
                subscribed=closing.subscribed,
                worked=self.subscribed,
                final=self._able.final_closes,
            )
        if not self._taken_over(closing):
            self._takeovers.reset()
        elif self._takeovers.taken_over(closing.lived):
            raise UsageError(
                f"another login took over the connection to {address.shown} again and again:"
                " two producers on one token? Stop one of them, or give each a token of its own"
            )
        silent = "close" in self._able.token_refused and not closing.heard and not closing.ours
        if not self.subscribed and self._silent_closes.refused(closing.at, silent=silent):
            raise token_refused(address, "it closes every connection without a word")

    def pause(self, at_most: float) -> float:
        """Seconds until the next attempt; what the server asked for counts beyond ``at_most`` too."""
        return self.backoff.next(self._wait, at_most)

    def _taken_over(self, closing: Closing) -> bool:
        """Whether another login ended the connection, by its own word or, where the feed gives none, by closing."""
        silently = self._able.second_login == "kicks the first" and closing.subscribed and not closing.ours
        return closing.taken_over or (silently and closing.code is not None and closing.code not in _RESTARTS)

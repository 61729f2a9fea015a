"""All that is known of one line, between a method of its protocol and the next. No I/O."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from producer.clock import now
from producer.errors import RefusedAgainError
from producer.gaps.detection import Found, GapDetection
from producer.gaps.outage import Outage
from producer.gaps.silence import Silence, until_trading
from producer.line.attempts import Attempts
from producer.line.connection_state import ConnectionState
from producer.line.effects import Effect
from producer.line.endpoint import Endpoint
from producer.line.outgoing import Outgoing
from producer.line.pacing import Pace
from producer.line.readability import Finding, Readability
from producer.line.subscription import Subscription
from producer.line.unseen import UnseenCodes
from producer.line.watchdog import Watchdog
from producer.pipeline.event import Event, Kind
from schemas import UsageError
from schemas.errors import reason_of

log = logging.getLogger(__name__)

SESSION_DELAY = 5.0
"""Longest pause between two attempts while ticks can come, unless the server asks for more."""
_TRADES_SECONDS = 600.0
"""Whatever the clock says, the market of a feed trades if it brought ticks so recently."""

Doing = Literal["starting", "connecting", "connected", "subscribed", "waiting", "idle", "stopped"]


class LineState:
    """One line, through all its connections; ``connection`` and ``outgoing`` are of the one that lives.

    Attributes:
        doing: what the line is doing.
        problem: what went wrong last, or ended the line; ``None`` while all is well.
        address: what is dialled now.
        filtered: the server leaves out ticks without a trade by itself.
        ticked_when: when ticks came last, on any connection, in seconds that only rise.
        urgent: there may be something to send sooner than announced; whoever takes note of it sets it back.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        codes: Sequence[str] | None,
        pace: Pace,
        *,
        name: str,
        own_clock: bool,
        position: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = now,
    ) -> None:
        """As ``LineProtocol`` is made."""
        able = endpoint.capabilities
        self.endpoint = endpoint
        self.pace = pace
        self.name = name
        self.prefix = f"{name}: " if name else ""
        self.position, self.clock, self.wall = position, clock, wall
        self.doing: Doing = "starting"
        self.problem: str | None = None
        self.address = endpoint.address(codes)
        self.filtered = False
        self.urgent = False
        self.ticked_when = -_TRADES_SECONDS
        self.subscription = Subscription(
            endpoint.feed, None if codes is None else tuple(codes), able.changes, able.acknowledgement
        )
        self.gaps = GapDetection(able)
        self.outage = Outage()
        self.attempts = Attempts(able, pace.backoff)
        self.silence = Silence(None if codes is None else len(codes), now=clock(), abroad=able.abroad)
        self.watchdog = Watchdog(self.subscription, self.silence)
        self.unseen = UnseenCodes(self.subscription)
        self.readability = Readability(
            endpoint.feed.guard, self.silence.clock, prefix=self.prefix, own_clock=own_clock, scrub=self.scrub
        )

    def reset(self) -> None:
        """Forget the last connection."""
        self.endpoint.feed.reset()
        self.subscription.opened()
        self.gaps.reset()
        self.attempts.begin()
        self.opened()

    def opened(self) -> None:
        """A connection opens now."""
        at = self.clock()
        self.connection = ConnectionState(at)
        self.outgoing = Outgoing(self.endpoint.feed, self.subscription, self.pace, self.endpoint.greeting(), at)
        self.watchdog.rearm(at)

    def market(self) -> int:
        """The time on the feed's market, ms since the epoch."""
        return self.silence.clock.at(self.wall() // 1000)

    def longest_pause(self) -> float:
        """Seconds between two attempts: in trading hours little is waited, and into them no more."""
        if self.clock() - self.ticked_when < _TRADES_SECONDS:
            return SESSION_DELAY
        return SESSION_DELAY + until_trading(self.market())

    # What happened.

    def succeeded(self) -> None:
        """The connection has lived: the next failure is the first of its kind."""
        self.connection.lived = True
        self.attempts.succeeded()

    def confirm(self, n: int, how: str) -> Iterator[Effect]:
        """Ticks can be expected from now on; an outage ends here."""
        subscription, attempts = self.subscription, self.attempts
        if subscription.confirmed:
            return
        subscription.confirmed = True
        self.doing, self.problem = "subscribed", None
        self.connection.confirmed_at = self.wall()
        self.watchdog.rearm(self.clock())
        kind: Kind = "resubscribed" if attempts.subscribed else "subscribed"
        attempts.subscribed = True
        log.info("%s%s (%s)", self.prefix, kind, how)
        codes = subscription.concerned()
        yield Event(kind, n, how, codes, delivers=True)
        gap = self.outage.end(self.connection.confirmed_at, None if subscription.everything else subscription.wanted)
        if gap is not None:
            yield from self.announced([(gap, n)])

    @property
    def refused_at_all(self) -> bool:
        """Whether the feed has refused what was asked, and never took it in this run."""
        return self.connection.refusal is not None and not self.attempts.subscribed

    def refusal(self) -> UsageError:
        """The error of a subscription that is refused."""
        return UsageError(
            f"the feed at {self.address.shown} refused the subscription: {self.connection.refusal}:"
            " check --symbols and --token"
        )

    def refused_again(self, refusal: RefusedAgainError) -> Event:
        """Log and announce that what was taken before is refused."""
        pause = self.attempts.refused()
        self.problem = str(refusal)
        log.error("%s%s. It worked before in this run: the next attempt is in %.1f s", self.prefix, refusal, pause)
        return self.event("refused", reason=f"{refusal}; it worked before in this run, and is tried again")

    # What is announced.

    def event(self, kind: Kind, **fields: Any) -> Event:
        """An event after the stream's last tick."""
        return Event(kind, self.position(), **fields)

    def announced(self, found: Found) -> Iterator[Effect]:
        """The events of gaps."""
        for gap, n in found:
            yield Event.of_gap(gap, n)

    def findings(self, findings: Iterable[Finding]) -> Iterator[Effect]:
        """The events of what was found wrong."""
        for finding in findings:
            yield self.event(finding.kind, reason=finding.reason, count=finding.count)

    def never_seen(self, codes: Sequence[str]) -> Iterator[Effect]:
        """The event of codes that were not seen, if there are any."""
        if codes:
            log.warning("%s%d codes were asked for and not seen in this session", self.prefix, len(codes))
            yield self.event("never_seen", reason="asked for, and not one tick in this session", codes=list(codes))

    def scrub(self, text: str) -> str:
        """Somebody else's text without the secrets of the address that is dialled now."""
        return self.address.scrub(text)

    def text_of(self, error: BaseException) -> str:
        """An error's text, without those secrets."""
        text = reason_of(error)
        return text if isinstance(error, UsageError) else self.scrub(text)  # our own texts hold no secret

"""What a kind of misbehaviour is. All are pure objects: what they need of the world is given to them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import ClassVar

from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Provider, Refusal, Sent, Session, Trouble


class Kind:
    """One way of misbehaving; its docstring says what a right client makes of it, and whether ticks are lost by it.

    Attributes:
        name: as ``--misbehave`` takes it.
        loses_ticks: whether there are ticks that no client ever gets; they go to the ledger's withheld pages.
        survivable: whether a right client goes on with all its codes; what is not is not part of ``all``.
        standing: holds for the whole run, instead of being done now and then.
    """

    name: ClassVar[str]
    loses_ticks: ClassVar[bool] = False
    survivable: ClassVar[bool] = True
    standing: ClassVar[bool] = False

    def suits(self, provider: Provider) -> bool:  # noqa: ARG002 - most do
        """Whether the provider can misbehave in this way at all."""
        return True


class FrameKind(Kind):
    """Changes what one connection is sent in a round of pushing that has ticks for it."""

    seconds: ClassVar[float] = 0.0
    """For how long; 0 is one round."""

    def form(self, form: Form) -> Form:
        """How frames are to be written meanwhile."""
        return form

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002 - for those that encode
        recent: Mapping[str, Print],  # noqa: ARG002 - for those that repeat
        provider: Provider,  # noqa: ARG002 - as session
        draw: random.Random,  # noqa: ARG002 - as session
    ) -> list[Sent]:
        """The frames instead of those; ``recent`` is the last tick of each code that the connection was sent."""
        return sent


class PrintKind(Kind):
    """Changes the market's ticks for all connections."""

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:
        """The ticks to push now, and those to push ``later``."""
        raise NotImplementedError


class LineKind(Kind):
    """Ends or silences a connection. Lost is what ticks from then until its codes are subscribed by a new one.

    Attributes:
        words: what the provider says first, if anything.
        ending: reset (TCP), closed (a close frame), left open, without a tick, or flooded: a message of empty
            fragments that does not end, until the client hangs up or ``FLOOD_BYTES`` are through, and a reset.
        code, reason: of the close frame, where the words have none of their own.
        answers: whether a connection that was left open still answers messages.
        empty_subscriptions: how many new subscriptions of its codes are acknowledged and never lead to data.
        cached_first: those subscriptions are pushed what was last known of their codes, and closed at once.
        shut_seconds: for so long after, handshakes are refused.
        refusal: how, HTTP 429 where this says nothing else.
        ripe: seconds since the connection's subscription last changed: one that comes in parts has to be whole.
        detected_after: seconds that a right client may need to find out and be back.
    """

    loses_ticks = True
    words: ClassVar[Trouble | None] = None
    ending: ClassVar[str] = "reset"
    code: ClassVar[int] = 1001
    reason: ClassVar[str] = "the server restarts"
    answers: ClassVar[bool] = True
    empty_subscriptions: ClassVar[int] = 0
    cached_first: ClassVar[bool] = False
    shut_seconds: ClassVar[float] = 0.0
    refusal: ClassVar[Refusal | None] = None
    ripe: ClassVar[float] = 1.0
    detected_after: ClassVar[float] = 6.0

    def after(self, provider: Provider) -> float:  # noqa: ARG002 - some providers want to be left alone for long
        """Seconds that a right client of this provider may need to be back."""
        return self.detected_after

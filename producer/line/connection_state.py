"""What is known of one connection while it lives. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from producer.gaps.summary import Refusals
from producer.line.effects import Close


@dataclass
class ConnectionState:
    """A connection that is new knows nothing.

    Attributes:
        opened: seconds that only rise, as ``refused_at``, ``in_flight_since`` and ``relisted_at``.
        heard: a frame has come.
        flowing: a tick has.
        lived: it has brought ticks for long enough to count as a success.
        ticked_at: when ticks came last, µs since the epoch; 0 before the first.
        ticked_of: the exchange's time of the last of them, ms since the epoch.
        confirmed_at: when the subscription stood, likewise.
        in_flight_since: since when an effect of a frame waits to be carried out, ``None`` while none does.
        relisting: another list has been asked for and not been announced; ``relisted_at``: all its requests have gone.
        refusal: the feed's words, if it refused.
        answers: how often each kind of answer came.
        taken_over: the feed announced that another login took it over.
        end: why it is ended from this side: by a verdict, or by an error that ends the line or is tried again.
    """

    opened: float
    heard: bool = False
    flowing: bool = False
    lived: bool = False
    ticked_at: int = 0
    ticked_of: int = 0
    confirmed_at: int = 0
    in_flight_since: float | None = None
    relisting: bool = False
    relisted_at: float | None = None
    refusal: str | None = None
    refused_at: float = 0.0
    taken_over: bool = False
    end: Close | Exception | None = None
    answers: Counter[str] = field(default_factory=Counter)
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def last_known(self) -> int:
        """When it is known to have delivered last, µs since the epoch."""
        return max(self.ticked_at, self.confirmed_at)

"""A pipeline that measures: what a line brings and announces goes into a meter, and nothing to Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluation.meter import Meter
from evaluation.race import Race
from producer.clock import now as moment
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter
from producer.feeds.provider import Feed
from producer.gaps.gap import Gap
from producer.line.address import Address
from producer.line.pacing import TokenBucket
from producer.pipeline.event import Event

_SAID = frozenset({"subscribed", "refused", "unauthorised", "kicked", "throttled"})


class Gauge:
    """The ``Pipeline`` of one line."""

    def __init__(
        self,
        feed: Feed,
        meter: Meter,
        address: Address,
        *,
        race: Race | None = None,
        line: int = 0,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing has come.

        Args:
            address: whose secrets are kept out of what the server says.
            on_progress: called when something came that shows what became of the subscription.
        """
        self.meter = meter
        self._feed = feed
        self._address = address
        self._race = race
        self._line = line
        self._on_progress = on_progress

    @property
    def n(self) -> int:
        """Ticks so far."""
        return self.meter.ticks

    @property
    def full(self) -> bool:
        """Never."""
        return False

    def decode(self, frame: Frame) -> Decoded:
        """What a frame holds."""
        decoded = self._feed.decode(frame)
        self.meter.frame(len(frame.payload), decoded, frame.received)
        for answer in decoded.answers:
            if answer.kind in _SAID:
                text = self._address.scrub(answer.text)
                self.meter.answered(text, frame.received, subscribed=answer.kind == "subscribed")
        return decoded

    async def ticks(self, ticks: list[FeedTick], received: int, *, filtered: bool) -> None:  # noqa: ARG002 - all count
        """Measure ticks that came at one time; never waits."""
        self.meter.took(ticks, received)
        if self._race is not None:
            self._race.came(self._line, ticks, received)
        self._on_progress()

    def dead_letters(self, letters: Sequence[Letter], received: int) -> None:
        """Nothing to do: they are measured with their frame."""

    def event(self, event: Event) -> None:
        """Take note of what happens to the line."""
        match event.kind:
            case "connected":
                self.meter.connected(moment())
            case "refused":
                self.meter.refused(str(event.reason))
                self._on_progress()
            case "disconnected":
                self.meter.lost(str(event.reason), moment())
            case "gap":
                self.meter.gap(
                    Gap(
                        event.start or 0,
                        event.end or 0,
                        event.codes or "all",
                        event.detected or "disconnect",
                        event.reason or "",
                        event.missed,
                        event.count,
                    )
                )
            case "stopped":
                self.meter.closed(moment())

    async def room(self) -> None:
        """There always is."""

    def behind(self) -> float:
        """Each line is judged by itself."""
        return 0.0


class Dials(TokenBucket):
    """The attempts to connect of one line, kept apart as the provider wants them, and counted by a meter."""

    def __init__(self, meter: Meter, apart: float) -> None:
        """None yet; ``apart`` in seconds."""
        super().__init__(apart=apart)
        self._meter = meter

    def book(self, now: float) -> float:
        """Take the next moment at which dialling is allowed."""
        wait = super().book(now)
        self._meter.dialled(moment() + int(wait * 1e6))
        return wait

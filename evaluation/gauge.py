"""An outlet that measures: what a line brings and says goes into a meter, and nothing to Kafka."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evaluation.meter import Meter
from evaluation.race import Race
from producer.clock import now as moment
from producer.feeds.decoded import Decoded, FeedTick, Frame
from producer.feeds.provider import Feed
from producer.gaps.volume import Detected, Hole
from producer.line.address import Address
from producer.line.pacing import TokenBucket
from producer.pipeline.events import Codes, Happening

_SAID = frozenset({"subscribed", "refused", "unauthorised", "kicked", "throttled"})


class Gauge:
    """The ``Outlet`` of one line."""

    def __init__(
        self,
        feed: Feed,
        meter: Meter,
        address: Address,
        *,
        race: Race | None = None,
        line: int = 0,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing has come.

        Args:
            address: whose secrets are kept out of what the server says.
            told: called when something came that shows what became of the subscription.
        """
        self.meter = meter
        self._feed = feed
        self._address = address
        self._race = race
        self._line = line
        self._told = told

    @property
    def n(self) -> int:
        """Ticks so far."""
        return self.meter.ticks

    def read(self, frame: Frame) -> Decoded:
        """What a frame holds."""
        decoded = self._feed.decode(frame)
        self.meter.frame(len(frame.payload), decoded, frame.received)
        for answer in decoded.answers:
            if answer.kind in _SAID:
                text = self._address.scrub(answer.text)
                self.meter.answered(text, frame.received, subscribed=answer.kind == "subscribed")
        return decoded

    async def send(self, ticks: list[FeedTick], received: int) -> None:
        """Measure ticks that came at one time; never waits."""
        self.meter.took(ticks, received)
        if self._race is not None:
            self._race.came(self._line, ticks, received)
        if ticks:
            self._told()

    def say(self, event: Happening, *, n: int | None = None, **fields: Any) -> None:  # noqa: ARG002 - no numbering
        """Take note of what happens to the line."""
        match event:
            case "connected":
                self.meter.connected(moment())
            case "refused":
                self.meter.refused(str(fields.get("reason")))
                self._told()
            case "disconnected":
                self.meter.lost(str(fields.get("reason")), moment())
            case "stopped":
                self.meter.closed(moment())

    def gap(self, hole: Hole, n: int) -> None:  # noqa: ARG002 - no numbering
        """Ticks are missing."""
        self.meter.gap(hole)

    def up(self, codes: Codes) -> None:
        """Nothing to do: there is no other line to take over from."""

    def down(self, since: int, reason: str, detected: Detected = "disconnect", *, ending: bool = False) -> None:
        """Nothing to do: there is no other line to take over."""

    def filters(self, server: bool) -> None:  # noqa: FBT001 - a fact that is told
        """Nothing to do: no tick is left out here."""

    def reconnected(self) -> None:
        """Nothing to do: connections are counted when they stand."""

    def behind(self) -> float:
        """Each line is judged by itself."""
        return 0.0


class Dials(TokenBucket):
    """The attempts to connect of one line, kept apart as the provider wants them, and told to a meter."""

    def __init__(self, meter: Meter, apart: float) -> None:
        """None yet; ``apart`` in seconds."""
        super().__init__(apart=apart)
        self._meter = meter

    def book(self, now: float) -> float:
        """Take the next moment at which dialling is allowed."""
        wait = super().book(now)
        self._meter.dialled(moment() + int(wait * 1e6))
        return wait

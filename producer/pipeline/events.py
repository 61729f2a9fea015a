"""Where a line's frames and its news go: the intake of its own, or one that it shares with another line."""

from __future__ import annotations

import logging
from typing import Any, Literal, Protocol

from producer.clock import now
from producer.feeds.decoded import Decoded, FeedTick, Frame
from producer.gaps.previous_run import Predecessor
from producer.gaps.volume import Detected, Hole
from producer.pipeline.publish import Intake
from schemas import FeedEvent
from schemas.bounds import MAX_CODE, MAX_TEXT

log = logging.getLogger(__name__)

Happening = Literal[
    "started",
    "connected",
    "subscribed",
    "refused",
    "disconnected",
    "resubscribed",
    "gap",
    "overflow",
    "stopped",
    "switched",
    "never_seen",
    "clock",
    "unreadable",
    "limited",
]

Codes = list[str] | Literal["all"]

MOST_CODES = 50_000
"""Codes that an event lists; more are told as all."""


class Outlet(Protocol):
    """What a line needs of the place that it delivers to."""

    @property
    def n(self) -> int:
        """The number of the last tick that went through."""
        ...

    def read(self, frame: Frame) -> Decoded:
        """What a frame holds."""
        ...

    async def send(self, ticks: list[FeedTick], received: int) -> None:
        """Take in ticks that came at one time, µs since the epoch; waits while Kafka is behind, without any as well."""
        ...

    def say(self, event: Happening, *, n: int | None = None, **fields: Any) -> None:
        """Announce an event, with the fields of ``FeedEvent`` that belong to it; ``n`` is the last number if none."""
        ...

    def gap(self, hole: Hole, n: int) -> None:
        """Ticks are missing; ``n`` is the number of the last one before."""
        ...

    def up(self, codes: Codes) -> None:
        """The line's subscription to the codes stands: from now on nothing is missing."""
        ...

    def down(self, since: int, reason: str, detected: Detected = "disconnect", *, ending: bool = False) -> None:
        """The line's connection has ended, and nothing came since a time, µs since the epoch.

        Args:
            ending: with the producer: no other line is to take over.
        """
        ...

    def filters(self, server: bool) -> None:  # noqa: FBT001 - a fact that is told
        """Whether the server leaves out ticks without a trade by itself."""
        ...

    def reconnected(self) -> None:
        """Count a connection after the first."""
        ...

    def behind(self) -> float:
        """Seconds for which another line of the same codes has brought ticks and this one none."""
        ...


class Single:
    """One line, one intake: what it says is announced as it is."""

    def __init__(self, intake: Intake) -> None:
        """Events are numbered from 1."""
        self.intake = intake
        self.before: Predecessor | None = None
        """The run before this one, until what is missing since is told of: with the first subscription."""
        self._events = 0

    @property
    def n(self) -> int:
        """The number of the last tick that went through."""
        return self.intake.numbering.n

    def read(self, frame: Frame) -> Decoded:
        """What a frame holds."""
        return self.intake.read(frame)

    async def send(self, ticks: list[FeedTick], received: int) -> None:
        """Take in ticks that came at one time; waits while Kafka is behind."""
        await self.intake.send(ticks, received)

    def say(self, event: Happening, *, n: int | None = None, **fields: Any) -> None:
        """Announce an event."""
        numbering = self.intake.numbering
        self._events += 1
        self.intake.announce(
            FeedEvent(
                event,
                numbering.source,
                numbering.run,
                numbering.n if n is None else n,
                now(),
                id=f"{numbering.source}/{numbering.run}/{self._events}",
                **_bounded(fields),
            )
        )
        if event == "subscribed" and self.before is not None:
            self._succeed(self.before, n, fields.get("codes") or "all")

    def _succeed(self, before: Predecessor, n: int | None, codes: Codes) -> None:
        """Announce what nobody received since the run before ended, unless it told of its end itself."""
        self.before = None
        if before.since is not None:
            # Where the clock stepped back, it is neither's time alone: what lies between the two is covered.
            hole = Hole(min(before.since, now()), max(before.since, now()), codes, "killed", before.reason)
            self.gap(hole, self.n if n is None else n)

    def gap(self, hole: Hole, n: int) -> None:
        """Announce a gap."""
        seconds = (hole.end - hole.start) / 1e6
        log.warning("%s: gap of %.1f s: %s", self.intake.numbering.source, seconds, hole.reason)
        self.say(
            "gap",
            n=n,
            reason=hole.reason,
            start=hole.start,
            end=hole.end,
            codes=hole.codes,
            detected=hole.detected,
            missed=hole.missed,
            count=hole.count,
        )

    def up(self, codes: Codes) -> None:
        """Nothing to do: the line knows by itself."""

    def down(self, since: int, reason: str, detected: Detected = "disconnect", *, ending: bool = False) -> None:
        """Nothing to do: the line knows by itself."""

    def filters(self, server: bool) -> None:  # noqa: FBT001 - a fact that is told
        """Whether the server leaves out ticks without a trade by itself."""
        self.intake.filtered = server

    def reconnected(self) -> None:
        """Count a connection after the first."""
        self.intake.counters.reconnects += 1

    def behind(self) -> float:
        """Nothing to compare with."""
        return 0.0


def _bounded(fields: dict[str, Any]) -> dict[str, Any]:
    """What an event says, within the contract's bounds: a server's words and codes are as long as it likes."""
    reason, codes = fields.get("reason"), fields.get("codes")
    if reason is not None and len(reason) > MAX_TEXT:
        fields["reason"] = reason[:MAX_TEXT]
    if isinstance(codes, list):
        fields["codes"] = "all" if len(codes) > MOST_CODES else [code for code in codes if 0 < len(code) <= MAX_CODE]
    return fields

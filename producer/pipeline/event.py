"""What a line announces of itself: the feed events, before the stream has named them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from producer.gaps.gap import Codes, Detected, Gap

TOLD_TO_STOP = "told to stop"
"""The reason of a line that has ended because the producer ends, or its codes have all left: nothing is wrong."""

Kind = Literal[
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


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a line. ``schemas.FeedEvent`` says what the other fields mean.

    Attributes:
        n: the number of the stream's last tick before it.
        delivers: from now on the line brings every tick of ``codes``, or it brings none; ``None`` if nothing changes.
        since: where it brings none: when it brought the last, µs since the epoch.
        outage: where it brings none: how that was found.
        ending: it ends with the producer: no other line is to take over.
    """

    kind: Kind
    n: int
    reason: str | None = None
    codes: Codes | None = None
    start: int | None = None
    end: int | None = None
    detected: Detected | None = None
    missed: int | None = None
    count: int | None = None
    line: str | None = None
    delivers: bool | None = None
    since: int | None = None
    outage: Detected = "disconnect"
    ending: bool = False

    @classmethod
    def of_gap(cls, gap: Gap, n: int) -> Event:
        """A gap is announced."""
        return cls(
            "gap", n, gap.reason, gap.codes, gap.start, gap.end, gap.detected, missed=gap.missed, count=gap.count
        )

"""What shows that two lines bring the same tick. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from producer.feeds.decoded import FeedTick
from producer.feeds.provider import Capabilities

Key = tuple[object, ...]
_NUMBER = "seq"
BY_NUMBER = 4
"""The length of a key by number, which counts once whoever brings it."""


@dataclass(frozen=True)
class Matching:
    """What shows that two lines bring the same tick: only what both of them carry, in the same unit.

    Attributes:
        sequence: the provider's number of a tick is the same on every line.
        volume: what of a tick's quantity is the same on every line: the ``trade``, or what the day has traded so far
            (``cumulative``; the volume of such a tick is a difference between two pushes, and a line that lost one
            gives another); ``None`` where nothing is.
        resolution: ms of the coarser line's time.
    """

    sequence: bool = False
    volume: Literal["trade", "cumulative"] | None = "trade"
    resolution: int = 1

    @classmethod
    def of(cls, first: Capabilities, second: Capabilities) -> Matching:
        """What lines of two providers, or two lines of one, have in common."""
        same = "volume" in first.carries and "volume" in second.carries and first.volume_is == second.volume_is
        return cls(
            sequence=first == second and first.sequence == "code",
            volume=first.volume_is if same else None,
            resolution=1000 if "s" in {first.units.time, second.units.time} else 1,
        )

    def key(self) -> Callable[[FeedTick], Key]:
        """What makes the key of a tick; its first part is the time in units of ``resolution``."""
        resolution = self.resolution
        quantity = attrgetter({"trade": "volume", "cumulative": "cumulative"}[self.volume]) if self.volume else None

        def counted(tick: FeedTick) -> Key:
            time = tick.time if resolution == 1 else tick.time // resolution
            # A float that was read from another text of the same price is the same float.
            return (time, tick.price) if quantity is None else (time, tick.price, quantity(tick))

        def numbered(tick: FeedTick) -> Key:
            return counted(tick) if tick.seq is None else (tick.time // resolution, _NUMBER, tick.seq, None)

        return numbered if self.sequence else counted

"""Gaps that a stream itself shows, by the numbers and figures that its feed gives; too many become one. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from producer.feeds.decoded import FeedTick, Packet
from producer.feeds.provider import Capabilities
from producer.gaps.gap import Gap
from producer.gaps.sequence import PacketNumbers
from producer.gaps.summary import Gaps
from producer.gaps.volume import CumulativeVolumes, merged

Found = list[tuple[Gap, int]]
"""Gaps, each with the number of the last tick before it."""


class GapDetection:
    """Looks at all ticks of one line, through all its connections.

    Attributes:
        looks: whether the feed gives anything to look at.
    """

    def __init__(self, able: Capabilities) -> None:
        """Nothing has come."""
        self.packets = PacketNumbers() if able.sequence == "packet" else None
        self.volumes = CumulativeVolumes() if able.volume_is == "cumulative" else None
        self.looks = self.packets is not None or self.volumes is not None
        self._summary = Gaps()

    def reset(self) -> None:
        """A new connection: its numbers may begin anew, and its gaps are counted from 0."""
        if self.packets is not None:
            self.packets.reset()
        self._summary = Gaps()

    def came(self, ticks: Sequence[FeedTick], packet: Packet | None, received: int, n: int, at: float) -> Found:
        """A frame came; gives the gaps to announce now, ``n`` being the number of the last tick before it."""
        gaps = []
        if self.packets is not None and packet is not None:
            gap = self.packets.came(packet.number, received, packet.channel)
            gaps += [gap] if gap else []
        if self.volumes is not None:
            gaps += self.volumes.came(ticks, received)
        return [(gap, n) for gap in merged(gaps) if self._summary.alone(gap, n, at)]

    def due(self, at: float | None = None) -> Found:
        """The gap that covers those which were too many: once it is due, or now where no time is given."""
        covering = self._summary.covering(at)
        return [] if covering is None else [covering]

"""Gaps that a provider's packet numbers show: a number was left out.

A lost connection is always a gap, whatever the numbers say; ``producer.gaps.outage`` has that. No I/O.
"""

from __future__ import annotations

from producer.gaps.gap import Gap

_GROUPS = 4_096
"""Groups of packets that are watched."""


class PacketNumbers:
    """The numbers that a provider gives its packets, without holes, in one sequence or one for each group."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._last: dict[str, tuple[int, int]] = {}

    def reset(self) -> None:
        """A new connection begins its own numbers, or goes on with the old: what lies between is a gap already."""
        self._last.clear()

    def came(self, number: int, received: int, group: str = "") -> Gap | None:
        """A packet came. A number that is not above the last is a repeat, or a provider that began again."""
        before = self._last.get(group)
        if before is not None and number == before[0]:
            return None
        if before is None and len(self._last) >= _GROUPS:
            return None  # no provider has so many: whoever invents them shows no gaps
        self._last[group] = (number, received)
        if before is None or number <= before[0] + 1:
            return None
        lost = number - before[0] - 1
        packets = f"packet {before[0] + 1}" if lost == 1 else f"packets {before[0] + 1} to {number - 1}"
        of = f" of {group}" if group else ""
        return Gap(before[1], received, "all", "sequence", f"{packets}{of} did not come")

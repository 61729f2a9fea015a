"""What a gap is: a time in which ticks are known to be missing, of which codes, and how that was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Detected = Literal["sequence", "disconnect", "silence", "overflow", "volume", "merged", "killed"]
Codes = list[str] | Literal["all"]


@dataclass(frozen=True)
class Gap:
    """Ticks are known to be missing between two local times, µs since the epoch.

    Attributes:
        codes: those concerned, ``"all"`` for all of the line's.
        missed: shares that traded in it, ``None`` where the feed does not say.
        count: of several that it covers, ``None`` for one that is announced by itself.
    """

    start: int
    end: int
    codes: Codes
    detected: Detected
    reason: str
    missed: int | None = None
    count: int | None = None

"""What is too much to tell one by one is told as one that covers it: gaps and refusals of one connection.

Nothing here does I/O; ``at`` is in seconds that only rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from producer.gaps.volume import Hole

MOST_HOLES = 1_000
"""Gaps of one connection that are told one by one."""
MOST_REFUSALS = 20
"""Likewise refusals: a server that repeats itself must not fill the topic."""
EVERY_SECONDS = 10.0
"""How long what is beyond may wait to be told."""
_CODES = 20_000  # more are as good as all


@dataclass
class _Sum:
    """What waits to be told as one."""

    count: int = 0
    codes: set[str] | None = field(default_factory=set)
    """``None`` for all."""

    def add(self, codes: Sequence[str] | str | None) -> None:
        self.count += 1
        if self.codes is None or codes is None:
            return
        if isinstance(codes, str):
            self.codes = None
            return
        self.codes.update(codes)
        if len(self.codes) > _CODES:
            self.codes = None


class Holes:
    """The gaps of one connection, of which so many are told one by one."""

    def __init__(self, most: int = MOST_HOLES) -> None:
        """None yet."""
        self._most = most
        self._told = 0
        self._sum = _Sum()
        self._span = (0, 0)
        self._missed: int | None = None
        self._n = 0
        self._since = 0.0

    def by_itself(self, hole: Hole, n: int, at: float) -> bool:
        """A gap was found, ``n`` being the last number before it; whether it is to be told by itself."""
        if self._told < self._most:
            self._told += 1
            return True
        if not self._sum.count:
            self._span, self._missed, self._n, self._since = (hole.start, hole.end), None, n, at
        self._sum.add(hole.codes)
        self._span = (min(self._span[0], hole.start), max(self._span[1], hole.end))
        if hole.missed is not None:
            self._missed = (self._missed or 0) + hole.missed
        return False

    def covering(self, at: float | None = None) -> tuple[Hole, int] | None:
        """The gap that covers those which were not told, and the last number before it; each is covered once.

        Args:
            at: to have it once it is due, ``None`` to have it now.
        """
        total = self._sum
        if not total.count or (at is not None and at - self._since < EVERY_SECONDS):
            return None
        self._sum = _Sum()
        reason = f"{total.count:,} gaps beyond the {self._most:,} of a connection that are told one by one"
        codes: list[str] | Literal["all"] = "all" if total.codes is None else sorted(total.codes)
        return Hole(*self._span, codes, "merged", reason, self._missed, total.count), self._n


class Refusals:
    """The refusals of one connection, likewise."""

    def __init__(self, most: int = MOST_REFUSALS) -> None:
        """None yet."""
        self._most = most
        self._told = 0
        self._sum = _Sum()
        self._last = ""
        self._since = 0.0

    def by_itself(self, text: str, codes: Sequence[str] | None, at: float) -> bool:
        """The feed refused; whether that is to be told by itself."""
        if self._told < self._most:
            self._told += 1
            return True
        if not self._sum.count:
            self._since = at
        self._last = text
        self._sum.add(codes)
        return False

    def covering(self, at: float | None = None) -> tuple[str, list[str] | None, int] | None:
        """Reason, codes and number of those that were not told; each is covered once. ``at`` as ``Holes.covering``."""
        total = self._sum
        if not total.count or (at is not None and at - self._since < EVERY_SECONDS):
            return None
        self._sum = _Sum()
        reason = f"{total.count:,} refusals beyond the {self._most} that are told one by one; the last: {self._last}"
        return reason, sorted(total.codes) if total.codes else None, total.count

"""Gaps and refusals of one connection that are too many to announce one by one: one event covers them.

Nothing here does I/O; ``at`` is in seconds that only rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from producer.gaps.gap import Codes, Gap

MOST_GAPS = 1_000
"""Gaps of one connection that are announced one by one."""
MOST_REFUSALS = 20
"""Likewise refusals: a server that repeats itself must not fill the topic."""
EVERY_SECONDS = 10.0
"""How long what is beyond may wait to be announced."""
_CODES = 20_000  # more are as good as all


@dataclass
class _Sum:
    """What waits to be announced as one."""

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


class Gaps:
    """The gaps of one connection, of which so many are announced one by one."""

    def __init__(self, most: int = MOST_GAPS) -> None:
        """None yet."""
        self._most = most
        self._announced = 0
        self._sum = _Sum()
        self._span = (0, 0)
        self._missed: int | None = None
        self._n = 0
        self._since = 0.0

    def alone(self, gap: Gap, n: int, at: float) -> bool:
        """A gap was found, ``n`` being the last number before it; whether it is announced by itself."""
        if self._announced < self._most:
            self._announced += 1
            return True
        if not self._sum.count:
            self._span, self._missed, self._n, self._since = (gap.start, gap.end), None, n, at
        self._sum.add(gap.codes)
        self._span = (min(self._span[0], gap.start), max(self._span[1], gap.end))
        if gap.missed is not None:
            self._missed = (self._missed or 0) + gap.missed
        return False

    def covering(self, at: float | None = None) -> tuple[Gap, int] | None:
        """The gap that covers those which were not announced, and the last number before it; each is covered once.

        Args:
            at: to have it once it is due, ``None`` to have it now.
        """
        total = self._sum
        if not total.count or (at is not None and at - self._since < EVERY_SECONDS):
            return None
        self._sum = _Sum()
        reason = f"{total.count:,} gaps beyond the {self._most:,} of a connection that are told one by one"
        codes: Codes = "all" if total.codes is None else sorted(total.codes)
        return Gap(*self._span, codes, "merged", reason, self._missed, total.count), self._n


class Refusals:
    """The refusals of one connection, likewise."""

    def __init__(self, most: int = MOST_REFUSALS) -> None:
        """None yet."""
        self._most = most
        self._announced = 0
        self._sum = _Sum()
        self._last = ""
        self._since = 0.0

    def alone(self, text: str, codes: Sequence[str] | None, at: float) -> bool:
        """The feed refused; whether that is announced by itself."""
        if self._announced < self._most:
            self._announced += 1
            return True
        if not self._sum.count:
            self._since = at
        self._last = text
        self._sum.add(codes)
        return False

    def covering(self, at: float | None = None) -> tuple[str, list[str] | None, int] | None:
        """Reason, codes and number of those that were not announced; ``at`` as ``Gaps.covering`` has it."""
        total = self._sum
        if not total.count or (at is not None and at - self._since < EVERY_SECONDS):
            return None
        self._sum = _Sum()
        reason = f"{total.count:,} refusals beyond the {self._most} that are told one by one; the last: {self._last}"
        return reason, sorted(total.codes) if total.codes else None, total.count

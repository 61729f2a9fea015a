"""How many codes the jobs keep rows of: whoever writes to the ticks topic can invent more than memory holds."""

from __future__ import annotations

import logging
from collections.abc import Sized

from schemas.topics import TICKS, topics

log = logging.getLogger(__name__)

MAX_CODES = 65_536
"""Of all partitions together; the A-share market has some 5,500, all that Chinese exchanges list some 40,000."""


def most() -> int:
    """How many codes one partition may have rows of: known to its log alone, so that every run refuses the same."""
    return -(-MAX_CODES // topics()[TICKS].partitions)


class Room:
    """Refuses rows of new codes to a partition that is full. Rows that there are stay, and stay right.

    Attributes:
        refused: ticks of codes that got no row: they are stored, and have neither snapshot nor changes.
        last: the code that was refused last.
    """

    def __init__(self, job: str) -> None:
        """A job's room."""
        self.refused = 0
        self.last = ""
        self._job = job
        self._most = most()
        self._told = 1

    def full(self, rows: Sized, code: str) -> bool:
        """Whether a new code gets no row; counted and told."""
        if len(rows) < self._most:
            return False
        self.refused += 1
        self.last = code
        if self.refused >= self._told:
            self._told *= 10
            log.error(
                "%s: %s ticks refused, of codes beyond the %s that a partition may have (now %r): what writes them?",
                self._job, f"{self.refused:,}", f"{self._most:,}", code[:64],
            )  # fmt: skip
        return True

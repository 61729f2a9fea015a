"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays that double from ``first`` to ``cap`` seconds, each shortened by up to half at random.

    The jitter keeps producers that lost the same server from coming back all at once.
    """

    first: float = 0.5
    cap: float = 60.0
    jitter: random.Random = field(default_factory=random.Random, repr=False)
    _failures: int = field(default=0, init=False)

    def next(self, at_least: float = 0.0, at_most: float = math.inf) -> float:
        """Seconds to wait now.

        Args:
            at_least: what the server asked for, which counts in any case.
            at_most: a cap of the moment, below the usual one.
        """
        ceiling = min(self.cap, at_most, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least, ceiling * self.jitter.uniform(0.5, 1.0))

    def reset(self) -> None:
        """Begin again at ``first``. Call it when a connection has lived: servers accept, push a tick and drop."""
        self._failures = 0

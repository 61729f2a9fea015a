"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays that double from ``first`` to ``cap`` seconds, each shortened by up to half at random.

    The dice keep producers that lost the same server from coming back all at once.
    """

    first: float = 0.5
    cap: float = 60.0
    dice: random.Random = field(default_factory=random.Random, repr=False)
    _failures: int = field(default=0, init=False)

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait now; ``at_least`` is what the server asked for."""
        ceiling = min(self.cap, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least, ceiling * self.dice.uniform(0.5, 1.0))

    def reset(self) -> None:
        """Begin again at ``first``. Call it when ticks flow: a handshake proves nothing, servers accept and drop."""
        self._failures = 0

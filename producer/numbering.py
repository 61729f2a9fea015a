"""The name of a tick: line, run, and the run's own count without holes."""

from __future__ import annotations

import msgspec

from producer.feeds.decoded import FeedTick
from schemas import Tick

# The bytes of schemas.encode (a test compares them) at half its cost: it takes structs as they are.
_encode = msgspec.json.Encoder().encode


class Numbering:
    """Makes records of feed ticks. ``n`` is the number of the last one, 0 before the first."""

    def __init__(self, source: str, run: int) -> None:
        """A new run of a line; ``run`` is ms since the epoch."""
        self.source = source
        self.run = run
        self.n = 0

    def stamp(self, tick: FeedTick, received: int, quality: str | None = None) -> bytes:
        """The record of the run's next tick, as Kafka gets it; ``received`` is µs since the epoch."""
        self.n = n = self.n + 1
        return _encode(
            Tick(
                tick.code,
                tick.exchange,
                tick.price,
                tick.time,
                received,
                self.source,
                self.run,
                n,
                tick.volume,
                tick.turnover,
                tick.side,
                tick.seq,
                tick.previous_close,
                quality,
            )
        )

"""The name of a tick: line, run, and the run's own count without holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import astuple

from producer.feeds.decoded import FeedTick
from schemas import BareTick, Tick
from schemas.bounds import MAX_QUALITY

# The bytes of schemas.encode (a test compares them), one call a tick less. A tick with nothing beside it is written
# without the fields for that: they would make it half as long again.
_encode = msgspec.json.Encoder().encode
_NONE: Mapping[int, str] = {}


class Numbering:
    """Makes records of feed ticks. ``n`` is the number of the last one, 0 before the first."""

    def __init__(self, source: str, run: int) -> None:
        """A new run of a line; ``run`` is ms since the epoch."""
        self.source = source
        self.run = run
        self.n = 0

    def stamp(self, ticks: Sequence[FeedTick], received: int, qualities: Mapping[int, str] = _NONE) -> list[bytes]:
        """The records of the run's next ticks, as Kafka gets them.

        Args:
            received: µs since the epoch.
            qualities: by index, what the gate found; what the decoder could not read is named beside it.
        """
        source, run, n = self.source, self.run, self.n
        records: list[bytes] = []
        add = records.append
        for index, tick in enumerate(ticks):
            n += 1
            beside = tick.beside
            add(
                _encode(
                    BareTick(
                        tick.code,
                        tick.exchange,
                        tick.price,
                        tick.time,
                        received,
                        source,
                        run,
                        n,
                        tick.volume,
                        tick.turnover,
                        tick.side,
                        tick.seq,
                        tick.previous_close,
                        _quality(qualities.get(index), tick.unread) if qualities else tick.unread,
                    )
                    if beside is None
                    else Tick(
                        tick.code,
                        tick.exchange,
                        tick.price,
                        tick.time,
                        received,
                        source,
                        run,
                        n,
                        tick.volume,
                        tick.turnover,
                        tick.side,
                        tick.seq,
                        tick.previous_close,
                        _quality(qualities.get(index), tick.unread),
                        *astuple(beside),
                    )
                )
            )
        self.n = n
        return records


def _quality(found: str | None, unread: str | None) -> str | None:
    if not (found and unread):
        return found or unread
    both = f"{found},{unread}"
    # The contract has room for a text of so many characters; the names that are left out are the last unread ones.
    return both if len(both) <= MAX_QUALITY else both[: MAX_QUALITY + 1].rpartition(",")[0]

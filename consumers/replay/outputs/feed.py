"""Records on a WebSocket in the feed's protocol, so that what was written against the live feed runs unchanged.

A tick goes out as the feed sent it: ``code``, ``price``, ``time`` and what else it carried; the day's figures have the
feed's names (``open``, ``high``, ``low``). What the pipeline added is left out (``exchange``, ``received``, ``source``,
``run``, ``n``): whoever takes the ticks in stamps them anew. A tick that stands in the log twice, since its producer
had to send it again, goes out once, as the feed sent it.

The last message is ``{"type":"info","event":"replay_end",…}``, then the connection is closed with 1000 (1001 when the
replay was ended before).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from consumers.replay.merge import Batch
from jobs.marks import Marked
from schemas import Level, Tick

NORMAL, GOING_AWAY = 1000, 1001


class FeedServer(Protocol):
    """The server's side of the protocol: connections, subscriptions, frames."""

    async def open(self) -> None:
        """Listen.

        Raises:
            UsageError: the address can't be had.
        """

    async def subscribed(self) -> None:
        """Wait until somebody has subscribed to something."""

    def push(self, codes: list[str], texts: list[str], traded: list[bool]) -> None:
        """Give every client its part of these ticks: of each its code, its JSON text, whether shares were traded."""

    async def drained(self) -> None:
        """Wait until somebody is there and has room."""

    async def close(self, farewell: bytes, code: int, reason: str) -> None:
        """Send a last message to everybody, close their connections, and listen no more."""


class _Pushed(msgspec.Struct, omit_defaults=True, gc=False):
    """A tick as the feed writes it; what is not carried is left out."""

    code: str
    price: float
    time: int
    volume: int | float | None = None
    turnover: float | None = None
    side: str | None = None
    previous_close: float | None = None
    seq: int | None = None
    bids: list[Level] | None = None
    asks: list[Level] | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    day_volume: int | float | None = None
    day_turnover: float | None = None
    average: float | None = None


def _pushed(tick: Tick) -> _Pushed:
    return _Pushed(
        tick.code,
        tick.price,
        tick.time,
        tick.volume,
        tick.turnover,
        tick.side,
        tick.previous_close,
        tick.seq,
        tick.bids,
        tick.asks,
        tick.day_open,
        tick.day_high,
        tick.day_low,
        tick.day_volume,
        tick.day_turnover,
        tick.average,
    )


class ToFeed:
    """An output to a feed server. The replay begins with the first subscription."""

    typed = True
    headers = False
    apart = False
    seekable = True

    def __init__(self, server: FeedServer, *, paced: bool, replay_id: str) -> None:
        """With ``paced`` a slow client is the server's to bound; without, the slowest client sets the pace."""
        self.given = 0
        self.unreadable = 0
        self.repeated = 0
        self._server = server
        self._paced = paced
        self._id = replay_id
        self._marks: dict[str, Marked] = {}
        self._encode = msgspec.json.Encoder().encode

    async def open(self, partitions: Sequence[int]) -> None:
        """As ``Output.open``."""
        del partitions
        await self._server.open()
        await self._server.subscribed()

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        ticks = [tick for tick in batch.ticks if tick is not None and self._first(tick)]
        self.unreadable += batch.ticks.count(None)
        self.given += len(ticks)
        encode = self._encode
        texts = [encode(_pushed(tick)).decode() for tick in ticks]
        self._server.push([t.code for t in ticks], texts, [t.volume != 0 for t in ticks])
        if not self._paced:
            await self._server.drained()

    async def jumped(self) -> None:
        """As ``Output.jumped``: what is given again is meant to be."""
        self._marks.clear()

    async def close(self, *, complete: bool) -> None:
        """As ``Output.close``."""
        end = {"type": "info", "event": "replay_end", "replay": self._id, "records": self.given, "complete": complete}
        reason = "end of the replay" if complete else "the replay was ended"
        await self._server.close(msgspec.json.encode(end), NORMAL if complete else GOING_AWAY, reason)

    def _first(self, tick: Tick) -> bool:
        """Whether the tick comes for the first time: for one code, a line's numbers only rise."""
        mark = self._marks.get(tick.code)
        if mark is None:
            mark = self._marks[tick.code] = Marked()
        if mark.renew(tick.source, tick.run, tick.n, tick.received):
            mark.received = tick.received
            return True
        self.repeated += 1
        return False

"""From frames to Kafka: numbered ticks, dead letters and feed events, each on its lane, each counted."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from broker.publisher import Lane, Publisher
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter
from producer.feeds.post import PostDecoder
from producer.numbering import Numbering
from schemas import DeadLetter, FeedEvent, encode
from schemas.dead_letters import to_kafka
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS, partition_of, topics

log = logging.getLogger(__name__)

SLICE = 2_048
"""Ticks of one frame between two looks at whether the publisher is full: 16 MiB can hold half a million."""
_ROUTES = 65_536


@dataclass
class Counters:
    """What came and where it went, since the start."""

    frames: int = 0
    ticks: int = 0
    letters: int = 0
    no_trade: int = 0
    held_back: int = 0
    reconnects: int = 0

    def __str__(self) -> str:
        return (
            f"{self.ticks:,} ticks, {self.frames:,} frames, {self.letters:,} dead letters,"
            f" {self.no_trade:,} dropped without a trade, {self.reconnects:,} reconnects"
        )


class Intake:
    """One line's way into Kafka."""

    def __init__(self, publisher: Publisher, numbering: Numbering, decoder: PostDecoder, *, trades_only: bool) -> None:
        """With ``trades_only``, ticks of volume 0 are dropped and counted, unless the server does it (``filtered``)."""
        self.counters = Counters()
        self.numbering = numbering
        self.filtered = False
        self._publisher = publisher
        self._decoder = decoder
        self._trades_only = trades_only
        self._partitions = topics()[TICKS].partitions
        self._routes: dict[str, tuple[bytes, Lane]] = {}
        self._letters = publisher.lane(DEAD_LETTERS, 0)
        self._events = publisher.lane(FEED_EVENTS, 0)

    async def take(self, frame: Frame) -> Decoded:
        """Send on all that a frame holds. Waits while the publisher is full, and so the socket is not read."""
        decoded = self._decoder.decode(frame)
        self.counters.frames += 1
        if decoded.letters:
            self._bury(decoded.letters, frame.received)
        ticks = decoded.ticks
        if self._trades_only and not self.filtered:
            ticks = self._traded(ticks)
        if len(ticks) <= SLICE:
            self._forward(ticks, frame.received)
        else:
            for start in range(0, len(ticks), SLICE):
                self._forward(ticks[start : start + SLICE], frame.received)
                if self._publisher.full:
                    await self._room()
        if self._publisher.full:
            await self._room()
        return decoded

    def announce(self, event: FeedEvent) -> None:
        """Put an event of the line into the feed-events topic."""
        self._events.add(event.source.encode(), encode(event), event.at // 1000)

    def _forward(self, ticks: list[FeedTick], received: int) -> None:
        stamp, routes, milliseconds = self.numbering.stamp, self._routes, received // 1000
        for tick in ticks:
            route = routes.get(tick.code)
            if route is None:
                route = self._route(tick.code)
            route[1].add(route[0], stamp(tick, received), milliseconds)
        self.counters.ticks += len(ticks)

    def _route(self, code: str) -> tuple[bytes, Lane]:
        """Key and lane of a code, remembered."""
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        lane = self._publisher.lane(TICKS, partition_of(code, self._partitions))
        self._routes[code] = route = (code.encode(), lane)
        return route

    def _traded(self, ticks: list[FeedTick]) -> list[FeedTick]:
        """Without the ticks of volume 0. One without a volume stays: unknown is not zero."""
        traded = [tick for tick in ticks if tick.volume != 0]
        self.counters.no_trade += len(ticks) - len(traded)
        return traded

    def _bury(self, letters: list[Letter], received: int) -> None:
        numbering = self.numbering
        if not self.counters.letters:
            log.warning("first dead letter of this run: %s", letters[0].reason)
        for letter in letters:
            record = DeadLetter(letter.payload, letter.reason, letter.part, numbering.source, numbering.run, received)
            value, headers = to_kafka(record)
            self._letters.add(None, value, received // 1000, headers)
        self.counters.letters += len(letters)

    async def _room(self) -> None:
        if not self.counters.held_back:
            log.warning("Kafka is slower than the feed: the socket is not read until there is room")
        self.counters.held_back += 1
        began = time.monotonic()
        await self._publisher.room()
        waited = time.monotonic() - began
        if waited > 1:
            log.warning("the socket was not read for %.1f s while Kafka caught up", waited)

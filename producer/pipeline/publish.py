"""A tick's way into Kafka, once and downwards: traded, arbitrated, judged, numbered, published.

In this order: ticks without a trade are dropped where that was asked for; the arbiter, where several lines bring the
same codes, lets on what none of the others has brought; the quality gate, where there is one, judges what goes on; then
it is numbered, and put where the publisher takes it from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from broker.publisher import PartitionQueue, Publisher
from producer.clock import now
from producer.feeds.decoded import FeedTick, Letter
from producer.feeds.limits import CODES
from producer.pipeline.arbitration import Admitted, Arbiter
from producer.pipeline.counters import Counters
from producer.pipeline.event import Event
from producer.pipeline.events import Events
from producer.pipeline.judged import Row
from producer.pipeline.quality import Flaws, Gate
from producer.pipeline.redundancy import RedundantLine
from schemas import DeadLetter
from schemas.dead_letters import to_kafka
from schemas.outside import printable
from schemas.secrets import masked_bytes
from schemas.topics import DEAD_LETTERS, TICKS, partition_of, topics

log = logging.getLogger(__name__)

SLICE = 2_048
"""Ticks of one frame between two looks at whether the publisher is full: 16 MiB can hold half a million."""

_encode = msgspec.json.Encoder().encode


class Pipeline:
    """One line's way into Kafka.

    Lines that bring the same codes share numbering, events, gate and arbiter, and have a pipeline each; all others have
    all of it to themselves.
    """

    def __init__(
        self,
        publisher: Publisher,
        events: Events,
        *,
        trades_only: bool,
        gate: Gate | None = None,
        arbiter: Arbiter | None = None,
        redundant: RedundantLine | None = None,
    ) -> None:
        """A way that nothing has gone yet.

        Args:
            events: of the stream; they have its numbering.
            trades_only: ticks of volume 0 are dropped and counted, unless the server does it.
            gate: judges every tick; without one, none is.
            arbiter: of the lines that bring the same codes.
            redundant: this line among them.
        """
        self.counters = Counters()
        self.numbering = events.numbering
        self.gate = gate
        self._events = events
        self._arbiter = arbiter
        self._redundant = redundant
        self._line = 0 if redundant is None else redundant.number
        self._connected = False
        self._timer: asyncio.TimerHandle | None = None
        self._fault: Exception | None = None
        """What went wrong while nobody was waiting."""
        self._publisher = publisher
        self._trades_only = trades_only
        self._partitions = topics()[TICKS].partitions
        self._routes: dict[str, tuple[bytes, PartitionQueue]] = {}
        self._letters = publisher.queue(DEAD_LETTERS, 0)

    @property
    def n(self) -> int:
        """The number of the stream's last tick."""
        return self.numbering.n

    @property
    def full(self) -> bool:
        """Whether ``room`` would wait."""
        return self._publisher.full

    def behind(self) -> float:
        """Seconds for which another line of the same codes has brought ticks and this one none."""
        return 0.0 if self._redundant is None else self._redundant.behind()

    # A tick's way.

    async def ticks(self, ticks: list[FeedTick], received: int, *, filtered: bool = False) -> None:
        """Send ticks on that came at one time. Waits between slices while the publisher is full.

        Args:
            received: µs since the epoch.
            filtered: the server leaves out ticks without a trade by itself.

        Raises:
            DeliveryError: the publisher itself failed.
            Exception: what was sent on by itself in between failed.
        """
        if self._fault is not None:
            raise self._fault
        came = bool(ticks)
        if self._trades_only and not filtered:
            ticks = self._traded(ticks)
        if len(ticks) <= SLICE:
            self._admit(ticks, received)
        else:
            for start in range(0, len(ticks), SLICE):
                self._admit(ticks[start : start + SLICE], received)
                if self._publisher.full:
                    await self.room()
        if self._redundant is not None and came:
            self._redundant.ticked(received)

    def _traded(self, ticks: list[FeedTick]) -> list[FeedTick]:
        """Without the ticks of volume 0. One without a volume stays: unknown is not zero."""
        traded = [tick for tick in ticks if tick.volume != 0]
        self.counters.no_trade += len(ticks) - len(traded)
        return traded

    def _admit(self, ticks: list[FeedTick], received: int) -> None:
        """Send on what the arbiter lets on. Never waits in between: another line's ticks would overtake."""
        arbiter = self._arbiter
        if arbiter is None:
            self._forward(ticks, received)
            return
        repeated = arbiter.statistics[self._line]
        before = repeated.second
        admitted = arbiter.admit(self._line, ticks, received)
        self.counters.repeated += repeated.second - before
        self._send(admitted)
        if arbiter.due is not None and self._timer is None:
            delay = max(0, arbiter.due - received) / 1e6
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _send(self, admitted: Admitted) -> None:
        for received, ticks in admitted:
            self._forward(ticks, received)

    def _forward(self, ticks: Sequence[FeedTick], received: int) -> None:
        milliseconds = received // 1000
        if self.gate is None:
            routes = self._routes
            for tick, value in zip(ticks, self.numbering.stamp(ticks, received), strict=True):
                key, partition = routes.get(tick.code) or self._route(tick.code)
                partition.add(key, value, milliseconds)
        else:
            rows, flaws = self.gate.judge(ticks, received)
            if flaws:
                ticks, rows, flaws = self._sift(ticks, rows, flaws, received)
            for row, value in zip(rows, self.numbering.stamp(ticks, received, flaws), strict=True):
                key, partition = row.beside or self._beside(row)
                partition.add(key, value, milliseconds)
        self.counters.ticks += len(ticks)

    def _sift(
        self, ticks: Sequence[FeedTick], rows: Sequence[Row], flaws: Flaws, received: int
    ) -> tuple[list[FeedTick], list[Row], Flaws]:
        """Send the ticks that the gate keeps out to the dead letters; gives the others."""
        assert self.gate is not None
        for found in flaws.values():
            self.counters.flaws.update(found.split(","))
        if not self.gate.quarantine:
            self.counters.marked += len(flaws)
            return list(ticks), list(rows), flaws
        self.counters.kept_out += len(flaws)
        letters = [Letter(_encode(ticks[index]), f"quality: {found}", "tick") for index, found in flaws.items()]
        self.dead_letters(letters, received)
        well = [index for index in range(len(ticks)) if index not in flaws]
        return [ticks[index] for index in well], [rows[index] for index in well], {}

    def _beside(self, row: Row) -> tuple[bytes, PartitionQueue]:
        """Key and partition of a code, remembered with the gate."""
        row.beside = route = self._route(row.code)
        return route

    def _route(self, code: str) -> tuple[bytes, PartitionQueue]:
        """Key and partition of a code, remembered."""
        if len(self._routes) >= CODES:
            self._routes.clear()
        partition = self._publisher.queue(TICKS, partition_of(code, self._partitions))
        self._routes[code] = route = (code.encode(), partition)
        return route

    def _expire(self) -> None:
        """Send on what the arbiter has held for long enough."""
        arbiter, self._timer = self._arbiter, None
        assert arbiter is not None
        at = now()
        try:
            self._send(arbiter.expire(at))
        except Exception as error:
            self._fault = error  # nobody waits for a timer: the line hears of it with its next frame
            raise
        if arbiter.due is not None:
            delay = max(0.001, (arbiter.due - at) / 1e6)
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    # What goes beside the ticks.

    def dead_letters(self, letters: Sequence[Letter], received: int) -> None:
        """Put what could not be read into the dead letters, byte for byte but for secrets."""
        numbering = self.numbering
        if not self.counters.letters:
            log.warning("first dead letter of this run: %s", letters[0].reason)
        last: Letter | None = None
        headers: list[tuple[str, bytes]] = []
        for letter in letters:
            if last is None or (letter.reason, letter.part) != (last.reason, last.part):
                # Dead letters of one frame for the same reason share their headers: those take most of the memory.
                record = DeadLetter(
                    b"", printable(letter.reason), letter.part, numbering.source, numbering.run, received
                )
                last, headers = letter, to_kafka(record)[1]
            self._letters.add(None, masked_bytes(letter.payload), received // 1000, headers)
            self.counters.cause(letter.reason)
        self.counters.letters += len(letters)

    def event(self, event: Event) -> None:
        """Announce what happened to the line; of redundant lines, what is news of their stream."""
        if event.kind == "connected":
            self.counters.reconnects += self._connected
            self._connected = True
        if self._arbiter is not None and event.delivers is True:
            self._arbiter.connected(self._line)
        elif self._arbiter is not None and event.delivers is False:
            self._send(self._arbiter.reset(self._line, now()))
            event = replace(event, n=self.n)
        if self._redundant is None:
            self._events.publish(event)
        else:
            self._redundant.event(event)

    async def room(self) -> None:
        """Wait until the publisher has room, and so the socket is not read.

        Raises:
            DeliveryError: the publisher itself failed.
        """
        if not self._publisher.full:
            return
        if not self.counters.held_back:
            log.warning("Kafka is slower than the feed: the socket is not read until there is room")
        self.counters.held_back += 1
        began = time.monotonic()
        await self._publisher.room()
        waited = time.monotonic() - began
        if waited > 1:
            log.warning("the socket was not read for %.1f s while Kafka caught up", waited)

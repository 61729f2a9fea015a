"""From frames to Kafka: numbered ticks, dead letters and feed events, each on its queue, each counted.

On their way, in this order: ticks without a trade are dropped where that was asked for; the arbiter, where several
lines bring the same codes, lets on what none of the others has brought; the gate, where there is one, judges what goes
on; then it is numbered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from broker.partition_queue import PartitionQueue
from broker.publisher import Publisher
from producer.arbitration import Admitted, Arbiter
from producer.clock import now
from producer.coverage import Coverage, Span
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter
from producer.feeds.limits import CODES
from producer.numbering import Numbering
from producer.quality import Flaws, Gate, Row
from schemas import DeadLetter, FeedEvent, encode
from schemas.dead_letters import to_kafka
from schemas.outside import printable
from schemas.secrets import masked_bytes
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS, partition_of, topics

log = logging.getLogger(__name__)

SLICE = 2_048
"""Ticks of one frame between two looks at whether the publisher is full: 16 MiB can hold half a million."""
_CAUSES = 64
_REASON = 1_000

_encode = msgspec.json.Encoder().encode


class Decoder(Protocol):
    """What makes ticks, dead letters and answers of a feed's frames."""

    def decode(self, frame: Frame) -> Decoded:
        """Read one frame; nothing raises."""


@dataclass
class Counters:
    """What came and where it went, since the start.

    Attributes:
        ticks: those that went on to the topic.
        letters: dead letters, those that the gate kept out included.
        repeated: ticks that another line had brought before.
        marked: ticks that went on with flaws.
        kept_out: ticks that went to the dead letters for their flaws.
        causes: of dead letters, what was wrong, as the reason names it first.
        flaws: of marked and kept out ticks, what the gate found.
    """

    frames: int = 0
    ticks: int = 0
    letters: int = 0
    no_trade: int = 0
    held_back: int = 0
    reconnects: int = 0
    repeated: int = 0
    marked: int = 0
    kept_out: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    flaws: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        text = (
            f"{self.ticks:,} ticks, {self.frames:,} frames, {self.letters:,} dead letters{_listed(self.causes)},"
            f" {self.no_trade:,} dropped without a trade, {self.reconnects:,} reconnects"
        )
        if self.repeated:
            text += f", {self.repeated:,} that another line had brought"
        if self.flaws:
            text += f", {self.marked:,} marked and {self.kept_out:,} kept out{_listed(self.flaws)}"
        return text

    def cause(self, reason: str, count: int = 1) -> None:
        """Count a dead letter by the first words of its reason."""
        cause = reason.partition(":")[0]
        if len(cause) > 24 or (cause not in self.causes and len(self.causes) >= _CAUSES):
            cause = "other"
        self.causes[cause] += count


def _listed(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{name} {count:,}' for name, count in counts.most_common(8))})" if counts else ""


class Intake:
    """One line's way into Kafka.

    Lines that bring the same codes share numbering, gate and arbiter, and have an intake each (``producer.arbitration``
    says how); all others have a numbering, and a gate, of their own.
    """

    def __init__(
        self,
        publisher: Publisher,
        numbering: Numbering,
        decoder: Decoder,
        *,
        trades_only: bool,
        gate: Gate | None = None,
        arbiter: Arbiter | None = None,
        line: int = 0,
    ) -> None:
        """A way that nothing has gone yet.

        Args:
            trades_only: ticks of volume 0 are dropped and counted, unless the server does it (``filtered``).
            gate: judges every tick; without one, none is.
            arbiter: of the lines that bring the same codes.
            line: this line's number with the arbiter, from 0.
        """
        self.counters = Counters()
        self.numbering = numbering
        self.filtered = False
        self.gate = gate
        self._arbiter = arbiter
        self._line = line
        self._coverage = arbiter.coverage if arbiter else Coverage(1)
        self._timer: asyncio.TimerHandle | None = None
        self._fault: Exception | None = None
        """What went wrong while nobody was waiting."""
        self._publisher = publisher
        self._decoder = decoder
        self._trades_only = trades_only
        self._partitions = topics()[TICKS].partitions
        self._routes: dict[str, tuple[bytes, PartitionQueue]] = {}
        self._letters = publisher.queue(DEAD_LETTERS, 0)
        self._events = publisher.queue(FEED_EVENTS, 0)

    async def take(self, frame: Frame) -> Decoded:
        """Read a frame, and send on all that it holds."""
        decoded = self.read(frame)
        await self.send(decoded.ticks, frame.received)
        return decoded

    def read(self, frame: Frame) -> Decoded:
        """What a frame holds; what of it could not be read goes to the dead letters.

        Whoever calls it calls ``send`` then, with the frame's ticks or none: that waits for room.
        """
        try:
            decoded = self._decoder.decode(frame)
        except Exception as error:
            log.exception(
                "the decoder failed over a frame of %d bytes, which goes to the dead letters", len(frame.payload)
            )
            decoded = Decoded([], [Letter(frame.payload, f"decoder: {error!r}"[:_REASON], "frame")], [])
        self.counters.frames += 1
        if decoded.letters:
            self._bury(decoded.letters, frame.received)
        return decoded

    async def send(self, ticks: list[FeedTick], received: int) -> None:
        """Send ticks on that came at one time. Waits while the publisher is full, and so the socket is not read.

        Raises:
            DeliveryError: the publisher itself failed.
            Exception: what was sent on by itself in between failed.
        """
        if self._fault is not None:
            raise self._fault
        if self._trades_only and not self.filtered:
            ticks = self._traded(ticks)
        if len(ticks) <= SLICE:
            self._admit(ticks, received)
        else:
            for start in range(0, len(ticks), SLICE):
                self._admit(ticks[start : start + SLICE], received)
                if self._publisher.full:
                    await self._room()
        if self._publisher.full:
            await self._room()

    def resumed(self, now: int) -> list[Span]:
        """The line is subscribed: it brings everything from now on, µs since the epoch.

        Returns:
            The gaps (from, to) of the stream that are known by this: where no line of it was subscribed.
        """
        if self._arbiter is not None:
            self._arbiter.connected(self._line)
        return self._coverage.resumed(self._line, now)

    def lost(self, since: int, now: int) -> list[Span]:
        """The line's connection has ended, and nothing came since then; µs since the epoch.

        Returns:
            As ``resumed``.
        """
        if self._arbiter is not None:
            self._send(self._arbiter.reset(self._line, now))
        return self._coverage.lost(self._line, since)

    def announce(self, event: FeedEvent) -> None:
        """Put an event of the line into the feed-events topic."""
        if event.reason is not None:
            event = msgspec.structs.replace(event, reason=printable(event.reason))
        self._events.add(event.source.encode(), encode(event), event.at // 1000)

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

    def _forward(self, ticks: Sequence[FeedTick], received: int) -> None:
        milliseconds = received // 1000
        if self.gate is None:
            routes = self._routes
            for tick, value in zip(ticks, self.numbering.stamp(ticks, received), strict=True):
                key, queue = routes.get(tick.code) or self._route(tick.code)
                queue.add(key, value, milliseconds)
        else:
            rows, flaws = self.gate.judge(ticks, received)
            if flaws:
                ticks, rows, flaws = self._sift(ticks, rows, flaws, received)
            for row, value in zip(rows, self.numbering.stamp(ticks, received, flaws), strict=True):
                key, queue = row.beside or self._beside(row)
                queue.add(key, value, milliseconds)
        self.counters.ticks += len(ticks)

    def _sift(
        self, ticks: Sequence[FeedTick], rows: Sequence[Row], flaws: Flaws, received: int
    ) -> tuple[list[FeedTick], list[Row], Flaws]:
        """Bury the ticks that the gate keeps out; gives the others."""
        assert self.gate is not None
        for found in flaws.values():
            self.counters.flaws.update(found.split(","))
        if not self.gate.quarantine:
            self.counters.marked += len(flaws)
            return list(ticks), list(rows), flaws
        self.counters.kept_out += len(flaws)
        letters = [Letter(_encode(ticks[index]), f"quality: {found}", "tick") for index, found in flaws.items()]
        self._bury(letters, received)
        well = [index for index in range(len(ticks)) if index not in flaws]
        return [ticks[index] for index in well], [rows[index] for index in well], {}

    def _beside(self, row: Row) -> tuple[bytes, PartitionQueue]:
        """Key and queue of a code, remembered with the gate."""
        row.beside = route = self._route(row.code)
        return route

    def _route(self, code: str) -> tuple[bytes, PartitionQueue]:
        """Key and queue of a code, remembered."""
        if len(self._routes) >= CODES:
            self._routes.clear()
        queue = self._publisher.queue(TICKS, partition_of(code, self._partitions))
        self._routes[code] = route = (code.encode(), queue)
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
        last: Letter | None = None
        headers: list[tuple[str, bytes]] = []
        for letter in letters:
            if last is None or (letter.reason, letter.part) != (last.reason, last.part):
                # Letters of one frame that say the same share their headers: those take most of the memory.
                record = DeadLetter(
                    b"", printable(letter.reason), letter.part, numbering.source, numbering.run, received
                )
                last, headers = letter, to_kafka(record)[1]
            self._letters.add(None, masked_bytes(letter.payload), received // 1000, headers)
            self.counters.cause(letter.reason)
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

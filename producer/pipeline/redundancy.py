"""Lines that bring the same codes, told as one stream: what happens to one is no news while another delivers.

``producer.pipeline.arbitration`` makes one stream of their ticks; here it is told as one line would be. It is
disconnected when none of its lines is there, a gap is where none was (``producer.gaps.coverage``), and ``switched``
says which one delivers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from producer.clock import now
from producer.feeds.decoded import Decoded, FeedTick, Frame
from producer.gaps.volume import Detected, Hole
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.events import Codes, Happening, Single
from producer.pipeline.publish import Intake

log = logging.getLogger(__name__)

OVERDUE_US = 1_000_000
"""µs for which one line delivers and the other nothing, until it counts as the one that is followed."""


class Pair:
    """What the lines of one stream have in common. ``sides`` are the outlets, one for each line."""

    def __init__(self, names: Sequence[str], intakes: Sequence[Intake]) -> None:
        """Nothing is connected yet.

        Args:
            names: of the lines.
            intakes: of the lines, with one numbering and one arbiter.
        """
        self.sides = [
            Side(self, index, name, intake) for index, (name, intake) in enumerate(zip(names, intakes, strict=True))
        ]
        self.switches = 0
        self.covered = 0
        """Losses of one line that another made up for."""
        self.voice = Single(intakes[0])
        self.active: Side | None = None
        self.subscribed = False
        self._started = False
        self._unseen: dict[int, set[str]] = {}

    def told(self, arbiter: Arbiter) -> str:
        """Who was first and by how much, in words."""
        said = []
        for side, brought in zip(self.sides, arbiter.statistics, strict=True):
            median, tail = brought.behind.at(0.5), brought.behind.at(0.99)
            behind = (
                "" if median is None or tail is None else f", else {median / 1e3:.1f} ms behind (p99 {tail / 1e3:.1f})"
            )
            said.append(f"{side.name} first with {brought.first:,} ticks{behind}")
        return f"{'; '.join(said)}; {self.switches:,} switches, {self.covered:,} losses made up for"

    def others(self, side: Side) -> list[Side]:
        """The other lines that deliver."""
        return [other for other in self.sides if other is not side and other.delivers]

    def start(self) -> None:
        """Announce the start of the first line, as that of the stream."""
        if not self._started:
            self._started = True
            self.voice.say("started")

    def stop(self, fields: dict[str, Any]) -> None:
        """Announce the end of the last line, as that of the stream."""
        if all(side.stopped for side in self.sides):
            self.voice.say("stopped", **fields)

    def ticked(self, side: Side, received: int) -> None:
        """A line brought ticks, which the others owe from now on, if they have not brought them yet."""
        side.last, side.owes_since = received, None
        for other in self.sides:
            if other is not side and other.owes_since is None:
                other.owes_since = received
        active = self.active
        if active is None:
            self.active = side
        elif active.owes_since is not None and received - active.owes_since > OVERDUE_US:
            self.switch(side, f"nothing from {active.name} for {(received - active.owes_since) / 1e6:.1f} s")

    def switch(self, side: Side, reason: str) -> None:
        """Follow another line from now on."""
        self.active = side
        self.switches += 1
        log.warning("%s delivers from now on: %s", side.name, reason)
        self.voice.say("switched", reason=reason, line=side.name)

    def never_seen(self, side: Side, codes: Sequence[str]) -> None:
        """Announce what none of the lines has seen, once all that deliver have said what they have not."""
        self._unseen[side.index] = set(codes)
        if not all(other.index in self._unseen for other in self.others(side)):
            return
        unseen = sorted(set.intersection(*self._unseen.values()))
        self._unseen.clear()
        if unseen:
            self.voice.say("never_seen", reason="asked for, and not one tick in this session", codes=unseen)


class Side:
    """The outlet of one of the lines."""

    def __init__(self, pair: Pair, index: int, name: str, intake: Intake) -> None:
        """Made by ``Pair``."""
        self.index = index
        self.name = name
        self.intake = intake
        self.delivers = False
        self.stopped = False
        self.last = 0
        self.owes_since: int | None = None
        """When another line began to bring what this one has not, µs since the epoch."""
        self._pair = pair
        self._since = 0
        self._codes: Codes = "all"
        self._announced = False
        """Whether this connection's subscription has been told of: what follows is a change of the list."""

    @property
    def n(self) -> int:
        """The number of the stream's last tick."""
        return self.intake.numbering.n

    def read(self, frame: Frame) -> Decoded:
        """What a frame holds."""
        return self.intake.read(frame)

    async def send(self, ticks: list[FeedTick], received: int) -> None:
        """Take in ticks that came at one time; what another line has brought is dropped on the way."""
        await self.intake.send(ticks, received)
        if ticks:
            self._pair.ticked(self, received)

    def say(self, event: Happening, *, n: int | None = None, **fields: Any) -> None:
        """Announce what is news of the stream; what happens to this line alone is in the log."""
        pair, alone = self._pair, not self._pair.others(self)
        match event:
            case "started":
                pair.start()
            case "stopped":
                self.stopped = True
                pair.stop(fields)
                if not all(side.stopped for side in pair.sides):
                    log.warning("%s has stopped: %s", self.name, fields.get("reason"))
            case "disconnected":
                if alone:
                    pair.voice.say(event, n=n, **fields)
            case "subscribed" | "resubscribed":
                self._subscribed(event, alone=alone, n=n, fields=fields)
            case "never_seen":
                pair.never_seen(self, fields.get("codes") or [])
            case _:
                reason = fields.pop("reason", None)
                pair.voice.say(event, n=n, reason=f"{self.name}: {reason}", **fields)

    def gap(self, hole: Hole, n: int) -> None:
        """Announce what this line's own figures say is missing, unless another was there all the time.

        That it was away itself is no gap of the stream: ``up`` and ``down`` tell of those.
        """
        if hole.detected not in {"sequence", "volume", "merged"}:
            return
        if any(other.there_since < hole.start for other in self._pair.others(self)):
            self._pair.covered += hole.count or 1
            log.info("%s: %s; another line had it", self.name, hole.reason)
        else:
            self._pair.voice.gap(hole, n)

    def up(self, codes: Codes) -> None:
        """The line's subscription stands."""
        self._codes, self._since = codes, now()
        self.delivers, self.owes_since, self._announced = True, None, False
        if self._pair.active is None or not self._pair.active.delivers:
            if self._pair.active is not None and self._pair.active is not self:
                self._pair.switch(self, f"{self._pair.active.name} is not there")
            self._pair.active = self
        self._gaps(self.intake.resumed(self._since), "disconnect", "no line was there")

    def down(self, since: int, reason: str, detected: Detected = "disconnect", *, ending: bool = False) -> None:
        """The line delivers nothing since a time."""
        had, self.delivers = self.delivers, False
        self._gaps(self.intake.lost(since, now()), detected, reason)
        others = self._pair.others(self)
        if had and others and not ending:
            self._pair.covered += 1
            if self._pair.active is self:
                self._pair.switch(others[0], f"{self.name}: {reason}")

    def filters(self, server: bool) -> None:  # noqa: FBT001 - a fact that is told
        """Whether the server leaves out ticks without a trade by itself."""
        self.intake.filtered = server

    def reconnected(self) -> None:
        """Count a connection after the first."""
        self.intake.counters.reconnects += 1

    def behind(self) -> float:
        """Seconds for which another line has brought ticks and this one none."""
        if self.owes_since is None or not self.delivers:
            return 0.0
        return max((other.last - self.owes_since for other in self._pair.others(self)), default=0) / 1e6

    @property
    def there_since(self) -> int:
        """When the subscription stood, µs since the epoch."""
        return self._since

    def _subscribed(self, event: Happening, *, alone: bool, n: int | None, fields: dict[str, Any]) -> None:
        pair = self._pair
        changed, self._announced = self._announced, True
        if not pair.subscribed:
            pair.subscribed = True
            pair.voice.say("subscribed", n=n, **fields)
        elif changed:
            if pair.active is self:
                pair.voice.say(event, n=n, **fields)
        elif alone:
            pair.voice.say("resubscribed", n=n, **fields)

    def _gaps(self, spans: Sequence[tuple[int, int]], detected: Detected, reason: str) -> None:
        for start, end in spans:
            self._pair.voice.gap(Hole(start, end, self._codes, detected, reason), self.n)

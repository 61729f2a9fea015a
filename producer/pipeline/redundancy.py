"""Lines that bring the same codes, announced as one stream: what happens to one is not news while another delivers.

``producer.pipeline.arbitration`` makes one stream of their ticks; here it is announced as one line would be. It is
disconnected when none of its lines is there, a gap is where none was (``producer.gaps.coverage``), and ``switched``
names the one that delivers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from producer.clock import now
from producer.gaps.coverage import Coverage, Span
from producer.gaps.gap import Codes, Detected, Gap
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.event import TOLD_TO_STOP, Event
from producer.pipeline.events import Events

log = logging.getLogger(__name__)

OVERDUE_US = 1_000_000
"""µs for which one line delivers and the other nothing, until it counts as the one that is followed."""
_OF_THE_STREAM = frozenset({"sequence", "volume", "merged"})
"""Gaps that a line's own figures show; its own absence is not one of the stream while another was there."""


class RedundantLines:
    """What the lines of one stream have in common.

    Attributes:
        members: one for each line.
        switches: how often another line was followed.
        covered: losses of one line that another made up for.
        active: the line that is followed.
    """

    def __init__(self, names: Sequence[str], events: Events) -> None:
        """Nothing is connected yet.

        Args:
            names: of the lines.
            events: of the stream.
        """
        self.members = [RedundantLine(self, number, name) for number, name in enumerate(names)]
        self.events = events
        self.coverage = Coverage(len(names))
        self.switches = 0
        self.covered = 0
        self.active: RedundantLine | None = None
        self.subscribed = False
        self._started = False
        self._unseen: dict[int, set[str]] = {}

    def described(self, arbiter: Arbiter) -> str:
        """Who was first and by how much, in words."""
        lines = []
        for member, brought in zip(self.members, arbiter.statistics, strict=True):
            median, tail = brought.behind.at(0.5), brought.behind.at(0.99)
            behind = (
                "" if median is None or tail is None else f", else {median / 1e3:.1f} ms behind (p99 {tail / 1e3:.1f})"
            )
            lines.append(f"{member.name} first with {brought.first:,} ticks{behind}")
        return f"{'; '.join(lines)}; {self.switches:,} switches, {self.covered:,} losses made up for"

    def others(self, member: RedundantLine) -> list[RedundantLine]:
        """The other lines that deliver."""
        return [other for other in self.members if other is not member and other.delivers]

    def start(self, event: Event) -> None:
        """Announce the start of the first line, as that of the stream."""
        if not self._started:
            self._started = True
            self.events.publish(event)

    def stop(self, member: RedundantLine, event: Event) -> None:
        """Announce the end of the last line, as that of the stream."""
        if all(other.stopped for other in self.members):
            self.events.publish(event)
        else:
            level = logging.INFO if event.reason == TOLD_TO_STOP else logging.WARNING
            log.log(level, "%s has stopped: %s", member.name, event.reason)

    def ticked(self, member: RedundantLine, received: int) -> None:
        """A line brought ticks, which the others owe from now on, if they have not brought them yet."""
        member.last, member.owes_since = received, None
        for other in self.members:
            if other is not member and other.owes_since is None:
                other.owes_since = received
        active = self.active
        if active is None:
            self.active = member
        elif active.owes_since is not None and received - active.owes_since > OVERDUE_US:
            self.switch(member, f"nothing from {active.name} for {(received - active.owes_since) / 1e6:.1f} s")

    def switch(self, member: RedundantLine, reason: str) -> None:
        """Follow another line from now on."""
        self.active = member
        self.switches += 1
        log.warning("%s delivers from now on: %s", member.name, reason)
        self.events.publish(Event("switched", self.events.numbering.n, reason, line=member.name))

    def never_seen(self, member: RedundantLine, event: Event) -> None:
        """Announce what none of the lines has seen, once all that deliver have announced what they have not."""
        self._unseen[member.number] = set(event.codes or ())
        if not all(other.number in self._unseen for other in self.others(member)):
            return
        unseen = sorted(set.intersection(*self._unseen.values()))
        self._unseen.clear()
        if unseen:
            self.events.publish(replace(event, codes=unseen))


class RedundantLine:
    """One of the lines."""

    def __init__(self, lines: RedundantLines, number: int, name: str) -> None:
        """Made by ``RedundantLines``."""
        self.number = number
        self.name = name
        self.delivers = False
        self.stopped = False
        self.last = 0
        self.owes_since: int | None = None
        """When another line began to bring what this one has not, µs since the epoch."""
        self.there_since = 0
        """When the subscription stood, µs since the epoch."""
        self._lines = lines
        self._codes: Codes = "all"

    def ticked(self, received: int) -> None:
        """The line brought ticks."""
        self._lines.ticked(self, received)

    def behind(self) -> float:
        """Seconds for which another line has brought ticks and this one none."""
        if self.owes_since is None or not self.delivers:
            return 0.0
        return max((other.last - self.owes_since for other in self._lines.others(self)), default=0) / 1e6

    def event(self, event: Event) -> None:
        """Announce what is news of the stream; what happens to this line alone is in the log."""
        lines = self._lines
        self._follow(event)
        alone = not lines.others(self)
        match event.kind:
            case "started":
                lines.start(event)
            case "stopped":
                self.stopped = True
                lines.stop(self, event)
            case "disconnected" if alone:
                lines.events.publish(event)
            case "disconnected":
                pass
            case "subscribed" | "resubscribed":
                self._subscribed(event, alone=alone)
            case "never_seen":
                lines.never_seen(self, event)
            case "gap":
                self._gap(event)
            case _:
                lines.events.publish(replace(event, reason=f"{self.name}: {event.reason}"))

    def _subscribed(self, event: Event, *, alone: bool) -> None:
        lines = self._lines
        if not lines.subscribed:
            lines.subscribed = True
            lines.events.publish(replace(event, kind="subscribed"))
        elif event.delivers is None:  # another list is in force
            if lines.active is self:
                lines.events.publish(event)
        elif alone:
            lines.events.publish(replace(event, kind="resubscribed"))

    def _gap(self, event: Event) -> None:
        """Announce what this line's own figures show to be missing, unless another was there all the time."""
        if event.detected not in _OF_THE_STREAM:
            return
        if any(other.there_since < (event.start or 0) for other in self._lines.others(self)):
            self._lines.covered += event.count or 1
            log.info("%s: %s; another line had it", self.name, event.reason)
        else:
            self._lines.events.publish(event)

    def _follow(self, event: Event) -> None:
        """Take note of whether the line delivers."""
        if event.delivers is True:
            self._up(event)
        elif event.delivers is False:
            self._down(event)

    def _up(self, event: Event) -> None:
        """The line's subscription stands."""
        lines, at = self._lines, now()
        self._codes, self.there_since = event.codes or "all", at
        self.delivers, self.owes_since = True, None
        active = lines.active
        if active is None or not active.delivers:
            if active is not None and active is not self:
                lines.switch(self, f"{active.name} is not there")
            lines.active = self
        self._gaps(lines.coverage.resumed(self.number, at), "disconnect", "no line was there")

    def _down(self, event: Event) -> None:
        """The line delivers nothing since a time."""
        lines = self._lines
        since, reason = event.since or now(), event.reason or ""
        had, self.delivers = self.delivers, False
        self._gaps(lines.coverage.lost(self.number, since), event.outage, reason)
        others = lines.others(self)
        if had and others and not event.ending:
            lines.covered += 1
            if lines.active is self:
                lines.switch(others[0], f"{self.name}: {reason}")

    def _gaps(self, spans: Sequence[Span], detected: Detected, reason: str) -> None:
        for start, end in spans:
            gap = Gap(start, end, self._codes, detected, reason)
            self._lines.events.publish(Event.of_gap(gap, self._lines.events.numbering.n))

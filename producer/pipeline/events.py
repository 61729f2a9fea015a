"""The feed events of one stream: named, numbered, kept within the contract's bounds, and published."""

from __future__ import annotations

import logging
from collections import Counter

from broker.events import event as named
from broker.publisher import Publisher
from producer.clock import now
from producer.gaps.gap import Codes, Gap
from producer.gaps.previous_run import PreviousRun
from producer.pipeline.event import Event
from producer.pipeline.numbering import Numbering
from schemas import FeedEvent, encode
from schemas.bounds import MAX_CODE, MAX_TEXT
from schemas.outside import printable
from schemas.topics import FEED_EVENTS

log = logging.getLogger(__name__)

MOST_CODES = 50_000
"""Codes that an event lists; more are announced as all."""


class Events:
    """The events of one stream, whichever line they are of.

    Attributes:
        counts: of each kind that was announced.
        gaps: of each way in which a gap was found.
        previous: the run before this one, until what is missing since is announced: with the first subscription.
    """

    def __init__(self, publisher: Publisher, numbering: Numbering) -> None:
        """Events are numbered from 1."""
        self.numbering = numbering
        self.previous: PreviousRun | None = None
        self._partition = publisher.queue(FEED_EVENTS, 0)
        self._count = 0
        self.counts: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()

    def publish(self, event: Event) -> None:
        """Name an event and put it into the feed-events topic."""
        numbering = self.numbering
        if event.kind == "gap":
            seconds = ((event.end or 0) - (event.start or 0)) / 1e6
            self.gaps[event.detected or "other"] += 1
            log.warning(
                "%s: gap of %.1f s: %s",
                numbering.source,
                seconds,
                event.reason,
                extra=named("gap", source=numbering.source, seconds=round(seconds, 1), detected=event.detected),
            )
        self._count += 1
        self.counts[event.kind] += 1
        at = now()
        record = FeedEvent(
            event.kind,
            numbering.source,
            numbering.run,
            event.n,
            at,
            reason=None if event.reason is None else printable(event.reason)[:MAX_TEXT],
            start=event.start,
            end=event.end,
            codes=_bounded(event.codes),
            id=f"{numbering.source}/{numbering.run}/{self._count}",
            detected=event.detected,
            missed=event.missed,
            count=event.count,
            line=event.line,
        )
        self._partition.add(numbering.source.encode(), encode(record), at // 1000)
        if event.kind == "subscribed" and self.previous is not None:
            self._follow(self.previous, event)

    def _follow(self, previous: PreviousRun, subscribed: Event) -> None:
        """Announce what nobody received since the run before ended, unless it announced its end itself."""
        self.previous = None
        if previous.since is not None:
            # Where the clock stepped back, it is neither's time alone: what lies between the two is covered.
            at = now()
            start, end = min(previous.since, at), max(previous.since, at)
            gap = Gap(start, end, subscribed.codes or "all", "killed", previous.reason)
            self.publish(Event.of_gap(gap, subscribed.n))


def _bounded(codes: Codes | None) -> Codes | None:
    """Codes within the contract's bounds: a server's codes are as long as it likes."""
    if isinstance(codes, list):
        return "all" if len(codes) > MOST_CODES else [code for code in codes if 0 < len(code) <= MAX_CODE]
    return codes

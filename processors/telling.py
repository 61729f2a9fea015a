"""What a worker itself has to tell in the topic of feed events, beside what producers do."""

from __future__ import annotations

import logging
import time
from typing import Any

from broker.publisher import Publisher
from schemas import FeedEvent, encode
from schemas.bounds import MAX_SOURCE, MAX_TEXT
from schemas.secrets import masked
from schemas.topics import FEED_EVENTS

log = logging.getLogger(__name__)

AT = "@"
"""Between the consumer group and the worker, in the source of a worker's events."""
MOST_CODES = 50_000
"""Codes that an event lists; more are told as all."""


def group_of(source: str) -> str | None:
    """The consumer group of the worker that told of an event; ``None`` where no worker did."""
    group, at, _ = source.rpartition(AT)
    return group if at else None


class Teller:
    """Announces events of this worker. Its source is ``GROUP@HOST:PORT``, its run begins with the process."""

    def __init__(self, publisher: Publisher, group: str, place: str) -> None:
        """Nothing is told yet."""
        self.source = f"{group}{AT}{place}"[:MAX_SOURCE]
        self._publisher = publisher
        self._run = time.time_ns() // 1_000_000
        self._count = 0

    def say(self, event: Any, reason: str, **fields: Any) -> None:
        """Announce an event, with the fields of ``FeedEvent`` that belong to it."""
        self._count += 1
        at = time.time_ns() // 1000
        codes = fields.get("codes")
        if isinstance(codes, list) and len(codes) > MOST_CODES:
            fields["codes"] = "all"
        name = f"{self.source}/{self._run}/{self._count}"
        told = FeedEvent(event, self.source, self._run, 0, at, reason=masked(reason)[:MAX_TEXT], id=name, **fields)
        self._publisher.queue(FEED_EVENTS, 0).add(self.source.encode(), encode(told), at // 1000)

    async def told(self) -> None:
        """Wait until everything that was announced is acknowledged."""
        await self._publisher.queue(FEED_EVENTS, 0).delivered()

"""The topic of feed events, followed once for all agents of a process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from processors.streaming.follower import Follower
from schemas import FeedEvent, RecordError, decode
from schemas.topics import FEED_EVENTS

log = logging.getLogger(__name__)


class FeedEvents:
    """Hands every event on, in order, from the topic's beginning."""

    def __init__(self, bootstrap: str, takers: Sequence[Callable[[FeedEvent], object]]) -> None:
        """Nothing connects before ``start``; ``takers`` must not raise."""
        self._takers = list(takers)
        self._follower = Follower(bootstrap, FEED_EVENTS, self._took)

    async def start(self) -> None:
        """Read all events that there are, then follow.

        Raises:
            KafkaError, TimeoutError: the broker stops answering.
        """
        await self._follower.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._follower.stop()

    def reread(self) -> None:
        """Another log stands behind the topic's name: read it from its beginning."""
        self._follower.reread()

    def _took(self, records: Sequence[Any], _position: int) -> None:
        for record in records:
            try:
                event = decode(FeedEvent, record.value or b"")
            except RecordError as error:
                log.error("%s: a record is not an event: offset %d: %s", FEED_EVENTS, record.offset, error)  # noqa: TRY400
                continue
            for take in self._takers:
                take(event)

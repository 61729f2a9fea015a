"""A small topic of one partition: read to its end before work begins, and followed from then on, outside the group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import security
from broker.background import discard, ended
from processors.streaming.tables import RECOVERY_PATIENCE
from processors.streaming.watchdog import fatal

log = logging.getLogger(__name__)

_WAIT_MS = 250
"""Longest that a request waits at the broker; a record that comes meanwhile is answered at once."""
_RETRY_SECONDS = 1.0


async def reader(bootstrap: str, client_id: str) -> AIOKafkaConsumer:
    """A connection that commits nothing; what is assigned to it is read from the beginning."""
    consumer = AIOKafkaConsumer(
        **security.options(),
        bootstrap_servers=bootstrap.split(","),
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_WAIT_MS,
    )
    try:
        await consumer.start()
    except BaseException:
        await discard(consumer)
        raise
    return consumer


class Follower:
    """Hands on what a topic brings.

    Attributes:
        caught_up: the topic was read to where it ended when this was started.
    """

    def __init__(self, bootstrap: str, topic: str, took: Callable[[Sequence[Any], int], None]) -> None:
        """Nothing connects before ``start``.

        Args:
            took: is given records in order, and the offset of the next one that may come; must not raise.
        """
        self.caught_up = False
        self._bootstrap, self._topic, self._took = bootstrap, topic, took
        self._place = TopicPartition(topic, 0)
        self._again = False
        self._at = 0
        self._consumer: AIOKafkaConsumer | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the topic to its end, then follow it.

        Raises:
            KafkaError, TimeoutError: the broker stops answering.
        """
        self._consumer = consumer = await reader(self._bootstrap, f"{self._topic}-follower")
        consumer.assign([self._place])
        await consumer.seek_to_beginning(self._place)
        async with asyncio.timeout(RECOVERY_PATIENCE):
            end = (await consumer.end_offsets([self._place]))[self._place]
            while await consumer.position(self._place) < end:
                await self._read(consumer)
        self._took((), end)
        self.caught_up = True
        self._following = asyncio.create_task(self._follow(consumer), name=f"following {self._topic}")
        self._following.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._consumer is not None:
            await discard(self._consumer)

    def reread(self) -> None:
        """Read the topic from its beginning again: another log stands behind its name."""
        self._again = True

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                if (dead := ended(consumer)) is not None:
                    log.error("%s: the Kafka client is made anew: %s", self._topic, dead)
                    consumer = await self._anew(consumer)
                if self._again:
                    self._again = False
                    consumer.seek(self._place, 0)
                await self._read(consumer)
            except (KafkaError, OSError) as error:
                log.warning("%s can't be read, what was read stays in force: %r", self._topic, error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _anew(self, consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
        """Another client that goes on from where one stood that lost a background task."""
        made = await reader(self._bootstrap, f"{self._topic}-follower")
        self._consumer = made
        await discard(consumer)
        made.assign([self._place])
        made.seek(self._place, self._at)
        return made

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        fetched: dict[Any, Any] = await consumer.getmany(self._place, timeout_ms=4 * _WAIT_MS)
        records = fetched.get(self._place, ())
        self._at = await consumer.position(self._place)
        self._took(records, self._at)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("following %s failed", self._topic, exc_info=task.exception())
            fatal(f"following {self._topic} failed")

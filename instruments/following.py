"""``ashare.instruments.v1`` as long-running parts follow it: read whole, and from then on as it changes.

Facts of instruments make things better and are needed for nothing: without the topic, or while no broker answers, who
follows it works as if nothing were known, and looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

import broker  # noqa: F401 - importing it is what lets aiokafka read any record, whatever its headers are
from broker.background import discard, ended
from instruments.known import Known
from schemas import Instrument, RecordError, decode
from schemas.topics import INSTRUMENTS

log = logging.getLogger(__name__)

FIRST_SECONDS = 3.0
"""How long a start waits for what the topic holds: a market's list is read in a tenth of that."""
AGAIN_SECONDS = 15.0
"""Between two looks for a topic that is not there, or a broker that does not answer."""
_WAIT_MS = 500
"""Longest that a request waits at the broker; a record that comes meanwhile is answered at once."""


class Following:
    """Keeps a ``Known`` as the topic is.

    Attributes:
        known: what the topic holds.
        unreadable: records that are no instruments; what was known of their codes stays.
    """

    def __init__(
        self, bootstrap: str, changed: Callable[[Sequence[str]], None] | None = None, *, topic: str = INSTRUMENTS
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            changed: is given the codes of which something is new, often all at once; must not raise.
        """
        self.known = Known()
        self.unreadable = 0
        self._bootstrap, self._topic = bootstrap, topic
        self._changed = changed
        self._place = TopicPartition(topic, 0)
        self._task: asyncio.Task[None] | None = None
        self._whole = asyncio.Event()
        self._told = False
        self._complained = False
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, wait: float = FIRST_SECONDS) -> None:
        """Begin to follow; returns when the topic was read to its end, or after so many seconds. Raises nothing."""
        self._task = asyncio.create_task(self._run(), name=f"following {self._topic}")
        if not wait:
            return
        try:
            async with asyncio.timeout(wait):
                await self._whole.wait()
        except TimeoutError:
            log.info("%s is not read yet: until it is, nothing is known of instruments", self._topic)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._close()

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError, RuntimeError) as error:
                # A broker that is away is said by others, and a topic that may not be read stays so for long.
                level = logging.DEBUG if self._complained else logging.WARNING
                self._complained = True
                log.log(level, "%s can't be read, what is known of instruments stays: %r", self._topic, error)
            except Exception:
                log.exception("following %s failed, and begins again", self._topic)
            await self._close()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _close(self) -> None:
        if self._consumer is not None:
            await discard(self._consumer)
            self._consumer = None

    async def _follow(self) -> None:
        """Read the topic from its beginning, and on until the client fails; returns where there is no such topic."""
        self._consumer = consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            client_id="ashare-instruments",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_WAIT_MS,
        )
        await consumer.start()
        cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - stale, or nothing, until it is asked
        if not cluster.partitions_for_topic(self._topic):
            self._whole.set()
            if not self._told:
                self._told = True
                log.info("there is no %s: nothing is known of instruments (`ashare topics apply`)", self._topic)
            return
        consumer.assign([self._place])
        await consumer.seek_to_beginning(self._place)
        end = (await consumer.end_offsets([self._place]))[self._place]
        held: set[str] | None = set()
        while (dead := ended(consumer)) is None:
            if held is not None and await consumer.position(self._place) >= end:
                # A log that was made anew has lost what an older one held.
                self._take([(code, None) for code in self.known if code not in held])
                held = None
                self._complained = False
                self._whole.set()
            fetched: dict[Any, Any] = await consumer.getmany(self._place, timeout_ms=2 * _WAIT_MS)
            taken = self._read(fetched.get(self._place, ()))
            if held is not None:
                held.update(code for code, _ in taken)
        log.warning("%s: the Kafka client is made anew: %s", self._topic, dead)

    def _read(self, records: Sequence[Any]) -> list[tuple[str, Instrument | None]]:
        read: list[tuple[str, Instrument | None]] = []
        for record in records:
            code = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                read.append((code, None))
                continue
            try:
                found = decode(Instrument, record.value)
            except RecordError as error:
                self.unreadable += 1
                log.warning("%s, offset %d is no instrument: %s", self._topic, record.offset, error)
                continue
            if found.code == code:
                read.append((code, found))
            else:
                self.unreadable += 1
        self._take(read)
        return read

    def _take(self, read: Sequence[tuple[str, Instrument | None]]) -> None:
        changed = self.known.take(read)
        if changed:
            log.info("%d instruments are known, %d of them new or changed", len(self.known), len(changed))
            if self._changed is not None:
                self._changed(changed)

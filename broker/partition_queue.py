"""What waits for one partition, and the one batch that is in flight to it."""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from broker.errors import AbandonedError, BrokerError, FencedError, RecordTooLargeError
from broker.identity import Identity
from broker.refusals import pause
from schemas.topics import topics

if TYPE_CHECKING:
    from broker.publisher import Publisher

Headers = list[tuple[str, bytes]]
_NO_HEADERS: Headers = []
_Entry = tuple[bytes | None, bytes | None, int, Headers, int]

_RECORD_OVERHEAD = 128
"""More than Kafka's framing of a record with key and value takes."""


class PartitionQueue:
    """One partition's queue: records that wait, and the one batch that is in flight.

    Attributes:
        identity: the producer that its batches come from; ``None``: the client's own (``broker.fencing``).
    """

    def __init__(self, publisher: Publisher, topic: str, partition: int) -> None:
        """Made by ``Publisher.queue``."""
        self.topic = topic
        self.partition = partition
        self.identity: Identity | None = None
        self._publisher = publisher
        self._backlog: deque[_Entry] = deque()
        self._in_flight: list[_Entry] = []
        self._in_flight_bytes = 0
        self._refused = 0
        self._rests_until = 0.0
        self._sent_at = 0.0
        self._added = 0
        self._acknowledged = 0
        self._abandoned = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        declared = topics().get(topic)
        limit = int(declared.config["max.message.bytes"]) if declared else 1_048_588
        self._limit = limit - _RECORD_OVERHEAD

    def add(self, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers = _NO_HEADERS) -> None:
        """Queue one record; it is sent by itself. Never waits: see ``Publisher.room`` for back-pressure.

        Args:
            value: ``None`` for a tombstone.
            timestamp_ms: the Kafka record timestamp, ms since the epoch.

        Raises:
            RecordTooLargeError: the topic does not take a record of this size.
        """
        size = (len(value) if value else 0) + (len(key) if key else 0)
        for name, content in headers:
            size += len(name) + len(content or b"") + 4  # a foreign record's header may have no value
        if size > self._limit:
            raise RecordTooLargeError(f"{self.topic}: a record of {size:,} bytes, the topic takes {self._limit:,}")
        backlog, publisher = self._backlog, self._publisher
        backlog.append((key, value, timestamp_ms, headers, size + _RECORD_OVERHEAD))
        self._added += 1
        publisher.unacknowledged_bytes += size + _RECORD_OVERHEAD
        # What waits behind another record was woken for it.
        if len(backlog) == 1 and not self._in_flight:
            publisher.wake(self)

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps_ms: Sequence[int],
        headers: Sequence[Headers],
    ) -> None:
        """``add`` for many records at once; those before one that is too large are queued.

        Raises:
            RecordTooLargeError: as for ``add``.
        """
        put, before, total = self._backlog.append, len(self._backlog), 0
        try:
            for key, value, timestamp, some in zip(keys, values, timestamps_ms, headers, strict=True):
                size = (len(value) if value else 0) + (len(key) if key else 0)
                for name, content in some:
                    size += len(name) + len(content or b"") + 4  # a foreign record's header may have no value
                if size > self._limit:
                    raise RecordTooLargeError(
                        f"{self.topic}: a record of {size:,} bytes, the topic takes {self._limit:,}"
                    )
                size += _RECORD_OVERHEAD
                put((key, value, timestamp, some, size))
                total += size
        finally:
            self._added += len(self._backlog) - before
            self._publisher.unacknowledged_bytes += total
            if not self._in_flight:
                self._publisher.wake(self)

    async def delivered(self, up_to: int | None = None) -> None:
        """Wait until everything added so far, or up to a count, is acknowledged by all replicas.

        Args:
            up_to: what ``added`` was after the records in question. Whoever waits for something else between adding
                and this call gives it, and so learns that they were abandoned meanwhile.

        Raises:
            AbandonedError: they were dropped before they were acknowledged.
            FencedError: the partition is another member's, whatever was acknowledged before.
            DeliveryError: the publisher itself failed; nothing more will be sent.
        """
        if self.identity is not None and self.identity.lost:
            raise FencedError(f"{self.topic}/{self.partition} is another member's now")
        if up_to is None:
            up_to = self._added
        elif 0 < up_to <= self._abandoned:
            raise AbandonedError(f"{self.topic}/{self.partition}: records were abandoned")
        if self._acknowledged < up_to:
            self._publisher.check()
            waiter = asyncio.get_running_loop().create_future()
            insort(self._waiters, (up_to, waiter), key=itemgetter(0))
            await waiter

    @property
    def added(self) -> int:
        """Records added since the start, abandoned ones included."""
        return self._added

    @property
    def unacknowledged(self) -> int:
        """Records added and not yet acknowledged."""
        return self._added - self._acknowledged

    @property
    def unacknowledged_bytes(self) -> int:
        """What they take of the publisher's limit."""
        return sum(entry[-1] for some in (self._in_flight, self._backlog) for entry in some)

    @property
    def in_flight(self) -> Sequence[_Entry]:
        """The records of the batch that is not acknowledged."""
        return self._in_flight

    @property
    def in_flight_since(self) -> float | None:
        """``time.monotonic()`` at which the batch in flight left, ``None`` without one."""
        return self._sent_at if self._in_flight else None

    def next_batch(self, client: AIOKafkaProducer) -> BatchBuilder | None:
        """Fill the next batch from what waits; ``None`` when there is nothing, or a batch is in flight."""
        if self._in_flight or not self._backlog:
            return None
        batch: BatchBuilder = client.create_batch()
        # The builder inside takes one call a record; the one around it takes three.
        append, backlog, in_flight = batch._builder.append, self._backlog, self._in_flight
        size = 0
        while backlog:
            key, value, timestamp, headers, weight = entry = backlog[0]
            if append(len(in_flight), timestamp, key, value, headers) is None:
                break
            backlog.popleft()
            in_flight.append(entry)
            size += weight
        batch._relative_offset = len(in_flight)
        batch.close()
        self._in_flight_bytes = size
        self._sent_at = time.monotonic()
        return batch

    def rest(self) -> float:
        """The broker refuses what is sent to the topic, and may take it later; gives the seconds until then."""
        self._refused += 1
        seconds = pause(self._refused)
        self._rests_until = time.monotonic() + seconds
        return seconds

    @property
    def resting(self) -> float:
        """Seconds for which nothing is to be sent, 0 or less if it may."""
        return self._rests_until - time.monotonic() if self._rests_until else 0.0

    def acknowledge(self) -> tuple[int, int]:
        """The batch in flight is acknowledged; gives its records and bytes."""
        self._refused, self._rests_until = 0, 0.0
        records, size = len(self._in_flight), self._in_flight_bytes
        self._in_flight = []
        self._acknowledged += records
        while self._waiters and self._waiters[0][0] <= self._acknowledged:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
        return records, size

    def requeue(self) -> int:
        """The batch in flight has an unknown outcome: it goes first again. Gives its number of records."""
        returned = len(self._in_flight)
        self._backlog.extendleft(reversed(self._in_flight))
        self._in_flight = []
        return returned

    def abandon(self, why: type[AbandonedError] = AbandonedError) -> int:
        """Drop what waits and what is in flight; those who wait for it get an error. Gives the number of records."""
        dropped = self.unacknowledged
        self._backlog.clear()
        self._in_flight = []
        # Records that were acknowledged before count as abandoned too: ``delivered`` can't tell them apart later.
        self._acknowledged = self._abandoned = self._added
        self.fail(why(f"{self.topic}/{self.partition}: {dropped:,} records were abandoned"))
        return dropped

    def fail(self, error: BrokerError) -> None:
        """Nothing of what waits will be sent: those who wait for it get the error."""
        while self._waiters:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_exception(error)

    @property
    def ready(self) -> bool:
        """Whether a batch could leave."""
        return bool(self._backlog) and not self._in_flight

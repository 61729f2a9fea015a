"""Batches to their brokers in a few steps: aiokafka's sending without most of what it costs.

aiokafka (0.14.0) puts a batch into a queue, wakes a routine, makes a task for the request, a tree of structs of it and
another of its answer, and three futures: some 0.4 ms, whatever the batch holds. Here a request is packed at once, its
answer read in place. Sequence numbers, metadata, connections and the wire's order stay aiokafka's, and everything that
is not as usual goes its way: a topic or connection it does not know yet, an old broker, and whatever failed, which it
sends again under the same sequence numbers, or fails, as it judges the error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from struct import Struct
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from broker.mode import plain
from broker.wire import BODY, COUNT, Pending, connection_to, count_at, name_at, packed, send, speaks

log = logging.getLogger(__name__)

_PRODUCE, _VERSION = 0, 7
_TAKEN = (0, 46)
"""No error, and a batch that the broker has already."""

_REQUEST = Struct(">hhii")
_BATCH = Struct(">ii")
_ANSWERED = Struct(">ihqqq")


class Place(Protocol):
    """What batches are for."""

    topic: str
    partition: int


P = TypeVar("P", bound=Place)


def request_of(batches: Mapping[str, list[tuple[int, bytes]]], *, acks: int, timeout_ms: int) -> bytes:
    """The body of a produce request: a batch a partition, by topic."""
    parts = [_REQUEST.pack(-1, acks, timeout_ms, len(batches))]
    for topic, some in batches.items():
        parts += (packed(topic), COUNT.pack(len(some)))
        for number, records in some:
            parts += (_BATCH.pack(number, len(records)), records)
    return b"".join(parts)


def errors_of(frame: bytes) -> dict[tuple[str, int], int]:
    """What an answer says of each topic and partition: an error code, 0 for none."""
    errors: dict[tuple[str, int], int] = {}
    topics, at = count_at(frame, BODY)
    for _ in range(topics):
        topic, at = name_at(frame, at)
        partitions, at = count_at(frame, at)
        for _ in range(partitions):
            number, error, _offset, _time, _start = _ANSWERED.unpack_from(frame, at)
            errors[topic, number] = error
            at += _ANSWERED.size
    return errors


class Producing(Generic[P]):
    """One aiokafka client's requests, one at a time to each node.

    Attributes:
        busy: nodes whose answer has not come.
    """

    def __init__(self, client: AIOKafkaProducer, landed: Callable[[P, asyncio.Future[object] | None], None]) -> None:
        """Requests of a client that has started.

        Args:
            landed: told of each place whose batch is done: with ``None`` it was acknowledged, else see the future.
        """
        self.busy: set[int] = set()
        self._client, self._landed = client, landed
        self._closed = False
        self._plain = plain()

    def close(self) -> None:
        """The client is being closed: whatever still comes is dropped."""
        self._closed = True

    def node(self, place: P) -> int | None:
        """Where the place's batch can be sent from here; ``None`` sends it by aiokafka."""
        if self._plain:
            return None
        client = self._client.client
        # What is sent to stays in the metadata that aiokafka refreshes; it enters by itself what it did not know.
        client._topics.add(place.topic)
        node: int | None = client.cluster.leader_for_partition(TopicPartition(place.topic, place.partition))
        connection = None if node is None else connection_to(client, node)
        return node if connection is not None and speaks(connection, _PRODUCE, _VERSION) else None

    def send(self, node: int, boarded: list[tuple[P, BatchBuilder]]) -> None:
        """Send a batch for each of several places of one node."""
        client = self._client
        sequences = client._txn_manager
        by_topic: dict[str, list[tuple[int, bytes]]] = {}
        for place, batch in boarded:
            tp = TopicPartition(place.topic, place.partition)
            batch._set_producer_state(sequences.producer_id, sequences.producer_epoch, sequences.sequence_number(tp))
            sequences.increment_sequence_number(tp, batch.record_count())
            records = bytes(batch._build())
            by_topic.setdefault(place.topic, []).append((place.partition, records))
        pending = Pending(partial(self._answered, node, boarded), partial(self._failed, node, boarded))
        connection = connection_to(client.client, node)
        assert connection is not None, "looked at by node()"
        self.busy.add(node)
        body = request_of(by_topic, acks=client._sender._acks, timeout_ms=client._request_timeout_ms)
        send(connection, _PRODUCE, _VERSION, body, pending)

    def _answered(self, node: int, boarded: list[tuple[P, BatchBuilder]], frame: bytes) -> None:
        if self._closed:
            return
        self.busy.discard(node)
        errors = errors_of(frame)
        refused: list[str] = []
        for place, batch in boarded:
            error = errors.get((place.topic, place.partition))
            if error in _TAKEN:
                self._landed(place, None)
            else:
                refused.append(f"{place.topic}/{place.partition}: error {error}")
                self._again(place, batch)
        if refused:
            more = f" and {len(refused) - 1:,} more" if len(refused) > 1 else ""
            log.warning("%s%s: aiokafka sends these batches again", refused[0], more)

    def _failed(self, node: int, boarded: list[tuple[P, BatchBuilder]], error: Exception) -> None:
        if self._closed:
            return
        self.busy.discard(node)
        log.warning("a produce request got no answer, aiokafka sends it again: %s", error)
        for place, batch in boarded:
            self._again(place, batch)

    def _again(self, place: P, batch: BatchBuilder) -> None:
        """Enter a batch into aiokafka's queue as one to be tried again, which keeps its sequence numbers."""
        waiting = self._client._message_accumulator
        queued = waiting._append_batch(batch, TopicPartition(place.topic, place.partition))
        queued._retry_count = 1

        def over(sent: asyncio.Future[object]) -> None:
            waiting._pending_batches.discard(queued)
            self._landed(place, sent)

        queued.future.add_done_callback(over)

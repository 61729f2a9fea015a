"""Produce requests for batches that are ready, at a fraction of what aiokafka's own sender costs.

For each request aiokafka (0.14.0) puts batches into a queue, wakes a task, starts another, builds a tree of structs,
takes the answer apart into a second one, and waits on three futures: some 0.4 ms, however small the batches are. Here a
request is packed in one step, and its answer is read in place. Sequence numbers, metadata and connections stay
aiokafka's. Its own sender takes over where something is not as usual: a topic or a connection that it does not know
yet, an old broker, or a batch that failed, which it sends again under the same sequence numbers, or gives up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from struct import Struct
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch
from aiokafka.producer.message_accumulator import BatchBuilder

from broker.identity import Identity, is_fenced
from broker.mode import plain
from broker.wire import BODY, COUNT, Pending, connection_to, count_at, name_at, packed, send, supports

log = logging.getLogger(__name__)

_PRODUCE, _VERSION = 0, 7
_ACCEPTED = (0, 46)
"""Error codes of a batch that the broker has: none, and a duplicate."""

_REQUEST = Struct(">hhii")
_BATCH = Struct(">ii")
_ANSWERED = Struct(">ihqqq")


class Partition(Protocol):
    """What a batch is for."""

    topic: str
    partition: int
    identity: Identity | None


P = TypeVar("P", bound=Partition)


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
    """One aiokafka client's produce requests, at most one in flight to each node.

    Attributes:
        busy: nodes whose answer has not come.
    """

    def __init__(self, client: AIOKafkaProducer, completed: Callable[[P, asyncio.Future[object] | None], None]) -> None:
        """Send by a client that has started.

        Args:
            completed: called with each partition whose batch is done, and with ``None`` if it was acknowledged, else
                with the future of aiokafka's own attempt.
        """
        self.busy: set[int] = set()
        self._client, self._completed = client, completed
        self._closed = False
        self._plain = plain()

    def close(self) -> None:
        """The client is being closed: drop the answers that still come."""
        self._closed = True

    def node(self, place: P) -> int | None:
        """The node to which the partition's batch can be sent from here; ``None``: aiokafka must send it."""
        if self._plain:
            return None
        client = self._client.client
        # What is sent to stays in the metadata that aiokafka refreshes; it enters by itself what it did not know.
        client._topics.add(place.topic)
        node: int | None = client.cluster.leader_for_partition(TopicPartition(place.topic, place.partition))
        connection = None if node is None else connection_to(client, node)
        return node if connection is not None and supports(connection, _PRODUCE, _VERSION) else None

    def send(self, node: int, batches: list[tuple[P, BatchBuilder]]) -> None:
        """Send one batch for each of several partitions that a node leads."""
        client = self._client
        by_topic: dict[str, list[tuple[int, bytes]]] = {}
        for place, batch in batches:
            self._number(place, batch)
            records = bytes(batch._build())
            by_topic.setdefault(place.topic, []).append((place.partition, records))
        pending = Pending(partial(self._answered, node, batches), partial(self._failed, node, batches))
        connection = connection_to(client.client, node)
        assert connection is not None, "looked at by node()"
        self.busy.add(node)
        body = request_of(by_topic, acks=client._sender._acks, timeout_ms=client._request_timeout_ms)
        send(connection, _PRODUCE, _VERSION, body, pending)

    def pass_on(self, place: P, batch: BatchBuilder) -> None:
        """Have aiokafka send a batch of a partition that has an identity, and that it knows the leader of."""
        self._number(place, batch)
        self._retry(place, batch)

    def _number(self, place: P, batch: BatchBuilder) -> None:
        """Enter producer and sequence number: the partition's own, or the client's."""
        if (own := place.identity) is not None:
            batch._set_producer_state(own.producer_id, own.epoch, own.next_sequence(batch.record_count()))
            return
        sequences, tp = self._client._txn_manager, TopicPartition(place.topic, place.partition)
        batch._set_producer_state(sequences.producer_id, sequences.producer_epoch, sequences.sequence_number(tp))
        sequences.increment_sequence_number(tp, batch.record_count())

    def _answered(self, node: int, batches: list[tuple[P, BatchBuilder]], frame: bytes) -> None:
        if self._closed:
            return
        self.busy.discard(node)
        errors = errors_of(frame)
        refused: list[str] = []
        for place, batch in batches:
            error = errors.get((place.topic, place.partition))
            if error in _ACCEPTED:
                self._completed(place, None)
            elif place.identity is not None and is_fenced(error):
                self._completed(place, _failed(InvalidProducerEpoch()))
            else:
                refused.append(f"{place.topic}/{place.partition}: error {error}")
                self._retry(place, batch)
        if refused:
            more = f" and {len(refused) - 1:,} more" if len(refused) > 1 else ""
            log.warning("%s%s: aiokafka sends these batches again", refused[0], more)

    def _failed(self, node: int, batches: list[tuple[P, BatchBuilder]], error: Exception) -> None:
        if self._closed:
            return
        self.busy.discard(node)
        log.warning("a produce request got no answer, aiokafka sends it again: %s", error)
        for place, batch in batches:
            self._retry(place, batch)

    def _retry(self, place: P, batch: BatchBuilder) -> None:
        """Enter a batch into aiokafka's queue as one to be tried again, which keeps its sequence numbers."""
        waiting = self._client._message_accumulator
        queued = waiting._append_batch(batch, TopicPartition(place.topic, place.partition))
        queued._retry_count = 1

        def over(sent: asyncio.Future[object]) -> None:
            waiting._pending_batches.discard(queued)
            self._completed(place, sent)

        queued.future.add_done_callback(over)


def _failed(error: Exception) -> asyncio.Future[object]:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future

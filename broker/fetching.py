"""Fetch requests, one after the other, at a fraction of what aiokafka's own fetcher costs.

Before each fetch request aiokafka (0.14.0) decides what to ask of which node, and makes a task, a dozen futures
and two trees of structs: some 0.4 ms for a request and an answer, which at a few hundred ticks a second carry one or
two. Here one of its fetch requests starts a *fetch loop* for the node: when an answer was taken, the next request, for
the same partitions at their new positions, is sent from here. The loop ends as soon as anything is not as usual: a
partition that was assigned, revoked, or lost its position or leader, an error in an answer, a closed connection. Then
aiokafka's own fetcher decides anew. A request that was answered with an error is repeated by aiokafka itself, so that
it alone decides what follows (reset, new metadata, an exception).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import KafkaError

from broker.mode import plain
from broker.records import Records
from broker.wire import BODY, COUNT, Pending, connection_to, count_at, name_at, overdue, packed, send, supports

log = logging.getLogger(__name__)

_FETCH, _VERSION = 1, 11
_STALE_SECONDS = 0.1
"""What came and nobody took for so long no longer keeps the other partitions waiting."""

_REQUEST = Struct(">iiiibiii")
_PARTITION = Struct(">iiqqi")
_ANSWER = Struct(">ihii")
_ANSWERED = Struct(">ihqqqi")
_ABORTED = Struct(">qq")
_RECORDS = Struct(">ii")

_Wait = Callable[[], int]
"""Gives the longest wait of a request at the broker, in ms."""
Answered = tuple[str, int, int, int, int, list[tuple[int, int]], bytes]
"""Topic, partition, error, high watermark, last stable offset, aborted transactions, records."""


def request_of(
    asked: dict[str, list[tuple[int, int]]], *, wait_ms: int, least: int, most: int, of_each: int, isolation: int
) -> bytes:
    """The body of a fetch request for partitions and offsets by topic, outside of any fetch session."""
    parts = [_REQUEST.pack(-1, wait_ms, least, most, isolation, 0, -1, len(asked))]
    for topic, places in asked.items():
        parts += (packed(topic), COUNT.pack(len(places)))
        parts += [_PARTITION.pack(partition, -1, offset, -1, of_each) for partition, offset in places]
    parts.append(b"\0\0\0\0\0\0")  # no forgotten topics, no rack
    return b"".join(parts)


def answer_of(frame: bytes) -> tuple[int, Iterator[Answered]]:
    """The error of a whole answer, and what it says of each partition."""
    _throttled, error, _session, topics = _ANSWER.unpack_from(frame, BODY)
    return error, _answered(frame, BODY + _ANSWER.size, topics)


def _answered(frame: bytes, at: int, topics: int) -> Iterator[Answered]:
    for _ in range(topics):
        topic, at = name_at(frame, at)
        partitions, at = count_at(frame, at)
        for _ in range(partitions):
            partition, error, highwater, stable, _start, aborted = _ANSWERED.unpack_from(frame, at)
            at += _ANSWERED.size
            transactions = []
            for _ in range(aborted):
                transactions.append(_ABORTED.unpack_from(frame, at))
                at += _ABORTED.size
            _replica, size = _RECORDS.unpack_from(frame, at)
            at += _RECORDS.size
            size = max(size, 0)
            yield topic, partition, error, highwater, stable, transactions, frame[at : at + size]
            at += size


class FetchLoop:
    """Requests to one node, one at a time, for the partitions of the request that it started with.

    Attributes:
        ended: done when aiokafka's fetcher must decide anew; true if the next request must be its own.
    """

    def __init__(self, fetcher: Fetcher, assignment: Assignment, node: int, request: Any, wait: _Wait) -> None:
        """Nothing is asked yet."""
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.partitions = {TopicPartition(topic, place[0]) for topic, places in request.topics for place in places}
        self._fetcher, self._assignment, self._wait = fetcher, assignment, wait
        self._states = {tp: assignment.state_value(tp) for tp in self.partitions}
        self._connection = connection_to(fetcher._client, node)
        self._offsets: dict[tuple[str, int], int] = {}
        self._pending: Pending | None = None
        self._ending: bool | None = None
        self._rested = time.monotonic()

    def ask(self) -> None:
        """Ask for more of the partitions of which nothing is held; nothing if a request is in flight."""
        if self._pending is not None or self.ended.done():
            return
        fetcher, connection, held = self._fetcher, self._connection, self._fetcher._records
        if self._ending is not None or connection is None or not connection.connected() or not self._assignment.active:
            self.end()
            return
        asked: dict[str, list[tuple[int, int]]] = {}
        offsets = self._offsets = {}
        for tp, state in self._states.items():
            if state._position is None or state._paused:
                self.end()
                return
            if tp not in held:
                offset = offsets[tp] = state._position
                topic, partition = tp
                if topic in asked:
                    asked[topic].append((partition, offset))
                else:
                    asked[topic] = [(partition, offset)]
        if not asked:
            return
        body = request_of(
            asked,
            wait_ms=self._wait(),
            least=fetcher._fetch_min_bytes,
            most=fetcher._fetch_max_bytes,
            of_each=fetcher._max_partition_fetch_bytes,
            isolation=fetcher._isolation_level,
        )
        self._pending = Pending(self._took, self._failed)
        send(connection, _FETCH, _VERSION, body, self._pending)

    def check(self, led: set[TopicPartition]) -> None:
        """End where things have changed; called a few times a second with what the node should be asked for."""
        if self._pending is not None:
            if self._connection is not None and overdue(self._connection, self._pending):
                return
        elif time.monotonic() - self._rested > _STALE_SECONDS:
            self.ask()
        if led != self.partitions:
            self.end()

    def end(self, *, trouble: bool = False) -> None:
        """Let aiokafka's fetcher decide anew, after the answer to a request in flight."""
        self._ending = trouble or bool(self._ending)
        if self._pending is None and not self.ended.done():
            self.ended.set_result(self._ending)

    def forget(self) -> None:
        """Drop the answer to a request in flight."""
        if self._pending is not None:
            self._pending.forget()
            self._pending = None

    def _failed(self, error: Exception) -> None:
        self._pending = None
        if not self.ended.done():
            self.ended.set_exception(error)

    def _took(self, frame: bytes) -> None:
        self._pending = None
        self._rested = time.monotonic()
        if not self._assignment.active:
            self.end()
            return
        failed, partitions = answer_of(frame)
        came, trouble = self._read(partitions)
        if came:
            for waiter in self._fetcher._fetch_waiters:
                self._fetcher._notify(waiter)
        if failed or trouble or self._ending is not None:
            self.end(trouble=bool(failed) or trouble)
        elif not came:
            self.ask()

    def _read(self, partitions: Iterator[Answered]) -> tuple[bool, bool]:
        """Hold what came. Returns whether anything did, and whether there was an error that aiokafka must see."""
        came = trouble = False
        now_ms = int(1000 * time.time())
        for topic, partition, error, highwater, stable, aborted, records in partitions:
            tp = TopicPartition(topic, partition)
            state, offset = self._states[tp], self._offsets.get(tp)
            if offset is None or state._position != offset:
                continue  # a seek came between
            if error:
                trouble = True
                continue
            state.highwater, state.lso, state.timestamp = highwater, stable, now_ms
            if records:
                memory = Records(records)
                if memory.has_next():
                    self._hold(tp, memory, aborted, offset)
                    came = True
                else:
                    trouble = True
        return came, trouble

    def _hold(self, tp: TopicPartition, memory: Any, aborted: list[tuple[int, int]], offset: int) -> None:
        fetcher = self._fetcher
        records = PartitionRecords(
            *(tp, memory, aborted, offset, fetcher._key_deserializer, fetcher._value_deserializer),
            *(fetcher._check_crcs, fetcher._isolation_level),
        )
        fetcher._records[tp] = FetchResult(
            tp, assignment=self._assignment, partition_records=records, backoff=fetcher._prefetch_backoff
        )


class _Wanted:
    """As much of an assignment as aiokafka decides by, without the topics that nobody wants fetched."""

    def __init__(self, assignment: Assignment, wanted: Callable[[str], bool]) -> None:
        self.tps = [tp for tp in assignment.tps if wanted(tp.topic)]
        self.state_value = assignment.state_value


class Fetching:
    """Makes an aiokafka fetcher fetch in loops.

    Each request may wait at the broker for as many ms as ``wait`` says of it. Where a loop can't run (an older
    broker, racks, more partitions than one answer has room for) or may not be (``broker.mode``), aiokafka's own
    requests go out.
    """

    def __init__(self, fetcher: Fetcher, wait: _Wait, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Attach to a fetcher that has just started.

        Args:
            wait: longest wait of the next request at the broker, in ms.
            wanted: whether an assigned topic is to be fetched at all.
        """
        self._fetcher, self._wait, self._wanted = fetcher, wait, wanted
        self._loops: dict[int, FetchLoop] = {}
        self._troubled: set[int] = set()
        self._plain: set[int] = set()
        self._fetch, self._decide = fetcher._proc_fetch_request, fetcher._get_actions_per_node
        if not plain():
            fetcher._proc_fetch_request = self._fetch_in_loop
        fetcher._get_actions_per_node = self._decide_what_to_ask

    def ask(self) -> None:
        """Ask for more: what was held has been taken."""
        for loop in self._loops.values():
            loop.ask()
        if self._plain or not self._loops:
            self._fetcher._notify(self._fetcher._wait_consume_future)

    async def _fetch_in_loop(self, assignment: Assignment, node: int, request: Any) -> bool:
        if node in self._troubled or not await self._able(node, request):
            self._troubled.discard(node)
            self._plain.add(node)
            return bool(await self._fetch(assignment, node, request))
        self._plain.discard(node)
        loop = self._loops[node] = FetchLoop(self._fetcher, assignment, node, request, self._wait)
        try:
            loop.ask()
            if await loop.ended:
                self._troubled.add(node)
        except asyncio.CancelledError:
            pass  # closed, or the assignment has changed: the answer is of no interest
        except KafkaError as error:
            log.error("Failed fetch messages from %s: %s", node, error)  # noqa: TRY400 - as aiokafka says it
            await asyncio.sleep(self._fetcher._retry_backoff)
        finally:
            loop.forget()
            del self._loops[node]
        return False

    async def _able(self, node: int, request: Any) -> bool:
        fetcher = self._fetcher
        asked = sum(len(places) for _, places in request.topics)
        if fetcher._client_rack or asked * fetcher._max_partition_fetch_bytes > fetcher._fetch_max_bytes:
            return False
        await fetcher._client.ready(node)
        connection = connection_to(fetcher._client, node)
        return connection is not None and supports(connection, _FETCH, _VERSION)

    def _decide_what_to_ask(self, assignment: Assignment) -> Any:
        assigned = _Wanted(assignment, self._wanted)
        if self._loops:
            led: dict[int, set[TopicPartition]] = {node: set() for node in self._loops}
            for tp in assigned.tps:
                node = self._fetcher._select_read_replica(tp)
                if node in led and not assignment.state_value(tp).paused:
                    led[node].add(tp)
            for node, loop in self._loops.items():
                loop.check(led[node])
        self._fetcher._fetch_max_wait_ms = self._wait()
        return self._decide(assigned)

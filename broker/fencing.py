"""A partition's producer identity, by which the broker refuses what an earlier owner of the partition still sends.

A member of a consumer group that loses a partition may have a produce request on its way. Without an identity the
broker can't tell it from the next owner's, and takes it whenever it comes. So each partition that needs it has a
transactional id of its own, under which the broker keeps a producer id and an epoch. Nothing is sent in a transaction;
the batches are idempotent ones.

- A new owner *takes over* before it reads what the partition holds. ``InitProducerId`` raises the epoch. An empty
  transaction (``AddPartitionsToTxn``, ``EndTxn``) has the broker write a control marker with that epoch into the
  partition: from there on the partition refuses lower ones. ``EndTxn`` is answered before the marker is written, and
  the next ``InitProducerId`` after it. That one raises the epoch again, to the one that the batches carry.
- After a batch whose outcome is unknown, sequence numbers can't go on. The owner *renews* its identity:
  ``InitProducerId`` with the epoch that it has (KIP-360) gives it a new one, unless another member took over meanwhile.
- A quiet owner *keeps* its identity. The broker forgets a transactional id after a week without a transaction
  (``transactional.id.expiration.ms``), and what a partition knows of a producer after a day
  (``producer.id.expiration.ms``). So each identity gets a new marker, with the epoch that it has, twice a day.

A process that stood still between the question whether it owns a partition and its first ``InitProducerId`` may fence
the rightful owner. That one learns it by its next batch, joins its group again, and takes over again.

This takes a broker of version 2.5 or later that can keep its transaction state, and the right to WRITE the
transactional ids. Where it can't be had, a warning says why, and the partition's batches are sent without an identity.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, NodeNotReadyError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest
from aiokafka.protocol.types import CompactString, Int16, Int32, Int64, Schema, TaggedFields

from broker.errors import BrokerError, FencedError
from broker.identity import Identity, is_fenced

log = logging.getLogger(__name__)

TAKE_OVER_SECONDS = 60.0
"""Longest that a takeover may take."""
COORDINATOR_SECONDS = 30.0
"""Longest that a broker is asked for a transaction coordinator before it is taken for one that has none: the first to
ask waits until the topic of the transactions' state is made."""
_ABSENT_SECONDS = 1.0
"""The same for a broker that had none before."""
KEEP_SECONDS = 12 * 3600.0
_TRANSACTION_MS = 10_000
"""After so long the broker ends an empty transaction that its producer left open: a process that was killed."""
_BACKOFF = 0.005
_BACKOFF_MOST = 0.1

_NO_COORDINATOR = 15
_FORGOTTEN = {48, 49}
"""INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING: the transaction was ended by others, or its id has expired."""
_MOVED = {14, 15, 16}
"""COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR."""
_REFUSED = {
    29: "this user may not write to the topic: grant WRITE on it",
    31: "this user may not write idempotently: grant IDEMPOTENT_WRITE on the cluster",
    35: "the broker does not speak this version of Kafka's protocol (it needs 2.5 or later)",
    50: "its transaction.max.timeout.ms is below 10 s",
    53: "this user may not use the transactional id: grant WRITE and DESCRIBE on it (or on all that begin alike)",
}


_ABSENT = (
    "it has no transaction coordinator: see its log, and set transaction.state.log.replication.factor"
    " and transaction.state.log.min.isr to what it has brokers for"
)
_SAY_SECONDS = 5.0


class UnavailableError(BrokerError):
    """The broker does not fence for this user; the text says why."""


class _InitProducerIdResponse(Response):  # type: ignore[misc]
    API_KEY = 22
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class _InitProducerIdStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 22
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _InitProducerIdResponse
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class _InitProducerId(Request[_InitProducerIdStruct]):  # type: ignore[misc]
    """With producer id and epoch, which aiokafka's (version 0) does not have."""

    API_KEY = 22

    def __init__(self, transactional_id: str, producer_id: int, epoch: int) -> None:
        self._fields: tuple[Any, ...] = transactional_id, _TRANSACTION_MS, producer_id, epoch, {}

    def build(self, request_struct_class: type[_InitProducerIdStruct]) -> _InitProducerIdStruct:
        return request_struct_class(*self._fields)


class Place(Protocol):
    """A queue of records for one partition."""

    topic: str
    partition: int
    identity: Identity | None


class Owner(Protocol):
    """A publisher, as far as identities need one."""

    @property
    def client(self) -> AIOKafkaClient | None:
        """The client in use; ``None`` while it is replaced."""

    def may_send(self) -> bool:
        """Whether this process may act."""

    def wake(self, queue: Any, /) -> None:
        """Have the queue's next batch sent."""

    def fenced(self, queue: Any, /) -> None:
        """Drop what the queue holds."""


class Fences:
    """The identities of one publisher's queues.

    Attributes:
        available: whether the last takeover was possible.
    """

    def __init__(self, owner: Owner) -> None:
        """No queue has an identity."""
        self.available = True
        self._owner = owner
        self._places: dict[str, Place] = {}
        self._nodes: dict[str, int] = {}
        self._lookup = asyncio.Lock()
        self._said = False
        self._renewing: dict[Identity, asyncio.Task[None]] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def take_over(self, places: Collection[Place], prefix: str, owned: Callable[[], bool]) -> None:
        """Make this process the one producer of some partitions; whatever an earlier one sends is refused from now on.

        Where the broker can't do that, a warning says so, and the places have no identity.

        Args:
            places: nothing of them may be unacknowledged.
            prefix: of the transactional ids: ``PREFIX-TOPIC-PARTITION``. All owners of a partition give the same.
            owned: whether the partitions are still this process's; asked before an epoch is raised.

        Raises:
            FencedError: they are not.
            TimeoutError: it was not done in ``TAKE_OVER_SECONDS``.
        """
        taken = [(place, Identity(f"{prefix}-{place.topic}-{place.partition}")) for place in places]
        tasks = [asyncio.ensure_future(self._take_over(place, identity, owned)) for place, identity in taken]
        try:
            async with asyncio.timeout(TAKE_OVER_SECONDS):
                await asyncio.gather(*tasks)
        except UnavailableError as error:
            self.available = False
            log.warning("%s: late writes of an earlier owner can't be refused: %s", prefix, error)
            for place in places:
                place.identity = None
            return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.available = True
        for place, identity in taken:
            place.identity = identity
            self._places[identity.transactional_id] = place
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="fences-keep")

    def renew(self, place: Place) -> None:
        """Have a broken identity renewed; the queue is woken, or fenced, when that is done."""
        identity = place.identity
        assert identity is not None
        if identity not in self._renewing:
            self._renewing[identity] = asyncio.create_task(self._renew(place, identity), name="fences-renew")

    async def close(self) -> None:
        """Renew and keep nothing any more."""
        tasks = [*self._renewing.values(), *([] if self._keeping is None else [self._keeping])]
        self._keeping = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_over(self, place: Place, identity: Identity, owned: Callable[[], bool]) -> None:
        while True:
            identity.producer_id = identity.epoch = -1
            try:
                await self._init(identity, owned)
                await self._mark(place, identity)
                await self._init(identity)
            except FencedError:
                # Of two that take over, the one that owns it is to have it.
                if not owned():
                    raise
            else:
                return

    async def _renew(self, place: Place, identity: Identity) -> None:
        try:
            async with identity.lock:
                await self._init(identity)
        except (FencedError, UnavailableError) as error:
            log.warning("%s/%d is given up: %s", place.topic, place.partition, error)
            if place.identity is identity:
                self._owner.fenced(place)
        else:
            identity.sequence, identity.broken = 0, False
            if place.identity is identity:
                self._owner.wake(place)
        finally:
            del self._renewing[identity]

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            for place in list(self._places.values()):
                identity = place.identity
                if identity is None or identity.lost or identity.broken or not self._owner.may_send():
                    continue
                try:
                    async with asyncio.timeout(TAKE_OVER_SECONDS), identity.lock:
                        await self._mark(place, identity)
                except (BrokerError, TimeoutError) as error:
                    log.warning("%s was not kept, and is tried again: %r", identity.transactional_id, error)

    # -- what the coordinator is asked ---------------------------------------------------------------------------------

    async def _init(self, identity: Identity, owned: Callable[[], bool] = lambda: True) -> None:
        """Raise the epoch: whatever it is, or from the one that the identity has."""

        def request() -> Any:
            if not owned():
                raise FencedError(f"{identity.transactional_id} is not this member's any more")
            return _InitProducerId(identity.transactional_id, identity.producer_id, identity.epoch)

        answer = await self._asked(identity.transactional_id, request, lambda answer: [answer.error_code])
        identity.producer_id, identity.epoch = answer.producer_id, answer.producer_epoch

    async def _mark(self, place: Place, identity: Identity) -> None:
        """Have a control marker with the identity's epoch written to the partition; it follows the answer."""
        name, who = identity.transactional_id, (identity.producer_id, identity.epoch)
        parts = [(place.topic, [place.partition])]
        await self._asked(name, lambda: AddPartitionsToTxnRequest(name, *who, parts), _codes)
        await self._asked(name, lambda: EndTxnRequest(name, *who, True), lambda answer: [answer.error_code])  # noqa: FBT003

    async def _asked(self, name: str, request: Callable[[], Any], codes: Callable[[Any], Iterable[int]]) -> Any:
        """The answer of the transactional id's coordinator, which is asked until it has one.

        Nothing is asked while this process may not act.

        Raises:
            FencedError: the epoch is not the current one.
            UnavailableError: it never will.
        """
        pause, begun = _BACKOFF, time.monotonic()
        patience = COORDINATOR_SECONDS if self.available else _ABSENT_SECONDS
        absent: float | None = None
        while True:
            try:
                client, node = await self._coordinator(name)
                if self._owner.may_send():
                    answer = await client.send(node, request(), group=ConnectionGroup.COORDINATION)
                    code = next(filter(None, codes(answer)), 0)
                    if not code:
                        self._said = False
                        return answer
                    self._judge(name, code)
            except (IncompatibleBrokerVersion, NotImplementedError) as error:
                raise UnavailableError(_REFUSED[35]) from error
            except (KafkaError, OSError) as error:
                self._nodes.pop(name, None)
                absent = (absent or time.monotonic()) if getattr(error, "errno", 0) == _NO_COORDINATOR else None
                if absent is not None and time.monotonic() - absent > patience:
                    raise UnavailableError(_ABSENT) from error
                if not self._said and time.monotonic() - begun > _SAY_SECONDS:
                    self._said = True
                    log.warning("the transaction coordinator of %s does not answer yet: %r", name, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _BACKOFF_MOST)

    async def _coordinator(self, name: str) -> tuple[AIOKafkaClient, int]:
        client = self._owner.client
        if client is None or (asked := client.get_random_node()) is None:
            raise KafkaError("there is no client")
        node = self._nodes.get(name)
        if node is None:
            request = FindCoordinatorRequest(name, CoordinationType.TRANSACTION)
            # One at a time: each has the broker make the topic of the transactions' state, as long as it is not there.
            # And not on the connection that carries batches: it would wait for their answers.
            async with self._lookup:
                found = await client.send(asked, request, group=ConnectionGroup.COORDINATION)
            if found.error_code:
                self._judge(name, found.error_code)
                raise for_code(found.error_code)
            node = self._nodes[name] = int(found.coordinator_id)
        # So that nothing is waited for between the questions whether this process may, and the request.
        if not await client.ready(node, group=ConnectionGroup.COORDINATION):
            raise NodeNotReadyError(f"node {node}")
        return client, node

    def _judge(self, name: str, code: int) -> None:
        """Raise what an answer's error code means, unless the request is only to be sent again."""
        if is_fenced(code) or code in _FORGOTTEN:
            raise FencedError(f"{name} is another member's now")
        if code in _REFUSED:
            raise UnavailableError(_REFUSED[code])
        if code in _MOVED:
            self._nodes.pop(name, None)


def _codes(answer: Any) -> list[int]:
    """The error codes of an answer to ``AddPartitionsToTxn``."""
    return [code for _, partitions in answer.errors for _, code in partitions]

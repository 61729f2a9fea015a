"""Consumer groups, asked about and written from outside of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

from broker import security
from broker.admin import PATIENCE, SETTLE_SECONDS, admin_client
from broker.background import discard

Offsets = Mapping[TopicPartition, OffsetAndMetadata]
_T = TypeVar("_T")
_NOT_YET = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""A broker that has just started, or just become the coordinator, reads its groups first."""
_NO_SUCH_GROUP = 69
_RETRY_SECONDS = 0.3


async def members(bootstrap: str, groups: Iterable[str], *, patience: float = SETTLE_SECONDS) -> dict[str, int]:
    """How many members each of some groups has; none where there is no such group.

    Raises:
        UsageError: no broker answers, or it does not tell.
    """
    wanted = list(groups)

    async def ask(admin: AIOKafkaAdminClient) -> dict[str, int]:
        found = dict.fromkeys(wanted, 0)
        for name in wanted:
            # One by one: aiokafka (0.14) reads an answer about several groups wrongly.
            for answer in await admin.describe_consumer_groups([name]):
                for group in answer.to_object()["groups"]:
                    _check(group["error_code"])
                    found[group["group"]] = len(group["members"])
        return found

    return await _told(bootstrap, patience, ask)


async def assigned(bootstrap: str, group: str, *, patience: float = SETTLE_SECONDS) -> set[TopicPartition] | None:
    """What the members of a group have between them; ``None`` while it is being shared out.

    Raises:
        UsageError: no broker answers, or it does not tell.
    """

    async def ask(admin: AIOKafkaAdminClient) -> set[TopicPartition] | None:
        (answer,) = await admin.describe_consumer_groups([group])
        (found,) = answer.to_object()["groups"]
        _check(found["error_code"])
        if found["state"] != "Stable":
            return None
        shares = [ConsumerProtocol.ASSIGNMENT.decode(member["member_assignment"]) for member in found["members"]]
        return {TopicPartition(*place) for share in shares for place in share.partitions()}

    return await _told(bootstrap, patience, ask)


async def committed(bootstrap: str, prefix: str, *, patience: float = SETTLE_SECONDS) -> dict[str, Offsets]:
    """What the groups whose names begin with a prefix have committed, by name; those without an offset are left out.

    Raises:
        UsageError: no broker answers, or it does not tell.
    """

    async def ask(admin: AIOKafkaAdminClient) -> dict[str, Offsets]:
        names = sorted(name for name, *_ in await admin.list_consumer_groups() if name.startswith(prefix))
        return {name: found for name in names if (found := await _offsets(admin, name))}

    return await _told(bootstrap, patience, ask)


async def _offsets(admin: AIOKafkaAdminClient, group: str) -> Offsets:
    """What a group has committed. aiokafka's own (0.14.0) takes an error for a group that has committed nothing."""
    answer: Any = await admin._send_request(OffsetFetchRequest(group, None), await admin.find_coordinator(group))
    _check(getattr(answer, "error_code", 0))
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    for topic, partitions in answer.topics:
        for partition, offset, metadata, error in partitions:
            _check(error)
            if offset >= 0:
                found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def _check(code: int) -> None:
    if code not in {0, _NO_SUCH_GROUP}:
        raise for_code(code)


async def _told(bootstrap: str, patience: float, ask: Callable[[AIOKafkaAdminClient], Awaitable[_T]]) -> _T:
    """What a broker answers, once it has read its groups."""
    deadline = time.monotonic() + patience
    while True:
        connected = min(deadline, time.monotonic() + PATIENCE)
        async with admin_client(bootstrap, connected) as admin:
            try:
                return await ask(admin)
            except _NOT_YET:
                if time.monotonic() >= deadline:
                    raise
        await asyncio.sleep(_RETRY_SECONDS)


async def commit(bootstrap: str, group: str, offsets: Offsets) -> bool:
    """Commit offsets for a group that has no members; false where it has some, and nothing was committed.

    Raises:
        KafkaError, OSError: no broker answers.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap.split(","), group_id=group, enable_auto_commit=False, **security.options()
    )
    try:
        await consumer.start()
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    except (CommitFailedError, UnknownMemberIdError):
        return False
    finally:
        await discard(consumer)
    return True

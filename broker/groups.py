"""Consumer groups, asked about and written from outside of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, UnknownMemberIdError
from aiokafka.structs import OffsetAndMetadata

from broker.admin import PATIENCE, admin_client
from broker.background import discard

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


async def members(bootstrap: str, groups: Iterable[str], *, patience: float = PATIENCE) -> dict[str, int]:
    """How many members each of some groups has; none where there is no such group.

    Raises:
        UsageError: no broker answers.
    """
    wanted = list(groups)
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        answers = await admin.describe_consumer_groups(wanted)
    found = dict.fromkeys(wanted, 0)
    for answer in answers:
        for group in answer.to_object()["groups"]:
            found[group["group"]] = len(group["members"])
    return found


async def committed(bootstrap: str, prefix: str, *, patience: float = PATIENCE) -> dict[str, Offsets]:
    """What the groups whose names begin with a prefix have committed, by name; those without an offset are left out.

    Raises:
        UsageError: no broker answers.
    """
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        names = sorted(name for name, *_ in await admin.list_consumer_groups() if name.startswith(prefix))
        found = {name: await admin.list_consumer_group_offsets(name) for name in names}
    return {
        name: real
        for name, offsets in found.items()
        if (real := {place: at for place, at in offsets.items() if at.offset >= 0})
    }


async def commit(bootstrap: str, group: str, offsets: Offsets) -> bool:
    """Commit offsets for a group that has no members; false where it has some, and nothing was committed.

    Raises:
        KafkaError, OSError: no broker answers.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap.split(","), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    except (CommitFailedError, UnknownMemberIdError):
        return False
    finally:
        await discard(consumer)
    return True

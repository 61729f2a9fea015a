"""A worker's place in its consumer groups, under a name that it keeps when it is started again (KIP-345).

A worker that was killed is back before its session ends: the group gives it the partitions that it had, and none of the
others stops for it. What aiokafka 0.14.0 and Faust 0.15.3 lack for that is added here:

- two processes of one name would take the place from each other for ever: aiokafka joins under a new member id when its
  own is refused. Here the id that it had goes along, so that the broker can tell, and the later process stays.
- a member that gets its place back is not told that it leads, so nobody would see that a topic got partitions
  meanwhile, or that this version reads more topics. What is assigned to the group is compared with what is due.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import JoinGroupRequest

from broker import groups
from broker.background import is_member, leave
from processors.streaming.watchdog import fatal
from schemas import UsageError

log = logging.getLogger(__name__)

_FENCED_INSTANCE_ID, _UNKNOWN_MEMBER_ID = 82, 25
_ASKING_SECONDS = 2.0
"""Longest that the group is asked what it has shared out, before the client is looked after again."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka's own client takes for a ``group.instance.id``."""


def instance_id(given: str | None, web_port: int) -> str:
    """The name of this process in its groups: as given, or from host and port, which no other process has.

    Raises:
        UsageError: it is not a name that Kafka takes.
    """
    if not given:
        return f"{re.sub('[^A-Za-z0-9._-]', '_', socket.gethostname())[:200]}-{web_port}"
    if not _NAME.fullmatch(given):
        raise UsageError(
            f"--group-instance-id {given!r} is not a name: give up to 249 letters, digits, dots, dashes and underscores"
        )
    return given


class Membership:
    """In one group.

    Attributes:
        name: of this process; the broker's ``group.instance.id``.
    """

    def __init__(self, group: str, name: str) -> None:
        """Not a member yet."""
        self.group, self.name = group, name
        self._member_id = ""

    def follow(self, coordinator: Any) -> None:
        """Have an aiokafka group coordinator join as the member that it was."""
        send = coordinator._send_req

        async def send_req(request: Any) -> Any:
            if not isinstance(request, JoinGroupRequest):
                return await send(request)
            if not request._member_id:
                request._member_id = self._member_id
            response = await send(request)
            if response.error_code == _FENCED_INSTANCE_ID:
                log.critical(
                    "another process has joined the consumer group %s as %s: give each worker a name of its own"
                    " (--group-instance-id)",
                    *(self.group, self.name),
                )
                fatal("another process has taken its place")
            if response.error_code in {0, _UNKNOWN_MEMBER_ID}:
                self._member_id = response.member_id if response.error_code == 0 else ""
            return response

        coordinator._send_req = send_req

    async def check_place(self, consumer: Any, app: Any) -> bool:
        """See that the place that a member came back to is whole, and have it join its group anew if not.

        Returns:
            Whether that could be seen: not while it is no member, or the group shares out its partitions.
        """
        coordinator, subscription = consumer._coordinator, consumer._subscription.subscription
        if subscription is None or subscription.assignment is None or not is_member(coordinator):
            return False
        try:
            assigned = await groups.assigned(app.bootstrap, self.group, patience=_ASKING_SECONDS)
        except (KafkaError, OSError, UsageError) as error:
            log.warning("what %s has shared out is not known yet: %s", self.group, error)
            return False
        if assigned is None or not is_member(coordinator):
            return False
        cluster = consumer._client.cluster
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in subscription.topics}
        members = app.assignor.external_topics_metadata()
        moved = bool(members) and str(app.conf.canonical_url) not in members
        if moved or not covered(counts, assigned):
            log.warning("this worker came back to %s with another address or other topics: it joins anew", self.group)
            await leave(consumer)
        else:
            # Who leads is not told so when it comes back: each looks for itself whether a topic gets partitions.
            coordinator._group_subscription = set(subscription.topics)
            coordinator._metadata_snapshot = coordinator._get_metadata_snapshot()
        return True


def covered(partitions: Mapping[str, int], assigned: Collection[TopicPartition]) -> bool:
    """Whether some member has each partition of the topics that this one reads, and no member any other topic.

    Args:
        partitions: how many each topic has.
        assigned: what the group has shared out.
    """
    return {TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)} == {
        *assigned
    }

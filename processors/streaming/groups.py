"""The consumer group of an agent, and what it takes over from the groups of earlier versions.

Up to version 0.1 the agents of a worker shared one group, which was named after all of them, such as
``ashare-snapshots-storage-changes``. An agent's own group begins where the furthest of those groups that it was part of
has committed. So an upgrade reads nothing again and passes nothing over.
"""

from __future__ import annotations

import logging
import re

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from broker import groups
from schemas import UsageError

log = logging.getLogger(__name__)

PREFIX = "ashare-"
_EARLIER = re.compile(r"ashare(?:-(?:snapshots|storage|changes)){2,}")


def group_of(agent: str) -> str:
    """The consumer group of an agent."""
    return f"{PREFIX}{agent}"


def earlier_groups_of(agent: str, names: list[str]) -> list[str]:
    """Those of some groups that an agent shared with others, in earlier versions."""
    return [name for name in names if _EARLIER.fullmatch(name) and agent in name.split("-")[1:]]


async def take_over(bootstrap: str, agent: str) -> None:
    """Begin an agent's group where the groups that it was part of stand, in partitions that it never committed in.

    Raises:
        UsageError: no broker answers, or a worker of an earlier version still runs: it would publish everything too.
    """
    group = group_of(agent)
    try:
        # On a broker that has just started, it is here that the group's coordinator is waited for.
        await groups.members(bootstrap, [group])
        committed = await groups.committed(bootstrap, PREFIX)
        earlier = earlier_groups_of(agent, list(committed))
        if not earlier:
            return
        running = [name for name, count in (await groups.members(bootstrap, earlier)).items() if count]
        if running:
            raise UsageError(
                f"a worker of an earlier version runs in the consumer group {running[0]}: stop it first, so that"
                f" nothing is published or stored twice; {group} then goes on where it stopped"
            )
        mine = committed.get(group, {})
        due: dict[TopicPartition, OffsetAndMetadata] = {}
        for name in earlier:
            for place, at in committed[name].items():
                if place not in mine and (place not in due or at.offset > due[place].offset):
                    due[place] = at
        if due and await groups.commit(bootstrap, group, due):
            log.warning("%s goes on where %s stopped, in %d partitions", group, " and ".join(earlier), len(due))
    except (KafkaError, OSError) as error:
        raise UsageError(f"the consumer groups at {bootstrap} can't be read (--bootstrap): {error}") from error

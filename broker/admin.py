"""The topics on a broker: made to agree with what is declared, and described as they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NotControllerError, TopicAlreadyExistsError, for_code

from broker import security
from broker.bootstrap import addresses
from broker.login import explain, lacks, refused
from broker.probe import hidden
from schemas import UsageError
from schemas.topics import Topic, topics

SETTLE_SECONDS = 30.0
"""Longest that a broker which answers may take to have a controller, leaders and coordinators."""
PATIENCE = 3.0
"""Seconds for which a broker that is still starting is waited for."""

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.25
_REQUEST_MS = 10_000
_NOT_ALLOWED = 29
_SET_ON_TOPIC = 1
"""``config_source`` of a value that was set on the topic itself (DYNAMIC_TOPIC_CONFIG)."""


@dataclass(frozen=True)
class TopicState:
    """One topic as the broker has it; ``config`` holds every setting in force, ``overrides`` those set on the topic."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    overrides: Mapping[str, str]
    begin: Mapping[int, int]
    end: Mapping[int, int]

    @property
    def records(self) -> int:
        """Offsets between begin and end over all partitions: records, but for those that compaction took away."""
        return sum(self.end.values()) - sum(self.begin.values())


async def apply(
    bootstrap: str,
    declared: Mapping[str, Topic] | None = None,
    *,
    patience: float = PATIENCE,
    copies: int | None = None,
) -> list[str]:
    """Make the broker's topics agree with the declared ones; what agrees already is left alone.

    Settings that are declared are set; settings that somebody set beside them stay. Topics that are not declared stay.

    Args:
        copies: of each partition, which topics that exist are to have as well; ``None``: whatever they have is right.

    Returns:
        One line for each thing done, nothing if there was nothing to do.

    Raises:
        UsageError: no broker answers or it refuses; a topic has another number of partitions, which would move keys, or
            of copies, which this does not change.
    """
    wanted = topics() if declared is None else declared
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        deadline = time.monotonic() + SETTLE_SECONDS
        metadata = await _metadata(admin, wanted)
        existing = {name: len(topic["partitions"]) for name, topic in metadata.items()}
        for name, partitions in existing.items():
            there = min(len(partition["replicas"]) for partition in metadata[name]["partitions"])
            if copies not in {None, there}:
                raise UsageError(
                    f"{name} has {there} {'copy' if there == 1 else 'copies'} of each partition on {bootstrap}, and"
                    f" --replicas asks for {copies}: Kafka's own kafka-reassign-partitions changes that"
                )
            if partitions != wanted[name].partitions:
                raise UsageError(
                    f"{name} has {partitions} partitions on {bootstrap} and {wanted[name].partitions} in topics.yaml;"
                    " a change would move keys between partitions: declare a new topic (.v2), or delete this one first"
                )
        done = await _create(admin, [topic for name, topic in wanted.items() if name not in existing], deadline)
        await _led(admin, wanted, deadline)
        if existing:
            done += await _configure(admin, [wanted[name] for name in existing])
    return done


async def describe(
    bootstrap: str, names: Iterable[str] | None = None, *, patience: float = PATIENCE
) -> dict[str, TopicState]:
    """The topics that exist, of the names given (default: the declared ones), in that order.

    Raises:
        UsageError: no broker answers.
    """
    wanted = list(topics() if names is None else names)
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        metadata = await _metadata(admin, wanted)
        configs = await _configs(admin, list(metadata))
    offsets = await _offsets(bootstrap, {name: len(found["partitions"]) for name, found in metadata.items()})
    return {
        name: TopicState(
            name=name,
            partitions=len(metadata[name]["partitions"]),
            replicas=len(metadata[name]["partitions"][0]["replicas"]),
            config={key: value for key, (value, _) in configs[name].items()},
            overrides={key: value for key, (value, source) in configs[name].items() if source == _SET_ON_TOPIC},
            begin=offsets[name][0],
            end=offsets[name][1],
        )
        for name in wanted
        if name in metadata
    }


async def delete(bootstrap: str, name: str, *, patience: float = PATIENCE) -> int:
    """Delete a topic that is not declared; gives the number of its records.

    Raises:
        UsageError: no broker answers, there is no such topic, it is one of the pipeline's or Kafka's, or the broker
            refuses.
    """
    if name in topics() or name.startswith("__"):
        raise UsageError(f"{name} is not deleted here: it is one of the topics that the pipeline or Kafka works with")
    found = await describe(bootstrap, [name], patience=patience)
    if name not in found:
        if name in await asyncio.to_thread(hidden, bootstrap, [name]):
            raise UsageError(lacks(f"DELETE on the topic {name}"))
        raise UsageError(f"there is no topic {name} on {bootstrap}")
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        answer = (await admin.delete_topics([name])).to_object()
    for topic in answer.get("topic_error_codes", answer.get("responses", ())):
        error = for_code(topic["error_code"])
        if topic["error_code"] == _NOT_ALLOWED:
            raise UsageError(lacks(f"DELETE on the topic {name}"))
        if topic["error_code"]:
            raise UsageError(f"the broker at {bootstrap} does not delete {name}: {error.__name__}: {error.description}")
    return found[name].records


@contextlib.asynccontextmanager
async def admin_client(bootstrap: str, deadline: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected client; a broker that is not up yet is tried again until the deadline."""
    addresses(bootstrap)
    waiting = False
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS, **security.options())
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            if time.monotonic() >= deadline:
                raise await asyncio.to_thread(explain, bootstrap, error) from error
            if not waiting:
                waiting = True
                log.info("waiting for a Kafka broker at %s", bootstrap)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        try:
            yield admin
        except KafkaError as error:
            if said := refused(error):
                raise UsageError(said) from error
            raise UsageError(f"the broker at {bootstrap} refused or stopped answering: {error}") from error
        finally:
            await admin.close()
        return


async def _metadata(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The broker's metadata of those topics that exist."""
    # All topics are asked for: to ask for one by name would make it, where the broker auto-creates.
    found = {topic["topic"]: topic for topic in await admin.describe_topics()}
    return {name: found[name] for name in names if name in found}


async def _create(admin: AIOKafkaAdminClient, missing: list[Topic], deadline: float) -> list[str]:
    done: list[str] = []
    while missing:
        asked = [NewTopic(t.name, t.partitions, t.replicas, topic_configs=dict(t.config)) for t in missing]
        answer = (await admin.create_topics(asked)).to_object()
        again = []
        for topic, outcome in zip(missing, answer["topic_errors"], strict=True):
            error = for_code(outcome["error_code"])
            if error is NotControllerError and time.monotonic() < deadline:
                again.append(topic)
            elif outcome["error_code"] == _NOT_ALLOWED:
                raise UsageError(lacks(f"CREATE on the topic {topic.name}"))
            elif error is not TopicAlreadyExistsError and outcome["error_code"]:
                raise UsageError(f"{topic.name} can't be created: {outcome['error_message'] or error.__name__}")
            elif not outcome["error_code"]:
                done.append(f"created {topic.name}: {_plural(topic.partitions)}, {topic.config['cleanup.policy']}")
        missing = again
        if missing:
            await asyncio.sleep(_RETRY_SECONDS)
    return done


def _plural(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


async def _led(admin: AIOKafkaAdminClient, names: Iterable[str], deadline: float) -> None:
    """Wait until every partition has a leader, so that clients can write at once."""
    wanted = list(names)
    while True:
        found = await _metadata(admin, wanted)
        without = [n for n in wanted if n not in found or any(p["leader"] < 0 for p in found[n]["partitions"])]
        if not without:
            return
        if time.monotonic() >= deadline:
            raise UsageError(f"partitions of {', '.join(without)} have no leader: is a broker of the cluster down?")
        await asyncio.sleep(_RETRY_SECONDS)


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, tuple[str, int]]]:
    """Every setting of the topics: value and source."""
    if not names:
        return {}
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    resources = answer.to_object()["resources"]
    if closed := [resource["resource_name"] for resource in resources if resource["error_code"] == _NOT_ALLOWED]:
        raise UsageError(lacks(f"DESCRIBE_CONFIGS on the topic {closed[0]}"))
    return {
        resource["resource_name"]: {
            entry["config_names"]: (entry["config_value"], entry["config_source"])
            for entry in resource["config_entries"]
        }
        for resource in resources
    }


async def _configure(admin: AIOKafkaAdminClient, existing: list[Topic]) -> list[str]:
    """Set what differs from what is declared."""
    done: list[str] = []
    current = await _configs(admin, [topic.name for topic in existing])
    for topic in existing:
        overrides = {key: value for key, (value, source) in current[topic.name].items() if source == _SET_ON_TOPIC}
        differing = {key: value for key, value in topic.config.items() if overrides.get(key) != value}
        if not differing:
            continue
        # The request replaces every setting of the topic, so what others set goes along.
        resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, overrides | topic.config)
        answer = (await admin.alter_configs([resource]))[0].to_object()["resources"][0]
        if answer["error_code"] == _NOT_ALLOWED:
            raise UsageError(lacks(f"ALTER_CONFIGS on the topic {topic.name}"))
        if answer["error_code"]:
            reason = answer["error_message"] or for_code(answer["error_code"]).__name__
            raise UsageError(f"{topic.name} can't be configured: {reason}")
        done += [
            f"set {topic.name}: {key}={value} (was {overrides.get(key, 'the default')})"
            for key, value in differing.items()
        ]
    return done


async def _offsets(bootstrap: str, partitions: Mapping[str, int]) -> dict[str, tuple[dict[int, int], dict[int, int]]]:
    """First and next offset of every partition, by topic."""
    wanted = [TopicPartition(name, partition) for name, count in partitions.items() for partition in range(count)]
    if not wanted:
        return {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS, enable_auto_commit=False, **security.options()
    )
    try:
        await consumer.start()
        begin, end = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
    except KafkaError as error:
        raise UsageError(f"the broker at {bootstrap} does not give offsets: {error}") from error
    finally:
        await consumer.stop()
    return {
        name: (
            {p: begin[TopicPartition(name, p)] for p in range(count)},
            {p: end[TopicPartition(name, p)] for p in range(count)},
        )
        for name, count in partitions.items()
    }

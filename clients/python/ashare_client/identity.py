"""Which log stands behind a topic's name: the ids of cluster and topic, asked over a consumer's own connections.

A topic that was deleted and made again, and one of another cluster behind the same address, have the name and perhaps
the offsets of the one before, and other records. aiokafka (0.14.0) does not speak the version of the metadata request
that tells topics' ids. It is written here with aiokafka's own building blocks, so that it goes wherever the consumer's
requests go, with its TLS and its user.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v4, MetadataRequest_v5
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from ashare_client.errors import ArgumentError

_NO_ID = bytes(16)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{22}")
"""A topic's id as Kafka prints it."""


@dataclass(frozen=True)
class LogId:
    """What tells a log from another of the same name: ids as Kafka prints them, "" where a broker tells none."""

    cluster: str
    topic: str

    def __str__(self) -> str:
        """As `read_log_id` takes it."""
        return f"{self.cluster}/{self.topic}"

    def differs(self, other: LogId) -> bool:
        """Whether another log is meant, as far as the two say."""
        if self.topic and other.topic:
            return self.topic != other.topic
        return bool(self.cluster and other.cluster) and self.cluster != other.cluster

    def disowns(self, committed: str) -> bool:
        """Whether an offset that carries this metadata was committed for another log.

        One without an id, as older versions and other tools commit it, is taken for this log's.
        """
        return bool(self.topic and _TOPIC.fullmatch(committed)) and committed != self.topic


def read_log_id(given: str) -> LogId:
    """What the argument `log_id` says.

    Raises:
        ArgumentError: it is none.
    """
    cluster, separator, topic = given.rpartition("/")
    if not separator or not (cluster or topic):
        raise ArgumentError(f"log_id: {given!r} is none: give what a reader's .log_id was beside its .position")
    return LogId(cluster, topic)


async def identify(consumer: AIOKafkaConsumer, topic: str) -> LogId | None:
    """Which log stands behind a topic's name now; `None` where there is none.

    Raises:
        KafkaError: no broker answers.
    """
    client = consumer._client  # noqa: SLF001 - aiokafka has no public way to send a request
    nodes = [broker.nodeId for broker in client.cluster.brokers()] or ["bootstrap"]
    failure: KafkaError = KafkaConnectionError("no broker is known")
    for node in nodes:
        try:
            # On the connection of fetches it would wait for one that has nothing to bring yet.
            group = ConnectionGroup.DEFAULT if node == "bootstrap" else ConnectionGroup.COORDINATION
            answer = await client.send(node, _Metadata(topic), group=group)
        except KafkaError as error:
            failure = error
        except NotImplementedError:  # a broker that speaks neither version
            return LogId("", "")
        else:
            return _log_id(answer.to_object(), topic)
    raise failure


def _log_id(answer: dict[str, Any], topic: str) -> LogId | None:
    for found in answer["topics"]:
        if found["topic"] == topic and not found["error_code"]:
            told = found.get("topic_id", _NO_ID)
            return LogId(
                answer["cluster_id"] or "", "" if told == _NO_ID else urlsafe_b64encode(told).decode().rstrip("=")
            )
    return None


class _Uuid:
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        value = data.read(16)
        if len(value) != 16:
            raise ValueError("the answer ends too early")
        return value

    @classmethod
    def repr(cls, value: bytes) -> str:
        return value.hex()


class _MetadataResponse_v10(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequest_v10(RequestStruct):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse_v10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[MetadataRequest_v4 | MetadataRequest_v5 | _MetadataRequest_v10]):  # type: ignore[misc]
    """Asks for one topic, and makes none; a broker before Kafka 2.8 tells the cluster's id alone."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class is _MetadataRequest_v10:
            return _MetadataRequest_v10(
                topics=[(_NO_ID, self._topic, {})],
                allow_auto_topic_creation=False,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
                tags={},
            )
        return request_struct_class(topics=[self._topic], allow_auto_topic_creation=False)

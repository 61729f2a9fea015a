"""``python -m deploy.kubernetes.generate``: Strimzi's topics and users, of ``topics.yaml`` and ``acls.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from schemas.acls import Rule, roles
from schemas.topics import topics

FOLDER = Path(__file__).parent / "base"
API = "kafka.strimzi.io/v1"
CLUSTER = "ashare"
"""The Kafka that they belong to."""
_REPLICAS, _IN_SYNC = 3, 2
_HEAD = "# Written by `make schemas` from {source}: change that.\n"
_KINDS = {"transactional-id": "transactionalId"}


def files() -> dict[str, str]:
    """Each file's name and text."""
    return {
        "topics.yaml": _HEAD.format(source="schemas/topics.yaml") + _text(_topics()),
        "users.yaml": _HEAD.format(source="schemas/acls.yaml") + _text(_users()),
    }


def write() -> None:
    """Write every file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text, "utf-8")


def _text(objects: Iterable[Any]) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False, width=120)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"strimzi.io/cluster": CLUSTER}}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


def _topics() -> Iterator[dict[str, Any]]:
    """Three copies, of which two take a record: a cluster is what this is for."""
    for topic in topics().values():
        config = topic.config | {"min.insync.replicas": str(_IN_SYNC)}
        yield _object(
            "KafkaTopic", topic.name, {"partitions": topic.partitions, "replicas": _REPLICAS, "config": config}
        )


def _users() -> Iterator[dict[str, Any]]:
    for role in roles().values():
        acls = [
            {"resource": _resource(key), "operations": [_operation(rule.operation) for rule in rules]}
            for key, rules in groupby(role.rules(role.name), lambda rule: rule[2:])
        ]
        authorization = {"type": "simple", "acls": acls}
        yield _object(
            "KafkaUser", role.name, {"authentication": {"type": "scram-sha-512"}, "authorization": authorization}
        )


def _resource(key: tuple[Any, ...]) -> dict[str, str]:
    kind, name, prefixed = Rule("", "", *key)[2:]
    if kind == "cluster":
        return {"type": "cluster"}
    return {"type": _KINDS.get(kind, kind), "name": name, "patternType": "prefix" if prefixed else "literal"}


def _operation(name: str) -> str:
    """As Strimzi names it: ``describe-configs`` is ``DescribeConfigs``."""
    return "".join(word.capitalize() for word in name.split("-"))


if __name__ == "__main__":
    write()

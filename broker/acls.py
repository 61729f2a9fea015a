"""The rules of a cluster's authorizer: read, added, taken away. aiokafka (0.14.0) has no requests for them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

from broker.admin import PATIENCE, admin_client
from schemas import UsageError
from schemas.acls import OPERATIONS, RESOURCES, Rule

_ANY, _LITERAL, _PREFIXED = 1, 3, 4
_ANY_PERMISSION, _ALLOW = 1, 3
_DISABLED, _DENIED = 54, 31
_OPERATIONS = {number: name for name, number in OPERATIONS.items()}
_RESOURCES = {number: name for name, number in RESOURCES.items()}
_RULE = (
    ("resource_type", Int8),
    ("resource_name", String("utf-8")),
    ("pattern_type", Int8),
    ("principal", String("utf-8")),
    ("host", String("utf-8")),
    ("operation", Int8),
    ("permission", Int8),
)


async def show(bootstrap: str, *, patience: float = PATIENCE) -> list[Rule]:
    """Every rule that allows something from anywhere, in order.

    Raises:
        UsageError: no broker answers, it has no authorizer, or this user may not ask.
    """
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        return await _show(admin, bootstrap)


async def apply(
    bootstrap: str, wanted: Collection[Rule], *, prune: bool = False, patience: float = PATIENCE
) -> list[str]:
    """Add the rules that are missing.

    Args:
        prune: take away other rules of the same users.

    Returns:
        One line for each thing done, nothing if there was nothing to do.

    Raises:
        UsageError: see ``show``.
    """
    async with admin_client(bootstrap, time.monotonic() + patience) as admin:
        there = set(await _show(admin, bootstrap))
        missing = [rule for rule in wanted if rule not in there]
        if missing:
            answer = await _asked(admin, _Create([_packed(rule) for rule in missing]))
            _judge(bootstrap, ((code, text) for code, text in answer.results))
        users = {rule.principal for rule in wanted}
        extra = sorted(rule for rule in there if rule.principal in users and rule not in set(wanted)) if prune else []
        if extra:
            answer = await _asked(admin, _Delete([_packed(rule) for rule in extra]))
            _judge(bootstrap, ((code, text) for code, text, _ in answer.results))
    return [f"allowed {rule}" for rule in missing] + [f"no longer allowed {rule}" for rule in extra]


async def _show(admin: AIOKafkaAdminClient, bootstrap: str) -> list[Rule]:
    answer = await _asked(admin, _Describe((_ANY, None, _ANY, None, None, _ANY, _ANY_PERMISSION)))
    _judge(bootstrap, [(answer.error_code, answer.error_message)])
    return sorted(
        Rule(
            principal,
            _OPERATIONS.get(operation, str(operation)),
            _RESOURCES.get(kind, str(kind)),
            name,
            pattern == _PREFIXED,
        )
        for kind, name, pattern, rules in answer.resources
        for principal, host, operation, permission in rules
        if permission == _ALLOW and host == "*"
    )


def _packed(rule: Rule) -> tuple[Any, ...]:
    pattern = _PREFIXED if rule.prefixed else _LITERAL
    return RESOURCES[rule.resource], rule.name, pattern, rule.principal, "*", OPERATIONS[rule.operation], _ALLOW


async def _asked(admin: AIOKafkaAdminClient, request: Any) -> Any:
    # Any broker answers: one that is not the controller forwards.
    return await admin._client.send(admin._client.get_random_node(), request)  # noqa: SLF001


def _judge(bootstrap: str, answers: Iterable[tuple[int, str | None]]) -> None:
    for code, text in answers:
        if code == _DISABLED:
            raise UsageError(f"{bootstrap} has no authorizer: set authorizer.class.name on its brokers")
        if code == _DENIED:
            raise UsageError(
                f"this user may not read or change the rules of {bootstrap}: it takes DESCRIBE and ALTER on the cluster"
            )
        if code:
            raise UsageError(f"{bootstrap} refuses a rule: {text or KafkaError(code)}")


class _CreateResponse(Response):  # type: ignore[misc]
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("results", Array(("error_code", Int16), ("error_message", String("utf-8"))))
    )


class _CreateStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _CreateResponse
    SCHEMA = Schema(("creations", Array(*_RULE)))


class _DescribeResponse(Response):  # type: ignore[misc]
    API_KEY = 29
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", String("utf-8")),
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("pattern_type", Int8),
                (
                    "acls",
                    Array(
                        ("principal", String("utf-8")),
                        ("host", String("utf-8")),
                        ("operation", Int8),
                        ("permission", Int8),
                    ),
                ),
            ),
        ),
    )


class _DescribeStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 29
    API_VERSION = 1
    RESPONSE_TYPE = _DescribeResponse
    SCHEMA = Schema(*_RULE)


class _DeleteResponse(Response):  # type: ignore[misc]
    API_KEY = 31
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("matching", Array(("error_code", Int16), ("error_message", String("utf-8")), *_RULE)),
            ),
        ),
    )


class _DeleteStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 31
    API_VERSION = 1
    RESPONSE_TYPE = _DeleteResponse
    SCHEMA = Schema(("filters", Array(*_RULE)))


class _Create(Request[_CreateStruct]):  # type: ignore[misc]
    """Add rules."""

    API_KEY = 30

    def __init__(self, rules: Sequence[tuple[Any, ...]]) -> None:
        self._rules = list(rules)

    def build(self, request_struct_class: type[_CreateStruct]) -> _CreateStruct:
        return request_struct_class(self._rules)


class _Describe(Request[_DescribeStruct]):  # type: ignore[misc]
    """List the rules that a filter fits."""

    API_KEY = 29

    def __init__(self, fitting: tuple[Any, ...]) -> None:
        self._fitting = fitting

    def build(self, request_struct_class: type[_DescribeStruct]) -> _DescribeStruct:
        return request_struct_class(*self._fitting)


class _Delete(Request[_DeleteStruct]):  # type: ignore[misc]
    """Take rules away."""

    API_KEY = 31

    def __init__(self, rules: Sequence[tuple[Any, ...]]) -> None:
        self._rules = list(rules)

    def build(self, request_struct_class: type[_DeleteStruct]) -> _DeleteStruct:
        return request_struct_class(self._rules)

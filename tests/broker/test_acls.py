"""Each user may do what is declared, and nothing else: every user, topic and operation, on a real authorizer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from broker import acls, admin, login, probe, security
from deploy.embedded import KafkaBroker
from schemas.acls import OPERATIONS, Rule, declared, roles, team
from schemas.topics import PRICE_CHANGES, TICKS, topics

pytestmark = pytest.mark.timeout(240)
USERS = [*roles(), "quant"]
IMPLIED = {
    "read": {"describe"},
    "write": {"describe"},
    "delete": {"describe"},
    "alter": {"describe"},
    "alter-configs": {"describe-configs"},
}
FOREIGN = "acme.orders.v1"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A secured broker with the topics, the rules, and a topic of somebody else's."""
    with KafkaBroker(tmp_path_factory.mktemp("acls"), secure=True, users=USERS) as broker:
        with pytest.MonkeyPatch.context() as patch:
            _as(broker, "admin", patch)
            asyncio.run(_prepare(broker.bootstrap))
        yield broker


async def _prepare(bootstrap: str) -> None:
    ticks = topics()[TICKS]
    await admin.apply(bootstrap)
    await admin.apply(bootstrap, {FOREIGN: replace(ticks, name=FOREIGN, partitions=1)})
    assert await acls.apply(bootstrap, declared(["quant"]))
    assert not await acls.apply(bootstrap, declared(["quant"]))  # nothing is left to do


def _as(broker: KafkaBroker, user: str, patch: pytest.MonkeyPatch) -> None:
    assert broker.secrets is not None
    patch.setenv(security.SECURITY, "sasl-tls")
    patch.setenv(security.USER, user)
    patch.setenv(f"{security.PASSWORD}_FILE", str(broker.secrets.password_file(user)))
    patch.setenv(security.CA, str(broker.secrets.ca))


@pytest.mark.parametrize("user", USERS)
def test_a_user_may_do_what_is_declared_and_nothing_else(
    cluster: KafkaBroker, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation on every topic, and on the cluster, as the authorizer itself answers."""
    _as(cluster, user, monkeypatch)
    role = team(user) if user not in roles() else roles()[user]
    rules = role.rules(f"User:{user}")
    names = [*topics(), FOREIGN]
    found, on_cluster = _allowed(cluster, names)
    for name in names:
        wanted = {
            rule.operation
            for rule in rules
            if rule.resource == "topic" and (name.startswith(rule.name) if rule.prefixed else name == rule.name)
        }
        assert found.get(name, set()) == _closure(wanted), name
    assert on_cluster == _closure({rule.operation for rule in rules if rule.resource == "cluster"})


def _closure(operations: set[str]) -> set[str]:
    return operations | {implied for one in operations for implied in IMPLIED.get(one, ())}


def _allowed(broker: KafkaBroker, names: list[str]) -> tuple[dict[str, set[str]], set[str]]:
    """What this process's user may do with each topic, and with the cluster: Kafka's own answer (KIP-430)."""
    body = b"\0" + bytes([len(names) + 1])
    body += b"".join(bytes(16) + bytes([len(name) + 1]) + name.encode() + b"\0" for name in names)
    body += b"\0\1\1\0"  # make no topic, list the operations on the cluster and on the topics
    header = struct.pack(">hhih", 3, 10, 1, 4) + b"test"
    request = header + body
    with login.connect(("127.0.0.1", broker.port), 10.0, security.current()) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", probe._read(connection, 4))
        answer = probe.Reader(probe._read(connection, size))
    answer.int32()
    return _operations(answer)


def _operations(answer: Any) -> tuple[dict[str, set[str]], set[str]]:
    answer.tags()
    answer.int32()
    for _ in range(answer.varint() - 1):
        answer.int32()
        answer.compact()
        answer.int32()
        answer.compact()
        answer.tags()
    answer.compact()
    answer.int32()
    found = {}
    for _ in range(answer.varint() - 1):
        _, name, _ = answer.int16(), answer.compact(), answer.some(16)
        answer.some(1)
        for _ in range(answer.varint() - 1):
            answer.int16()
            for _ in range(3):
                answer.int32()
            for _ in range(3):
                answer.numbers()
            answer.tags()
        found[name] = _named(answer.int32())
        answer.tags()
    return found, _named(answer.int32())


def _named(bits: int) -> set[str]:
    # Where nothing is known, as of a topic that one may not see, the answer is the lowest number there is.
    return set() if bits == -(2**31) else {name for name, number in OPERATIONS.items() if bits >> number & 1}


async def test_a_team_reads_the_changes_in_its_own_group_only(
    cluster: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real: it reads, and neither the ticks, nor in another's group; and it writes nothing."""
    _as(cluster, "quant", monkeypatch)
    options = {"bootstrap_servers": cluster.bootstrap, **security.options()}
    mine = AIOKafkaConsumer(PRICE_CHANGES, group_id="quant-signals", **options)
    await mine.start()
    await mine.getmany(timeout_ms=200)
    await mine.stop()
    theirs = AIOKafkaConsumer(PRICE_CHANGES, group_id="ashare-changes", **options)
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            await theirs.start()
    finally:
        await theirs.stop()
    writer = AIOKafkaProducer(**options)
    await writer.start()
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            await writer.send_and_wait(PRICE_CHANGES, b"{}")
    finally:
        await writer.stop()


async def test_rules_that_are_not_declared_are_taken_away_when_asked(
    cluster: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the declared users; a rule of anybody else's stays."""
    _as(cluster, "admin", monkeypatch)
    more = Rule("User:gateway", "write", "topic", TICKS, prefixed=False)
    other = Rule("User:acme", "read", "topic", FOREIGN, prefixed=False)
    await acls.apply(cluster.bootstrap, [more])
    await acls.apply(cluster.bootstrap, [other])
    assert await acls.apply(cluster.bootstrap, declared(["quant"]), prune=True) == [f"no longer allowed {more}"]
    there = await acls.show(cluster.bootstrap)
    assert other in there
    assert more not in there
    assert set(declared(["quant"])) <= set(there)

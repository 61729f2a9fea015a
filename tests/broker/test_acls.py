"""Each user may do what is declared, and nothing else: every user, topic and operation, on a real authorizer."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ashare_client import ClientError, PriceChanges
from broker import acls, admin, fetching, login, probe, producing, security, wire
from deploy.embedded import KafkaBroker, free_port
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
TOPIC_REFUSED, GROUP_REFUSED, ID_REFUSED = 29, 30, 53


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


def test_what_is_not_declared_is_refused_when_it_is_tried(
    cluster: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing and reading of every topic, joining, looking at and deleting groups, taking a transactional id."""
    allowed: dict[str, set[tuple[str, str]]] = {}
    wanted: dict[str, set[tuple[str, str]]] = {}
    for user in USERS:
        _as(cluster, user, monkeypatch)
        rules = (team(user) if user not in roles() else roles()[user]).rules(f"User:{user}")
        with login.connect(("127.0.0.1", cluster.port), 20.0, security.current()) as connection:
            allowed[user] = set(_tried(connection))
        wanted[user] = {
            (operation, name)
            for operation, name in TRIED
            if any(
                operation in _closure({rule.operation})
                and rule.resource == _kind(name)
                and (name.startswith(rule.name) if rule.prefixed else name == rule.name)
                for rule in rules
            )
        }
    assert allowed == wanted
    assert any(wanted.values())


GROUPS = ("ashare-changes", "quant-signals", "quant.signals", "quantum", "acme-orders")
IDS = ("ashare-changes-ashare.price-changes-state.v1-0", "quant-1")
TRIED = [
    *((operation, name) for name in (*topics(), FOREIGN) for operation in ("write", "read")),
    *((operation, name) for name in GROUPS for operation in ("read", "describe", "delete")),
    *(("write", name) for name in IDS),
]


def _kind(name: str) -> str:
    return "group" if name in GROUPS else "transactional-id" if name in IDS else "topic"


def _tried(connection: socket.socket) -> Iterator[tuple[str, str]]:
    """What the broker did not refuse for want of a right, of ``TRIED``."""

    def asked(key: int, version: int, body: bytes, at: int = 0) -> int:
        """The error code of an answer, and where it stands there."""
        answer = login._asked(connection, key, version, body)
        return int(struct.unpack_from(">h", answer, at if at >= 0 else len(answer) + at)[0])

    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 16)
    builder.append(0, int(time.time() * 1000), b"key", b"{}", [])
    batch, names = bytes(builder.build()), [*topics(), FOREIGN]
    body = producing.request_of({name: [(0, batch)] for name in names}, acks=-1, timeout_ms=10_000)
    written = producing.errors_of(b"corr" + login._asked(connection, 0, 7, body))
    yield from (("write", name) for (name, _), error in written.items() if error != TOPIC_REFUSED)
    places = {name: [(0, 0)] for name in names}
    body = fetching.request_of(places, wait_ms=0, least=0, most=1 << 20, of_each=1 << 10, isolation=0)
    read = fetching.answer_of(b"corr" + login._asked(connection, 1, 11, body))[1]
    yield from (("read", name) for name, _, error, *_ in read if error != TOPIC_REFUSED)
    for group in GROUPS:
        named, one = wire.packed(group), struct.pack(">i", 1)
        # Heartbeat, OffsetFetch of all topics (of which there are none), DeleteGroups.
        for operation, (key, version, body, at) in {
            "read": (12, 0, named + one + named, 0),
            "describe": (9, 2, named + struct.pack(">i", -1), -2),
            "delete": (42, 0, one + named, -2),
        }.items():
            if asked(key, version, body, at) != GROUP_REFUSED:
                yield operation, group
    for name in IDS:
        if asked(22, 0, wire.packed(name) + struct.pack(">i", 10_000), 4) != ID_REFUSED:
            yield "write", name


COMMANDS = [
    ("quant", "tail ticks", "READ or WRITE on the topic ashare.ticks.v1"),
    ("archive", "produce --url ws://127.0.0.1:1", "IDEMPOTENT_WRITE, or WRITE on the topic"),
    ("quant", "process --agents changes --web-port {port}", "READ on the group ashare-changes:"),
    ("archive", "process --agents changes --web-port {port}", "IDEMPOTENT_WRITE, or WRITE on the topic"),
    ("quant", "archive --dir archive", "READ or WRITE on the topic ashare.ticks.v1"),
    ("quant", "replay ticks", "READ or WRITE on the topic ashare.ticks.v1"),
    ("quant", "store refill --day 2026-11-20 --store sqlite:///ticks", "READ or WRITE on the topic ashare.ticks.v1"),
    ("worker", "threshold set 600519 0.5", "WRITE on the topic ashare.thresholds.v1"),
    ("producer", "threshold show", "READ or WRITE on the topic ashare.thresholds.v1"),
    ("producer", "topics apply", "CREATE on the topic ashare.snapshots.v1"),
    ("producer", "topics describe", "DESCRIBE_CONFIGS on the topic ashare.ticks.v1"),
    ("operator", f"topics delete {FOREIGN}", f"DELETE on the topic {FOREIGN}"),
    ("quant", "acl show", "it takes DESCRIBE and ALTER on the cluster"),
    ("worker", "acl apply", "it takes DESCRIBE and ALTER on the cluster"),
]


def test_every_part_says_in_a_line_what_its_user_lacks(cluster: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends soon, with code 2, and nothing but that on standard error."""
    with ThreadPoolExecutor(2) as pool:
        running = []
        for user, words, said in COMMANDS:
            _as(cluster, user, monkeypatch)
            given = os.environ | {"ASHARE_KAFKA_BOOTSTRAP": cluster.bootstrap}
            arguments = words.format(port=free_port()).split()
            running.append((user, words, said, pool.submit(_run, arguments, dict(given))))
        for user, words, said, done in running:
            code, error = done.result()
            assert code == 2, (user, words, error)
            assert said in error, (user, words)
            assert error.startswith("ashare: "), (user, words, error)
            assert error.count("\n") == 1, (user, words, error)
            assert said.startswith("it takes") or f"Kafka does not let user '{user}' do this: it lacks" in error


def _run(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr


async def test_the_client_library_names_what_its_user_lacks(
    cluster: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of another's, and a topic that it may not see."""
    for user, group, said in (
        ("quant", "ashare-changes", "join the group ashare-changes: it lacks READ"),
        ("producer", None, "ashare.price-changes.v1"),
    ):
        _as(cluster, user, monkeypatch)
        with pytest.raises(ClientError) as refused:
            async with PriceChanges(cluster.bootstrap, group=group) as changes:
                await anext(aiter(changes))
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)


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

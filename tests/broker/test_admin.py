"""Topics on a real broker, and where keys land."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Message, Producer
from typer.testing import CliRunner

from broker import admin
from deploy.embedded import KafkaBroker
from deploy.embedded.server import free_port
from schemas import UsageError
from schemas.topics import TICKS, Topic, partition_of, topics

CODES = ["600519", "000001", "300750", "688981", "920799", "000001.SSE", *(f"{600_000 + 7 * n}" for n in range(200))]


def some_topic(config: dict[str, str] | None = None) -> dict[str, Topic]:
    name = f"test.{uuid.uuid4().hex}"
    return {name: Topic(name, "code", "tick", "for a test", 3, 1, {"cleanup.policy": "delete"} | (config or {}))}


async def test_applied_twice_there_is_nothing_to_do(bootstrap: str) -> None:
    """Every topic is there as declared, and a second application finds nothing to change."""
    assert await admin.apply(bootstrap) == []
    found = await admin.describe(bootstrap)
    assert list(found) == list(topics())
    for name, declared in topics().items():
        assert found[name].partitions == declared.partitions
        assert dict(found[name].overrides) == declared.config


async def test_another_number_of_partitions_is_refused_and_left_alone(kafka: KafkaBroker) -> None:
    """More partitions would put a key's later records elsewhere."""
    declared = some_topic()
    (name,) = declared
    await admin.apply(kafka.bootstrap, declared)
    more = {name: dataclasses.replace(declared[name], partitions=4)}
    with pytest.raises(UsageError, match=f"{name} has 3 partitions .* 4 in topics.yaml"):
        await admin.apply(kafka.bootstrap, more)
    assert (await admin.describe(kafka.bootstrap, more))[name].partitions == 3


async def test_a_changed_setting_is_set_and_those_that_others_set_stay(kafka: KafkaBroker) -> None:
    """Declared settings win; the rest of the topic's settings survive the request that replaces them all."""
    declared = some_topic({"retention.ms": "1000000", "segment.ms": "500000"})
    (name,) = declared
    await admin.apply(kafka.bootstrap, declared)
    changed = {
        name: dataclasses.replace(declared[name], config={"cleanup.policy": "delete", "retention.ms": "2000000"})
    }
    assert await admin.apply(kafka.bootstrap, changed) == [f"set {name}: retention.ms=2000000 (was 1000000)"]
    overrides = (await admin.describe(kafka.bootstrap, changed))[name].overrides
    assert overrides == {"cleanup.policy": "delete", "retention.ms": "2000000", "segment.ms": "500000"}


@pytest.mark.parametrize(("key", "value"), [("retention.ms", "soon"), ("retention.msec", "1")])
async def test_a_setting_that_the_broker_refuses_is_told(kafka: KafkaBroker, key: str, value: str) -> None:
    """The broker's own words, with the topic's name."""
    declared = some_topic({key: value})
    with pytest.raises(UsageError, match=f"{next(iter(declared))} can't be created: .*{key}"):
        await admin.apply(kafka.bootstrap, declared)


async def test_without_a_broker_the_address_is_named() -> None:
    """After its patience, one error that says where nobody answers."""
    bootstrap = f"127.0.0.1:{free_port()}"
    with pytest.raises(UsageError, match=f"no Kafka broker answers at {bootstrap}"):
        await admin.apply(bootstrap, patience=0.5)


async def test_every_client_puts_a_key_where_the_contract_says(bootstrap: str) -> None:
    """Both of librdkafka's names for Kafka's default placement, aiokafka's default, and partition_of agree."""
    declared = dataclasses.replace(topics()[TICKS], name=f"placement-{uuid.uuid4().hex}")
    await admin.apply(bootstrap, {declared.name: declared})
    landed: dict[str, list[tuple[str, int]]] = {}
    expected = [(code, partition_of(code, declared.partitions)) for code in CODES]
    for partitioner in ("murmur2", "murmur2_random"):
        places = landed.setdefault(partitioner, [])

        def delivered(_: object, record: Message, to: list[tuple[str, int]] = places) -> None:
            key = record.key()
            assert isinstance(key, bytes)
            to.append((key.decode(), record.partition() or 0))

        producer = Producer({"bootstrap.servers": bootstrap, "partitioner": partitioner})
        for code in CODES:
            producer.produce(declared.name, key=code, value=b"not a tick", on_delivery=delivered)
        assert producer.flush(30) == 0
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as client:
        sent = [await client.send(declared.name, b"not a tick", key=code.encode()) for code in CODES]
        landed["aiokafka"] = [(code, (await one).partition) for code, one in zip(CODES, sent, strict=True)]
    for places in landed.values():
        assert sorted(places) == sorted(expected)
    assert len({partition for _, partition in expected}) == declared.partitions


def test_murmur2_is_kafkas() -> None:
    """The hashes that Apache Kafka's own test holds its implementation to (UtilsTest.testMurmur2)."""
    hashes = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}
    assert {text: partition_of(text, 1 << 31) for text in hashes} == {t: h & 0x7FFFFFFF for t, h in hashes.items()}


def test_topics_on_the_command_line(bootstrap: str) -> None:
    """Applying says when there is nothing to do; describing shows a line for each topic."""
    from cli.commands.topics import app

    applied = CliRunner().invoke(app, ["apply", "--bootstrap", bootstrap])
    assert (applied.exit_code, applied.output) == (0, "nothing to do: every topic is as declared\n")
    described = CliRunner().invoke(app, ["describe", "--bootstrap", bootstrap])
    assert described.exit_code == 0
    lines = described.output.splitlines()
    for name, topic in topics().items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert topic.about in line


async def test_a_topic_of_ones_own_is_deleted_and_no_other(bootstrap: str) -> None:
    """A replay's, say; what the pipeline or Kafka works with is refused, and what does not exist is said."""
    declared = some_topic()
    (name,) = declared
    await admin.apply(bootstrap, declared)
    assert await admin.delete(bootstrap, name) == 0
    assert await admin.describe(bootstrap, [name]) == {}
    with pytest.raises(UsageError, match=f"there is no topic {name}"):
        await admin.delete(bootstrap, name)
    for kept in (TICKS, "__consumer_offsets"):
        with pytest.raises(UsageError, match=f"{kept} is not deleted here"):
            await admin.delete(bootstrap, kept)
    assert TICKS in await admin.describe(bootstrap, [TICKS])

"""Replays into a topic of their own, on a real broker."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from broker import admin
from consumers.replay.controls import Controls
from consumers.replay.outputs.lines import Lines, Stream
from consumers.replay.outputs.topic import ToTopic
from consumers.replay.pace import Pace
from consumers.replay.run import replay
from consumers.replay.through import ThroughChanges
from jobs.thresholds import parse_overrides
from schemas import UsageError, encode
from schemas.topics import PRICE_CHANGES, topics
from selfcheck.changes import change_id
from tests.consumers.replay.conftest import PARTITIONS, Play, Recorded, make_topic


def to_topic(recorded: Recorded, name: str, said: list[str], replay_id: str = "again") -> ToTopic:
    return ToTopic(recorded.bootstrap, name, source=recorded.topic, replay_id=replay_id, say=said.append)


async def everything(bootstrap: str, topic: str) -> dict[int, list[ConsumerRecord]]:
    """All records of a topic, by partition."""
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    found: dict[int, list[ConsumerRecord]] = {number: [] for number in range(PARTITIONS)}
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        async with asyncio.timeout(30):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[place.partition] += records
    return found


async def test_records_keep_their_partition_key_order_and_time(recorded: Recorded, play: Play, said: list[str]) -> None:
    """Headers say which replay and from where; behind the last record of each partition stands an end marker."""
    name = f"{recorded.topic}.again"
    await play(recorded.request(), to_topic(recorded, name, said))
    assert f"made topic {name}, {PARTITIONS} partitions, kept until you delete it" in said
    for partition, records in (await everything(recorded.bootstrap, name)).items():
        expected = sorted((one for one in recorded.ticks if one.partition == partition), key=lambda one: one.offset)
        *copies, end = records
        assert [(r.key, r.value, r.timestamp, r.headers) for r in copies] == [
            (
                one.tick.code.encode(),
                encode(one.tick),
                one.tick.received // 1000,
                (("ashare_replay", b"again"), ("ashare_replay_origin", b"%d:%d" % (partition, one.offset))),
            )
            for one in expected
        ]
        assert (end.key, end.value) == (None, b"")
        assert dict(end.headers) == {
            "ashare_replay": b"again",
            "ashare_replay_end": b"complete",
            "ashare_replay_records": b"%d" % len(expected),
        }
    made = (await admin.describe(recorded.bootstrap, [name]))[name]
    assert made.overrides["retention.ms"] == "-1"


async def test_a_replay_of_a_replay_leaves_its_end_markers_out(recorded: Recorded, play: Play, said: list[str]) -> None:
    """What an earlier replay wrote is records again, in the same order, and a second replay goes behind the first."""
    name = f"{recorded.topic}.again"
    for _ in range(2):
        await play(recorded.request(), to_topic(recorded, name, said))
    assert f"topic {name} holds {900 + PARTITIONS:,} records already; this replay's are behind them" in said
    stream = io.BytesIO()
    request = replace(recorded.request(), topic=name, kind="")
    await play(request, Lines(Stream(stream), "", "json"))
    got = stream.getvalue().splitlines()
    assert len(got) == 1_800
    assert set(got) == {encode(one.tick) for one in recorded.ticks}


async def test_a_replay_that_is_ended_says_so_in_its_markers(recorded: Recorded, said: list[str]) -> None:
    """Readers need not wait for what never comes."""
    name = f"{recorded.topic}.again"
    request = recorded.request(pace=Pace(rate=50.0))
    controls = Controls(seekable=False)
    running = asyncio.create_task(replay(request, to_topic(recorded, name, said), controls=controls, say=said.append))
    async with asyncio.timeout(30):
        while not (found := await admin.describe(recorded.bootstrap, [name])) or not found[name].records:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    records = await everything(recorded.bootstrap, name)
    given = 0
    for some in records.values():
        headers = dict(some[-1].headers)
        assert headers["ashare_replay_end"] == b"interrupted"
        assert headers["ashare_replay_records"] == b"%d" % (len(some) - 1)
        given += len(some) - 1
    assert 0 < given < 900


async def test_changes_of_history_carry_the_ids_of_the_ticks_that_caused_them(
    recorded: Recorded, play: Play, said: list[str]
) -> None:
    """Each lies in its tick's partition, under its code, with the headers of the public topic and the replay's."""
    name = f"{recorded.topic}.changes"
    job = ThroughChanges(parse_overrides("0.1", ""), recorded.topic)
    await play(recorded.request(), to_topic(recorded, name, said), job)
    ticks = {(one.partition, one.offset): one.tick for one in recorded.ticks}
    total = 0
    for partition, records in (await everything(recorded.bootstrap, name)).items():
        for record in records[:-1]:
            headers = dict(record.headers)
            place = headers["ashare_replay_origin"].decode().split(":")
            tick = ticks[int(place[0]), int(place[1])]
            assert int(place[0]) == partition
            assert headers["ce_id"].decode() == change_id(tick.source, tick.run, tick.n)
            assert record.key == tick.code.encode()
            total += 1
    assert 50 < total < 900


async def test_live_topics_and_the_one_that_is_read_are_refused(recorded: Recorded, said: list[str]) -> None:
    """Every declared topic: live readers never see replayed records. And names that Kafka does not take."""
    for name in topics():
        with pytest.raises(UsageError, match="live topic"):
            to_topic(recorded, name, said)
    assert PRICE_CHANGES in topics()
    with pytest.raises(UsageError, match="the topic that is read"):
        to_topic(recorded, recorded.topic, said)
    for name in ("", "..", "a b", "x" * 250):
        with pytest.raises(UsageError, match="topic's name"):
            to_topic(recorded, name, said)
    with pytest.raises(UsageError, match="--replay-id"):
        to_topic(recorded, "mine", said, "a\n")


async def test_a_topic_that_can_not_hold_the_records_as_they_are_is_refused(
    recorded: Recorded, play: Play, said: list[str]
) -> None:
    """Another number of partitions, or compaction, which would overwrite what is there."""
    few = await make_topic(recorded.bootstrap, partitions=PARTITIONS - 1)
    with pytest.raises(UsageError, match=f"has {PARTITIONS - 1} partitions"):
        await play(recorded.request(), to_topic(recorded, few, said))
    compacted = await make_topic(recorded.bootstrap, policy="compact")
    with pytest.raises(UsageError, match="is compacted"):
        await play(recorded.request(), to_topic(recorded, compacted, said))

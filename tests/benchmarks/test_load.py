"""What benchmarks read is there for as long as they read it, whatever today is."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks import kafka, load
from broker import admin
from market.times import DAY_MS, SHANGHAI, shanghai_time
from schemas.topics import TICKS, Topic, topics


@pytest.mark.parametrize(
    "now", ["2026-11-30T00:00", "2026-12-05T09:29", "2026-12-31T23:59", "2028-02-29T12:00", "2028-03-01T00:01"]
)
def test_a_load_is_of_a_day_that_is_over_and_far_from_forgotten(now: str) -> None:
    """Its last record too: 09:30 of the day before, on a Saturday, at the end of a year and in a leap year."""
    at = int(datetime.fromisoformat(now).replace(tzinfo=SHANGHAI).timestamp() * 1000)
    begin = load.start(at)
    kept = int(topics()[TICKS].config["retention.ms"])
    assert shanghai_time(begin)[11:] == "09:30:00.000"
    assert shanghai_time(begin)[:10] < shanghai_time(at)[:10]
    assert at - begin < 2 * DAY_MS < kept / 2


async def test_a_benchmark_whose_input_was_deleted_fails(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with figures of what was left."""
    name = "bench-deleted"
    declared = {name: Topic(name, "k", "r", "a", 1, 1, {"cleanup.policy": "delete"})}
    await admin.apply(bootstrap, declared)
    monkeypatch.setattr(kafka, "topics", lambda: declared)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for _ in range(3):
        await producer.send_and_wait(name, b"7")
    await producer.stop()
    await kafka.check_whole(bootstrap)
    client = AdminClient({"bootstrap.servers": bootstrap})
    [deleted] = client.delete_records([TopicPartition(name, 0, 2)]).values()
    await asyncio.to_thread(deleted.result, 60)
    with pytest.raises(SystemExit, match="2 records were deleted"):
        await kafka.check_whole(bootstrap)

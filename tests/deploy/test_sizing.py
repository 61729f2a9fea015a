"""What is said to be needed follows from what was measured: results of the benchmarks, and a real broker's log."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from broker import admin
from broker.publisher import Publisher
from cli.main import app
from deploy import sizing
from deploy.embedded import KafkaBroker
from deploy.sizing import size
from schemas import encode
from schemas.topics import Topic
from tests.stores.places import tick

BOOK = {"bids", "asks", "day_open", "day_high", "day_low", "day_volume", "day_turnover", "average"}
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def measured(name: str, row: str) -> dict[str, float]:
    """The median of each figure of a row."""
    samples: list[dict[str, Any]] = [
        sample["values"]
        for sample in json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["samples"]
        if sample["row"] == row
    ]
    assert samples, row
    return {key: median(one[key] for one in samples) for key, value in samples[0].items() if isinstance(value, float)}


@pytest.mark.parametrize(
    ("name", "row", "rate", "within"),
    [
        ("steady", "400 ticks/s, 1 a frame", 400, 0.1),
        ("steady", "10,000 ticks/s, 10 a frame", 10_000, 0.1),
        ("pipeline", "30,000 ticks/s; 50 a frame", 30_000, 0.25),  # between two points, and with its start
        ("pipeline", "50,000 ticks/s; 50 a frame", 50_000, 0.1),
    ],
)
def test_cpu_is_what_was_measured(name: str, row: str, rate: int, within: float) -> None:
    """Of a single worker, producer and broker, one copy of each partition."""
    need = size(rate, 1, 1, peak=1.0)
    figures = measured(name, row)
    per_worker = sizing._cores(sizing._WORKER_CORES, rate)
    assert per_worker == pytest.approx((figures["CPU % worker"] + figures["CPU % store"]) / 100, rel=within)
    if name == "steady":
        assert need.cores_broker == pytest.approx(figures["CPU % kafka"] / 100, rel=within)
        assert need.cores_producer == pytest.approx(figures["CPU % producer"] / 100, rel=within)


def test_capacities_are_what_was_measured() -> None:
    """At full speed; the store's and the archive's too."""
    for capacity, name, row, figure in (
        (sizing.WORKER_TICKS, "stages", "worker: all three agents", "ticks/s"),
        (sizing.PRODUCER_TICKS, "stages", "producer, socket to topic; 1 a frame", "ticks/s"),
        (sizing.BROKER_TICKS, "stages", "producer, socket to topic; 50 a frame", "ticks/s"),
        (sizing.SQLITE_TICKS, "stages", "SQLite, in its own process; 100 a write", "ticks/s"),
        (sizing.QUESTDB_TICKS, "stages", "QuestDB; 20,000 a write", "ticks/s"),
        (sizing.WORKER_MB, "stages", "worker: all three agents", "MB"),
        (sizing.ARCHIVE_BYTES, "archive", "on disk", "bytes a tick"),
    ):
        assert capacity == pytest.approx(measured(name, row)[figure], rel=0.02), row


def written(number: int) -> bytes:
    """A tick as the producer writes one of a feed without books: it leaves their fields out."""
    fields = json.loads(encode(tick(number, turnover=423_759.0, side="buy", run=1_764_567_800_000)))
    return orjson.dumps({name: value for name, value in fields.items() if name not in BOOK})


async def test_a_tick_takes_what_is_said_in_a_real_log(kafka: KafkaBroker) -> None:
    """In batches of two or three, as at 5,000 ticks/s."""
    name, count = "sizing-ticks", 600
    await admin.apply(kafka.bootstrap, {name: Topic(name, "k", "r", "a", 1, 1, {"cleanup.policy": "delete"})})
    publisher = Publisher(kafka.bootstrap, client_id="test")
    await publisher.start(name)
    queue = publisher.queue(name, 0)
    for start in range(0, count, 2):
        for n in range(start, start + 2):
            queue.add(b"600519", written(n), 1_764_000_000_000 + n)
        await queue.delivered()
    await publisher.stop()
    log = kafka.data.path / "topics" / f"{name}-0" / f"{0:020d}.log"
    assert log.stat().st_size / count == pytest.approx(sizing.TICK_BYTES, rel=0.15)


@pytest.mark.parametrize("replicas", [1, 3])
def test_more_ticks_never_need_less(replicas: int) -> None:
    """And ten times the days are ten times the disk of a store."""
    before = size(100, 5, replicas)
    for rate in (1_000, 10_000, 100_000, 1_000_000):
        need = size(rate, 5, replicas)
        for name, value in need.as_dict().items():
            if isinstance(value, int | float) and not name.startswith("cores"):
                assert value >= getattr(before, name), name
        assert need.partitions >= need.workers
        assert need.brokers >= replicas
        before = need
    assert size(1_000, 50, 3).disk_store_gb == pytest.approx(10 * size(1_000, 5, 3).disk_store_gb)
    assert size(1_000, 5, 3, books=True).disk_kafka_gb > size(1_000, 5, 3).disk_kafka_gb


def test_the_command_tells_of_ten_and_a_hundred_times_as_well() -> None:
    """As a table, and as JSON with the notes."""
    asked = ["size", "--ticks-per-second", "5000", "--days", "5", "--replicas", "3"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0
    assert "× 100" in told.output
    assert "at × 10:" in told.output
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert list(found) == ["x1", "x10", "x100"]
    assert found["x1"]["brokers"] == 3
    assert found["x100"]["partitions"] > found["x1"]["partitions"]
    assert any("QuestDB" in note for note in found["x100"]["notes"])

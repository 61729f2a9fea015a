"""From the version whose agents shared a consumer group to this one, on the same topics, groups and store.

The ticks of that version have no book, and its store no columns for one; those that come after it have.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from broker import groups
from cli.thresholds import write
from deploy.embedded import KafkaBroker, free_port
from jobs.snapshots import Snapshots
from processors.options import AGENTS
from schemas import encode
from schemas.topics import DEAD_LETTERS, SNAPSHOTS, TICKS
from selfcheck.log import LogReader
from tests.processors.test_kill import WorkerProcess, done, log_of
from tests.processors.test_thresholds import check, everything
from tests.processors.upgrade.recording import CODES, GAPPED, GROUP, PARTITIONS, SPOILT, Recording

THRESHOLDS_SET = 4
"""In the recording and in the test."""

EARLIER = ("snapshots", "storage", "changes")
"""The agents of that version."""
BESIDE: dict[str, Any] = {"bids": [[9.99, 1200], [9.98, 300]], "asks": [], "day_open": 9.9, "day_high": 12.5}
BESIDE |= {"day_low": 8.5, "day_volume": 812_300, "day_turnover": 8123000.5, "average": 10.01}


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    """Without topics: they are the recording's."""
    with KafkaBroker(tmp_path / "kafka") as made:
        yield made


@pytest.mark.timeout(240)
async def test_an_upgrade_goes_on_where_the_shared_group_stood(broker: KafkaBroker, tmp_path: Path) -> None:
    """Of a worker that was killed: nothing is lost or doubled in changes, snapshots and rows, nothing is read again.

    As long as a worker of the version before runs, one of this version does not start, and says so.
    """
    recording = Recording.read()
    await recording.play(broker.bootstrap, tmp_path)
    async with aiokafka_member(broker.bootstrap):
        await refused(broker.bootstrap, tmp_path)
    worker = WorkerProcess(broker.bootstrap, tmp_path, "worker")
    try:
        first = await settled(worker)
        await write(broker.bootstrap, "default", "0.01")
        await recording.go_on(broker.bootstrap, BESIDE)
        last = await settled(worker, more_than=first)
        snapshots = await served(worker)
    finally:
        worker.kill()
    log = await log_of(broker.bootstrap, TICKS)
    read = sum(map(len, log.values())) - sum(recording.committed.values())
    # Agents that the version before did not have begin with the earliest tick.
    handled = dict.fromkeys(EARLIER, read) | dict.fromkeys(set(AGENTS) - set(EARLIER), sum(map(len, log.values())))
    assert {name: last["agents"][name]["handled"] for name in AGENTS} == handled
    assert (tmp_path / "worker.log").read_text("utf-8").count(f"goes on where {GROUP} stopped") == len(EARLIER)

    rules = await check(broker)
    assert len(rules.settings) == THRESHOLDS_SET
    expected = snapshots_of(log)
    assert {code: one | {"gap": None} for code, one in snapshots.items()} == expected
    assert {code: one | {"gap": None} for code, one in (await published(broker)).items()} == expected
    assert {code for code, one in snapshots.items() if one["gap"]} == set(GAPPED)
    assert stored(tmp_path / "store") == Counter(map(tuple, recording.sent))
    later = len({json.loads(value)["n"] for _, value in recording.rest})
    full = tuple(json.dumps(one, separators=(",", ":")) if isinstance(one, list) else one for one in BESIDE.values())
    assert beside(tmp_path / "store") == Counter({full: later, (None,) * len(BESIDE): len(recording.sent) - later})
    await letters(broker, recording)


@contextlib.asynccontextmanager
async def aiokafka_member(bootstrap: str) -> Any:
    """A worker of the version before, as far as the broker sees it."""
    consumer = AIOKafkaConsumer(TICKS, bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            while not (await groups.members(bootstrap, [GROUP]))[GROUP]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield
    finally:
        await consumer.stop()


async def refused(bootstrap: str, directory: Path) -> None:
    """A start that fails, and leaves everything as it is."""
    command = [*(sys.executable, "-m", "cli", "process", "--bootstrap", bootstrap, "--web-port", str(free_port()))]
    command += ["--store", f"sqlite:///{directory}/store"]
    ended = await asyncio.to_thread(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    )
    assert ended.returncode == 2, ended.stderr
    assert f"a worker of an earlier version runs in the consumer group {GROUP}: stop it first" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(await groups.committed(bootstrap, "ashare-")) == [GROUP]


async def settled(worker: WorkerProcess, more_than: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the worker says when all is done, and more than it was before."""
    before = 0 if more_than is None else min(more_than["agents"][name]["handled"] for name in AGENTS)
    async with asyncio.timeout(90):
        while True:
            assert worker.process.poll() is None, "the worker has ended"
            status = await worker.status()
            if status and done([status]) and all(status["agents"][name]["handled"] > before for name in AGENTS):
                return status
            await asyncio.sleep(0.2)


async def served(worker: WorkerProcess) -> dict[str, dict[str, Any]]:
    """All snapshots, by code."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{worker.port}/snapshots") as answer,
    ):
        assert answer.status == 200
        found = {one["code"]: one for one in (await answer.json())["snapshots"]}
    assert all(one.pop("age_ms") is not None for one in found.values())
    return found


async def published(broker: KafkaBroker) -> dict[str, dict[str, Any]]:
    """The last record of each code in the topic of snapshots."""
    async with LogReader(broker.bootstrap) as reader:
        records = [
            json.loads(entry.value or b"")
            for entries in (await everything(reader, SNAPSHOTS)).values()
            for entry in entries
        ]
    latest: dict[str, dict[str, Any]] = {}
    for record in records:
        before = latest.get(record["code"])
        assert before is None or record["ticks"] >= before["ticks"], "a snapshot went back"
        latest[record["code"]] = record
    return latest


def snapshots_of(log: dict[int, Any]) -> dict[str, dict[str, Any]]:
    """Those of one pass over the ticks."""
    expected: dict[str, dict[str, Any]] = {}
    for partition in range(PARTITIONS):
        rows: dict[str, Any] = {}
        Snapshots().apply(rows, log[partition])
        expected |= {code: json.loads(encode(row.record())) for code, row in rows.items()}
    assert expected.keys() == set(CODES)
    return expected


def stored(directory: Path) -> Counter[tuple[Any, ...]]:
    """Number and price of each row."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in directory.glob("ticks-*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found.update(connection.execute("SELECT n, price FROM ticks"))
    return found


def beside(directory: Path) -> Counter[tuple[Any, ...]]:
    """What the rows have beside the trade."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in directory.glob("ticks-*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found.update(connection.execute(f"SELECT {', '.join(BESIDE)} FROM ticks"))
    return found


async def letters(broker: KafkaBroker, recording: Recording) -> None:
    """Each record that is not a tick is a letter once more at most: of those that the version before had not done."""
    async with LogReader(broker.bootstrap) as reader:
        found = [entry for some in (await everything(reader, DEAD_LETTERS)).values() for entry in some]
    assert {entry.value for entry in found} == {SPOILT}
    assert len(found) == len(recording.topics[DEAD_LETTERS]) + 1

"""Whether storage has written all that the log has, on a real broker."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner

from cli.commands import archive
from cli.main import app
from consumers.archive import lag as lagging
from consumers.archive.lag import lag
from tests.consumers.archive.records import DAY, log, tick, ticks
from tests.stores.places import SqlitePlace, batch, write


async def _commit(bootstrap: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, partition) for partition in offsets])
        await consumer.commit({TopicPartition(topic, partition): offset for partition, offset in offsets.items()})
    finally:
        await consumer.stop()


async def test_what_storage_has_not_committed_is_told(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own group; other agents' don't count, nor do other topics', nor agents of another team."""
    storage, name = _groups(monkeypatch)
    async with log(bootstrap, partitions=2) as source:
        assert await lag(bootstrap, source.topic, 0) is None  # an empty log
        await source.put(ticks(30))
        await source.put(ticks(5), partition=1)
        await _commit(bootstrap, f"ashare-snapshots-{name}", source.topic, {0: 30, 1: 5})
        await _commit(bootstrap, f"ashare-cold-storage-{name}", source.topic, {0: 30, 1: 5})
        assert "no storage agent has committed" in str(await lag(bootstrap, source.topic, 0))
        await _commit(bootstrap, storage, source.topic, {0: 28})
        assert f"storage ({storage}) is 7 records behind" in str(await lag(bootstrap, source.topic, 0))
        await _commit(bootstrap, storage, source.topic, {0: 30, 1: 5})
        assert await lag(bootstrap, source.topic, 0) is None
    assert await lag(bootstrap, f"none-{name}", 0) is None


async def test_a_group_of_an_earlier_version_counts_until_the_agents_own_has_taken_over(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it stands still for as long as Kafka keeps it, and no day would be closed for a week."""
    storage, name = _groups(monkeypatch)
    shared = f"ashare-snapshots-storage-{name}"
    async with log(bootstrap, partitions=2) as source:
        await source.put(ticks(30))
        await _commit(bootstrap, f"ashare-snapshots-changes-{name}", source.topic, {0: 30})
        assert "no storage agent has committed" in str(await lag(bootstrap, source.topic, 0))
        await _commit(bootstrap, shared, source.topic, {0: 28})
        assert f"storage ({shared}) is 2 records behind" in str(await lag(bootstrap, source.topic, 0))
        await _commit(bootstrap, storage, source.topic, {0: 29})
        assert f"storage ({storage}) is 1 records behind" in str(await lag(bootstrap, source.topic, 0))
        await _commit(bootstrap, storage, source.topic, {0: 30})
        assert await lag(bootstrap, source.topic, 0) is None


def _groups(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The storage agent's group, and what makes names of groups this test's own."""
    name = uuid.uuid4().hex
    monkeypatch.setattr(lagging, "_STORAGE", f"ashare-storage-{name}")
    monkeypatch.setattr(lagging, "_EARLIER", re.compile(rf"ashare(?:-(?:snapshots|storage|changes)){{2,}}-{name}"))
    return f"ashare-storage-{name}", name


def test_no_day_is_closed_while_storage_lags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store has is archived, and not taken for all; the next run closes the day. No broker: a warning."""
    import asyncio

    place = SqlitePlace(tmp_path / "store")
    asyncio.run(write(place, [batch([tick(n) for n in range(10)])]))
    why: list[str | None] = ["storage is 7 records behind"]

    async def told(_bootstrap: str, _topic: str) -> str | None:
        return why[0]

    monkeypatch.setattr("consumers.archive.lag.lag", told)
    arguments = ["archive", "--dir", str(tmp_path / "kept"), "--from-store", f"sqlite:///{place.directory}"]
    done = CliRunner().invoke(app, [*arguments, "--date", DAY])
    assert "10 rows added" in done.stdout
    assert "the day is not closed" in done.stdout
    assert "no day is closed: storage is 7 records behind" in done.stderr
    why[0] = None
    done = CliRunner().invoke(app, [*arguments, "--date", DAY])
    assert "0 rows added" in done.stdout
    assert "not closed" not in done.stdout
    monkeypatch.undo()
    assert archive._lag("ashare.ticks.v1", "127.0.0.1:1") is None

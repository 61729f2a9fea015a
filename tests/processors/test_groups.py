"""A consumer group of each agent's own, and where it begins after an upgrade: where the shared groups stood."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata

from broker import groups
from processors.streaming.groups import earlier_groups_of, group_of, take_over
from schemas import UsageError
from schemas.topics import TICKS


def at(*offsets: int | None) -> dict[TopicPartition, OffsetAndMetadata]:
    """By partition of the ticks; the log's id goes with each."""
    return {
        TopicPartition(TICKS, partition): OffsetAndMetadata(offset, "log-1")
        for partition, offset in enumerate(offsets)
        if offset is not None
    }


class Broker:
    """What there is of groups, and what was committed."""

    def __init__(self) -> None:
        """No groups."""
        self.committed: dict[str, Any] = {}
        self.members: dict[str, int] = {}
        self.joined_meanwhile = False
        self.away = False

    async def read(self, _bootstrap: str, prefix: str) -> dict[str, Any]:
        """As ``broker.groups.committed``."""
        if self.away:
            raise KafkaConnectionError
        return {name: found for name, found in self.committed.items() if name.startswith(prefix)}

    async def count(self, _bootstrap: str, names: Iterable[str]) -> dict[str, int]:
        """As ``broker.groups.members``."""
        return {name: self.members.get(name, 0) for name in names}

    async def commit(self, _bootstrap: str, group: str, offsets: Any) -> bool:
        """As ``broker.groups.commit``."""
        if self.joined_meanwhile:
            return False
        self.committed.setdefault(group, {}).update(offsets)
        return True


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Stands where a broker tells of groups."""
    made = Broker()
    monkeypatch.setattr(groups, "committed", made.read)
    monkeypatch.setattr(groups, "members", made.count)
    monkeypatch.setattr(groups, "commit", made.commit)
    return made


def test_only_groups_that_an_agent_shared_are_earlier_ones_of_it() -> None:
    """Those of several agents of this project; its own, other agents' and other teams' are not."""
    names = [
        *("ashare-snapshots-storage-changes", "ashare-snapshots-changes", "ashare-storage-changes"),
        *("ashare-changes", "ashare-snapshots", "ashare-changes-of-acme", "ashare-acme-changes", "changes-storage"),
        *("ashare-storage-changes-test", "xashare-storage-changes"),
    ]
    assert earlier_groups_of("changes", names) == names[:3]
    assert earlier_groups_of("snapshots", names) == names[:2]
    assert earlier_groups_of("alerts", names) == []
    assert group_of("changes") == "ashare-changes"


async def test_a_first_start_begins_at_nothing(kafka: Broker) -> None:
    """Without earlier groups nothing is committed: the log is read from its start."""
    kafka.committed = {"ashare-changes-of-acme": at(5)}
    await take_over("nowhere", "changes")
    assert list(kafka.committed) == ["ashare-changes-of-acme"]


async def test_each_agent_begins_where_the_group_that_it_was_part_of_stood(kafka: Broker) -> None:
    """With the id of the log, by which an offset of another log is told."""
    kafka.committed = {"ashare-snapshots-storage-changes": at(10, 20, None, 40)}
    for agent in ("snapshots", "storage", "changes"):
        await take_over("nowhere", agent)
        assert kafka.committed[group_of(agent)] == at(10, 20, None, 40)


async def test_of_several_earlier_groups_the_furthest_counts_in_each_partition(kafka: Broker) -> None:
    """A deployment that was regrouped left more than one; what one of them did must not be done again."""
    kafka.committed = {
        "ashare-snapshots-storage-changes": at(10, 20, 30),
        "ashare-storage-changes": at(12, 18, None, 7),
        "ashare-snapshots-storage": at(99, 99, 99, 99),
    }
    await take_over("nowhere", "changes")
    assert kafka.committed["ashare-changes"] == at(12, 20, 30, 7)


async def test_what_an_agents_own_group_committed_is_never_moved(kafka: Broker) -> None:
    """Not by a second start, and not where it is behind: it may have been set back on purpose."""
    kafka.committed = {"ashare-snapshots-storage-changes": at(10, 20, 30), "ashare-changes": at(5, None, 31)}
    for _ in range(2):
        await take_over("nowhere", "changes")
        assert kafka.committed["ashare-changes"] == at(5, 20, 31)


async def test_a_worker_of_an_earlier_version_that_still_runs_stops_the_start(kafka: Broker) -> None:
    """With what to do; nothing is committed. One of other agents alone does not matter."""
    kafka.committed = {"ashare-snapshots-storage": at(10), "ashare-storage-changes": at(10)}
    kafka.members = {"ashare-snapshots-storage": 2}
    with pytest.raises(UsageError) as told:
        await take_over("nowhere", "storage")
    for words in ("ashare-snapshots-storage:", "stop it first", "ashare-storage then goes on where it stopped"):
        assert words in str(told.value)
    assert "ashare-storage" not in kafka.committed
    await take_over("nowhere", "changes")
    assert kafka.committed["ashare-changes"] == at(10)


async def test_a_member_that_was_faster_leaves_nothing_to_commit(
    kafka: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Two new workers start at once: the first has joined with what it took over, the second goes on without."""
    kafka.committed = {"ashare-snapshots-storage-changes": at(10)}
    kafka.joined_meanwhile = True
    await take_over("nowhere", "changes")
    assert "ashare-changes" not in kafka.committed
    assert "goes on where" not in caplog.text


async def test_a_broker_that_tells_nothing_stops_the_start(kafka: Broker) -> None:
    """It would begin at the wrong place."""
    kafka.away = True
    with pytest.raises(UsageError, match=r"the consumer groups at nowhere can't be read \(--bootstrap\)"):
        await take_over("nowhere", "changes")

"""The Kafka client under the consumer: where it goes on, what a commit carries, and when it is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from broker.probe import LogId
from processors.streaming import client as client_module
from processors.streaming.client import BatchConsumerThread, OvertakenError
from schemas.topics import SNAPSHOTS, TICKS

FIRST, SECOND = TopicPartition(TICKS, 1), TopicPartition(TICKS, 2)
NOW, BEFORE = LogId("cluster", "now"), LogId("cluster", "before")


class PlayedKafka:
    """Stands where aiokafka's consumer does."""

    def __init__(self) -> None:
        """Two partitions of the ticks and their changelogs; nothing is committed, and the logs begin at 0."""
        self.committed_offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self.begins: dict[TopicPartition, int] = {FIRST: 0, SECOND: 0}
        self.sought: dict[TopicPartition, int] = {}
        self.commits: list[dict[TopicPartition, OffsetAndMetadata]] = []
        self.failure: Exception | None = None
        self.hangs = False
        self.error: Exception | None = None
        self._closed = False
        self._fetcher = SimpleNamespace(_closed=False)
        self._coordinator = SimpleNamespace(
            fetch_committed_offsets=self._fetch_committed,
            check_errors=self._check_errors,
            _coordination_task=asyncio.get_running_loop().create_future(),
        )

    def assignment(self) -> set[TopicPartition]:
        """As the group has it."""
        return {FIRST, SECOND, TopicPartition(SNAPSHOTS, 1), TopicPartition(SNAPSHOTS, 2)}

    async def _fetch_committed(self, _partitions: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        return self.committed_offsets

    async def beginning_offsets(self, _partitions: Any) -> dict[TopicPartition, int]:
        """Where the logs begin."""
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return self.begins

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Noted."""
        self.sought[place] = offset

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """As told."""
        self.commits.append(dict(offsets))
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()

    def _check_errors(self) -> None:
        if self.error is not None:
            raise self.error


class PlayedClient(BatchConsumerThread):
    """The worker's client over it."""

    def __init__(self) -> None:
        """The brokers know one log of ticks, and it was not read yet."""
        self.seeks = self.rebuilt = 0
        self.rebuilding = False
        self.logs = {}
        self._wanted = None
        self._calls = set()
        self.kafka = PlayedKafka()
        self.replacements: list[tuple[str, LogId | None, LogId]] = []
        self.crashes: list[BaseException] = []
        self.app = cast("Any", SimpleNamespace(tables=SimpleNamespace(changelog_topics={SNAPSHOTS})))
        self.consumer = cast("Any", SimpleNamespace(log_replaced=lambda *told: self.replacements.append(told)))
        self.known = {TICKS: NOW}

    def _ensure_consumer(self) -> Any:
        return self.kafka

    async def _identified(self) -> dict[str, LogId]:
        return self.known

    async def crash(self, reason: BaseException) -> None:
        """Noted."""
        self.crashes.append(reason)


@pytest.fixture
async def client() -> PlayedClient:
    """Joined, and about to seek."""
    return PlayedClient()


def at(offset: int, log: str = "now") -> OffsetAndMetadata:
    """What was committed."""
    return OffsetAndMetadata(offset, log)


async def test_it_goes_on_where_the_group_stands(client: PlayedClient) -> None:
    """And at the beginning where nothing was committed. Changelogs are restored by another reader."""
    client.kafka.committed_offsets = {FIRST: at(7)}
    assert await client.seek_to_places() == {FIRST: 7, SECOND: 0}
    assert client.kafka.sought == {FIRST: 7, SECOND: 0}
    assert client.seeks == 1
    assert client.logs == {TICKS: NOW}
    assert client.replacements == []
    assert client.kafka.commits == []


async def test_records_that_were_deleted_behind_the_commit_are_a_jump_that_is_seen(client: PlayedClient) -> None:
    """It seeks to what is left, and says where it should have gone on."""
    client.kafka.committed_offsets = {FIRST: at(7)}
    client.kafka.begins = {FIRST: 40, SECOND: 5}
    assert await client.seek_to_places() == {FIRST: 7, SECOND: 5}
    assert client.kafka.sought == {FIRST: 40, SECOND: 5}


@pytest.mark.parametrize("known", [{}, {TICKS: BEFORE}])
async def test_no_offset_of_another_log_is_taken_over(client: PlayedClient, known: dict[str, LogId]) -> None:
    """Told by the id that was committed with it, or by what was read before: from its start, and committed so."""
    client.logs = dict(known)
    client.kafka.committed_offsets = {FIRST: at(7, "before"), SECOND: at(9, "before")}
    client.kafka.begins = {FIRST: 0, SECOND: 3}
    assert await client.seek_to_places() == {FIRST: 0, SECOND: 3}
    assert client.kafka.commits == [{FIRST: at(0), SECOND: at(3)}]
    assert client.replacements == [(TICKS, known.get(TICKS), NOW)]
    client.kafka.committed_offsets = client.kafka.commits[0]
    assert await client.seek_to_places() == {FIRST: 0, SECOND: 3}
    assert len(client.replacements) == 1, "told once"


async def test_an_offset_without_an_id_is_taken_for_this_logs(client: PlayedClient) -> None:
    """So is any, while no broker tells which log there is."""
    client.kafka.committed_offsets = {FIRST: at(7, "")}
    assert await client.seek_to_places() == {FIRST: 7, SECOND: 0}
    client.known, client.kafka.committed_offsets = {}, {FIRST: at(8, "before")}
    assert await client.seek_to_places() == {FIRST: 8, SECOND: 0}
    assert client.replacements == []
    assert client.logs == {TICKS: NOW}


async def test_an_assignment_that_overtakes_a_seek_is_taken_up_instead(client: PlayedClient) -> None:
    """The partition is another member's meanwhile."""
    client.kafka.failure = IllegalStateError("not assigned")
    with pytest.raises(OvertakenError):
        await client.seek_to_places()
    assert client.seeks == 0


async def test_a_commit_carries_the_id_of_the_log_that_it_is_of(client: PlayedClient) -> None:
    """Where that is known."""
    assert await client.commit({TP(*FIRST): 5})
    client.logs = {TICKS: NOW}
    assert await client.commit({TP(*FIRST): 6})
    assert client.kafka.commits == [{FIRST: at(5, "")}, {FIRST: at(6)}]


@pytest.mark.parametrize("failure", [CommitFailedError("moved on"), IllegalStateError("not assigned")])
async def test_a_commit_of_who_is_no_longer_that_member_is_not_confirmed(
    client: PlayedClient, failure: Exception
) -> None:
    """What it is of comes again; the worker goes on."""
    client.kafka.failure = failure
    assert not await client.commit({TP(*FIRST): 5})
    assert client.crashes == []


async def test_a_commit_that_fails_otherwise_ends_the_worker(client: PlayedClient) -> None:
    """Nobody would know what is committed."""
    client.kafka.failure = failure = KafkaConnectionError()
    assert not await client.commit({TP(*FIRST): 5})
    assert client.crashes == [failure]


async def test_a_commit_without_an_answer_is_given_up(client: PlayedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, or as soon as the client is made anew; none leaves while that lasts."""
    client.kafka.hangs = True
    monkeypatch.setattr(client_module, "COMMIT_SECONDS", 0.05)
    assert not await client.commit({TP(*FIRST): 5})
    monkeypatch.setattr(client_module, "COMMIT_SECONDS", 30.0)
    committing = asyncio.create_task(client.commit({TP(*FIRST): 5}))
    await asyncio.sleep(0.01)
    for call in list(client._calls):
        call.cancel()
    assert not await asyncio.wait_for(committing, 5)
    client.rebuilding = True
    assert not await client.commit({TP(*FIRST): 5})
    assert len(client.kafka.commits) == 2
    with pytest.raises(OvertakenError):
        await client.earliest_offsets(TP(*FIRST))


async def test_a_client_whose_group_failed_is_made_anew(client: PlayedClient) -> None:
    """Faust never asks for the coordinator's errors. What this user may not do is not cured by that."""
    assert client._works(cast("Any", client.kafka))
    client.kafka.error = KafkaError("coordination")
    assert not client._works(cast("Any", client.kafka))
    assert client._wanted is not None
    for refusal in (GroupAuthorizationFailedError("group"), TopicAuthorizationFailedError("topic")):
        client._wanted, client.kafka.error = None, refusal
        with pytest.raises(type(refusal)):
            client._works(cast("Any", client.kafka))
        assert client._wanted is None
    client.kafka.error = None
    client.kafka._coordinator._coordination_task.cancel()
    assert not client._works(cast("Any", client.kafka))
    assert "coordination task was cancelled" in str(client._wanted)

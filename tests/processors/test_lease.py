"""Whether a member of a group may still act: its own clock tells, by what it sent and the group answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from processors.streaming.lease import MARGIN_SECONDS, Lease, boot_time

SESSION = 10.0


class Coordinator:
    """Stands where aiokafka's does: answers each request as told, after so many seconds."""

    def __init__(self) -> None:
        """At 1,000 s; it answers well and at once."""
        self.now = 1_000.0
        self.code = 0
        self.takes = 0.0
        self.failure: Exception | None = None

    async def _send_req(self, _request: Any) -> Any:
        self.now += self.takes
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(error_code=self.code)


@pytest.fixture
def coordinator() -> Coordinator:
    """One that answers well."""
    return Coordinator()


@pytest.fixture
def lease(coordinator: Coordinator) -> Lease:
    """Follows the coordinator's answers."""
    made = Lease(SESSION, lambda: coordinator.now)
    made.follow(coordinator)
    return made


def request(kind: Any) -> Any:
    """One of a kind; what is in it does not matter."""
    return object.__new__(kind)


async def heartbeat(coordinator: Coordinator) -> None:
    """As aiokafka sends one."""
    await coordinator._send_req(request(HeartbeatRequest))


async def test_it_is_not_valid_before_the_group_is_joined(coordinator: Coordinator, lease: Lease) -> None:
    """Joining alone does not count: only who is told of its partitions is a member."""
    assert not lease.valid
    assert lease.age is None
    await coordinator._send_req(request(JoinGroupRequest))
    assert not lease.valid
    await coordinator._send_req(request(SyncGroupRequest))
    assert lease.valid


async def test_it_ends_before_the_session_can(coordinator: Coordinator, lease: Lease) -> None:
    """Each heartbeat that is answered well gives a session's time more, less a margin; the last lapses by itself."""
    for _ in range(5):
        await heartbeat(coordinator)
        coordinator.now += SESSION - MARGIN_SECONDS - 0.001
        assert lease.valid
    coordinator.now += 0.002
    assert not lease.valid
    assert lease.lapses == 0
    await heartbeat(coordinator)
    assert lease.valid
    assert lease.lapses == 1


async def test_the_time_of_sending_counts_and_not_that_of_the_answer(coordinator: Coordinator, lease: Lease) -> None:
    """The group's session may have begun when the request left: an answer that took 8 s leaves 2 s."""
    coordinator.takes = 8.0
    await heartbeat(coordinator)
    assert lease.age == 8.0
    assert lease.valid
    coordinator.now += 2.0 - MARGIN_SECONDS
    assert not lease.valid


async def test_an_answer_that_comes_after_the_session_shows_nothing(coordinator: Coordinator, lease: Lease) -> None:
    """A process that was stopped reads at last what was answered 90 s ago; it must not take that for now."""
    await heartbeat(coordinator)
    coordinator.takes = 90.0
    await heartbeat(coordinator)
    assert not lease.valid
    coordinator.takes = 0.0
    await heartbeat(coordinator)
    assert lease.valid


@pytest.mark.parametrize("kind", [HeartbeatRequest, SyncGroupRequest])
async def test_a_rebalance_in_progress_is_told_to_members_only(
    coordinator: Coordinator, lease: Lease, kind: type
) -> None:
    """While others join, a member keeps its partitions until it joins again."""
    coordinator.code = RebalanceInProgressError.errno
    await coordinator._send_req(request(kind))
    assert lease.valid


@pytest.mark.parametrize("error", [UnknownMemberIdError, IllegalGenerationError, NotCoordinatorForGroupError])
async def test_a_refusal_renews_nothing(coordinator: Coordinator, lease: Lease, error: Any) -> None:
    """Who is told that it is not a member, or not of this generation, may act no longer than before."""
    await heartbeat(coordinator)
    coordinator.now += SESSION - MARGIN_SECONDS - 1.0
    coordinator.code = error.errno
    await heartbeat(coordinator)
    assert lease.valid
    coordinator.now += 1.0
    assert not lease.valid


async def test_what_fails_and_what_is_no_heartbeat_renews_nothing(coordinator: Coordinator, lease: Lease) -> None:
    """The error passes; commits and joins are answered by rules of their own."""
    await heartbeat(coordinator)
    coordinator.now += SESSION
    coordinator.failure = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await heartbeat(coordinator)
    coordinator.failure = None
    for kind in (JoinGroupRequest, OffsetCommitRequest):
        await coordinator._send_req(request(kind))
    assert not lease.valid


async def test_a_process_that_stood_still_for_90_seconds_may_not_act(coordinator: Coordinator, lease: Lease) -> None:
    """From its first instruction on, until the group has answered it well again; who waits for that goes on then."""
    await heartbeat(coordinator)
    assert lease.valid
    coordinator.now += 90.0
    assert not lease.valid
    waiting = asyncio.create_task(lease.granted())
    coordinator.code = UnknownMemberIdError.errno
    await heartbeat(coordinator)
    await asyncio.sleep(0.2)
    assert not waiting.done()
    coordinator.code = 0
    await coordinator._send_req(request(SyncGroupRequest))
    await asyncio.wait_for(waiting, 5)
    assert lease.valid
    assert lease.lapses == 1


def test_the_clock_counts_the_time_that_the_machine_was_suspended_for() -> None:
    """A laptop that was closed for an hour is not a member either, though a monotonic clock may have stood still."""
    import time

    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= boot_time() <= time.clock_gettime(time.CLOCK_BOOTTIME)

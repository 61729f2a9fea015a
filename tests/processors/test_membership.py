"""A worker that is started again under its name gets its partitions back, and nobody else stops for it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest

from deploy.embedded import KafkaBroker
from processors.streaming import membership
from processors.streaming.membership import Membership, covered, instance_id
from processors.streaming.watchdog import EXIT_STUCK
from schemas import UsageError
from tests.processors.rebalance.members import Member, members, up

SESSION = 6.0
ATTEMPTS = 6


class Coordinator:
    """Stands where aiokafka's does: notes the member ids that joined, and answers as told."""

    def __init__(self) -> None:
        """Answers well."""
        self.code, self.joined = 0, list[str]()

    async def _send_req(self, request: Any) -> Any:
        if isinstance(request, JoinGroupRequest):
            self.joined.append(request._member_id)
        return SimpleNamespace(error_code=self.code, member_id="m-1" if not self.code else "")


def join(member_id: str = "") -> JoinGroupRequest:
    """As aiokafka asks."""
    return JoinGroupRequest("g", 6000, 60000, member_id, "host-1", "consumer", [])


@pytest.fixture
def coordinator() -> Coordinator:
    """One that a membership follows."""
    made = Coordinator()
    Membership("g", "host-1").follow(made)
    return made


async def test_it_joins_again_as_the_member_that_it_was(coordinator: Coordinator) -> None:
    """Until the broker knows that member no more."""
    await coordinator._send_req(join())
    await coordinator._send_req(join())
    coordinator.code = 25
    await coordinator._send_req(join())
    await coordinator._send_req(join())
    assert coordinator.joined == ["", "m-1", "m-1", ""]


async def test_errors_that_pass_leave_it_the_member_that_it_was(coordinator: Coordinator) -> None:
    """A coordinator that loads, moved, or rebalances answers so."""
    await coordinator._send_req(join())
    for code in (14, 15, 16, 27, 79):
        coordinator.code = code
        await coordinator._send_req(join())
    assert coordinator.joined == ["", *["m-1"] * 5]


async def test_one_whose_place_is_taken_ends(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how to tell the two apart."""
    ended: list[str] = []
    monkeypatch.setattr(membership, "fatal", ended.append)
    await coordinator._send_req(join())
    coordinator.code = 82
    await coordinator._send_req(join())
    assert ended == ["another process has taken its place"]


async def test_other_requests_pass(coordinator: Coordinator) -> None:
    """An answer of theirs tells nothing of the membership."""
    coordinator.code = 25
    await coordinator._send_req(HeartbeatRequest("g", 1, "m-1"))
    assert coordinator.joined == []


def test_its_name_is_the_given_one_or_of_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's name may hold what Kafka does not take."""
    monkeypatch.setattr("socket.gethostname", lambda: "bücher.example:x")
    assert instance_id(None, 6066) == "b_cher.example_x-6066"
    assert instance_id("worker-0", 6066) == "worker-0"


@pytest.mark.parametrize("name", ["a b", "a:b", "ä", "x" * 250, "\x1b[2J"])
def test_a_name_that_kafka_does_not_take_is_refused(name: str) -> None:
    """In words that name the option."""
    with pytest.raises(UsageError, match="--group-instance-id"):
        instance_id(name, 6066)


@pytest.mark.parametrize(
    ("assigned", "whole"),
    [
        ([("ticks", 0), ("ticks", 1), ("rows", 0)], True),
        ([("ticks", 0), ("rows", 0)], False),  # partitions were added meanwhile
        ([("ticks", 0), ("ticks", 1)], False),  # this version reads one topic more
        ([("ticks", 0), ("ticks", 1), ("rows", 0), ("old", 0)], False),  # it reads one less
        ([], False),
    ],
)
def test_a_place_is_whole_when_the_group_has_what_this_worker_reads(
    assigned: list[tuple[str, int]], whole: bool
) -> None:
    """Neither less nor more."""
    assert covered({"ticks": 2, "rows": 1}, [TopicPartition(*place) for place in assigned]) is whole


async def unwell(member: Member, until: asyncio.Event) -> int:
    """How many looks at a member's health found it without its partitions, until told."""
    found = 0
    while not until.is_set():
        found += not await asyncio.to_thread(lambda: member.well)
        await asyncio.sleep(0.05)
    return found


async def restarted(killed: Member, other: Member) -> tuple[float, int]:
    """Kill a member and start it; how long it was away, and how often the other one was found unwell."""
    over, begun = asyncio.Event(), time.monotonic()
    watching = asyncio.create_task(unwell(other, over))
    killed.part.kill()
    killed.start()
    await up([killed])
    away = time.monotonic() - begun
    await asyncio.sleep(SESSION)  # and when the session that was killed would have ended
    over.set()
    return away, await watching


@pytest.mark.timeout(400)
async def test_a_killed_worker_comes_back_without_the_others_stopping(broker: KafkaBroker, tmp_path: Path) -> None:
    """Its partitions are its own again, at once; who leads the group does not matter."""
    with members(broker.bootstrap, tmp_path, ["changes", "changes"]) as (first, second):
        await up([first, second])
        for killed, other in ((first, second), (second, first)):
            away, found = float("inf"), 0
            for _ in range(ATTEMPTS):
                away, found = await restarted(killed, other)
                if away < SESSION - 1:
                    break
                await up([first, second])  # a busy machine: its session was over before it was back
            assert away < SESSION
            assert found == 0


@pytest.mark.timeout(240)
async def test_of_two_workers_of_one_name_the_later_stays(broker: KafkaBroker, tmp_path: Path) -> None:
    """The other one ends, with words that name the option; nothing goes to and fro."""
    with members(broker.bootstrap, tmp_path, ["changes"], "--group-instance-id", "w") as started:
        (first,) = started
        await up([first])
        second = Member(broker.bootstrap, tmp_path, "changes", "--group-instance-id", "w")
        started.append(second)
        await up([second])
        await asyncio.to_thread(first.part.end, 30)
        assert first.part.code == EXIT_STUCK
        assert "--group-instance-id" in first.part.output()
        started.remove(first)
        await asyncio.sleep(SESSION)
        await up([second])

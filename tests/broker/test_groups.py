"""Consumer groups asked about from outside: an error is never taken for a group that has nothing."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.structs import OffsetAndMetadata

from broker import groups
from schemas import UsageError
from schemas.topics import TICKS

PLACE = TopicPartition("ticks", 3)


class Admin:
    """Stands where aiokafka's does, of a broker that has just started: the first answers are errors."""

    def __init__(self) -> None:
        """One group with one member, which has committed one offset."""
        self.listing: list[int] = []
        self.fetching: list[int] = []
        self.describing: list[int] = []
        self.asked = 0

    async def list_consumer_groups(self) -> list[tuple[str, str]]:
        """Raises its errors."""
        self.asked += 1
        if self.listing:
            raise for_code(self.listing.pop(0))
        return [("ashare-changes", "consumer"), ("ashare-idle", "consumer"), ("other", "consumer")]

    async def find_coordinator(self, _group: str) -> int:
        """This one."""
        return 1

    async def _send_request(self, request: Any, _node: int) -> Any:
        if self.fetching:
            return SimpleNamespace(error_code=self.fetching.pop(0), topics=[])
        offset = 7 if "ashare-changes" in vars(request).values() else -1
        return SimpleNamespace(error_code=0, topics=[("ticks", [(3, offset, "log", 0)])])

    async def describe_consumer_groups(self, wanted: list[str]) -> list[Any]:
        """Carries its errors in the answer."""
        self.asked += 1
        code = self.describing.pop(0) if self.describing else 0
        found = [
            {"error_code": code, "group": name, "members": ["one"] if name == "ashare-changes" and not code else []}
            for name in wanted
        ]
        return [SimpleNamespace(to_object=lambda: {"groups": found})]


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    """What groups are asked of."""
    made = Admin()

    @contextlib.asynccontextmanager
    async def connected(*_: Any) -> AsyncIterator[Admin]:
        try:
            yield made
        except KafkaError as error:
            raise UsageError(str(error)) from error

    monkeypatch.setattr(groups, "admin_client", connected)
    monkeypatch.setattr(groups, "_RETRY_SECONDS", 0.0)
    return made


async def test_what_groups_have_committed_is_told_by_their_prefix(admin: Admin) -> None:
    """With what was committed beside the offset; a group without an offset is left out."""
    assert await groups.committed("nowhere", "ashare-") == {"ashare-changes": {PLACE: OffsetAndMetadata(7, "log")}}
    assert admin.asked == 1


NOT_YET = [
    error.errno for error in (GroupLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
]


@pytest.mark.parametrize("code", NOT_YET)
async def test_a_broker_that_reads_its_groups_is_asked_again(admin: Admin, code: int) -> None:
    """Else a worker that starts beside it would read a log from its beginning, or not see that another runs."""
    admin.listing, admin.fetching, admin.describing = [code], [code], [code, code]
    assert "ashare-changes" in await groups.committed("nowhere", "ashare-")
    assert admin.asked == 3
    assert await groups.members("nowhere", ["ashare-changes", "gone"]) == {"ashare-changes": 1, "gone": 0}
    assert admin.asked == 7


async def test_a_broker_that_never_tells_is_an_error(admin: Admin) -> None:
    """After a while, and not an empty answer."""
    for errors in ("listing", "fetching", "describing"):
        setattr(admin, errors, [NOT_YET[0]] * 10_000)
    with pytest.raises(UsageError):
        await groups.committed("nowhere", "ashare-", patience=0.01)
    admin.listing = []
    with pytest.raises(UsageError):
        await groups.committed("nowhere", "ashare-", patience=0.01)
    with pytest.raises(UsageError):
        await groups.members("nowhere", ["ashare-changes"], patience=0.01)


async def test_a_refusal_is_an_error_and_a_group_that_is_not_there_has_no_members(admin: Admin) -> None:
    """Newer brokers answer with an error where older ones tell of an empty group."""
    admin.describing = [69]
    assert await groups.members("nowhere", ["gone"]) == {"gone": 0}
    admin.describing = admin.fetching = [30]
    with pytest.raises(UsageError):
        await groups.members("nowhere", ["ashare-changes"])
    admin.fetching = [30]
    with pytest.raises(UsageError):
        await groups.committed("nowhere", "ashare-")


async def test_the_members_of_several_groups_are_told(bootstrap: str) -> None:
    """By a real broker: an answer about several groups is another than several answers about one."""
    names = [f"groups-{number}-{uuid.uuid4().hex}" for number in range(3)]
    consumers = [AIOKafkaConsumer(TICKS, bootstrap_servers=bootstrap, group_id=name) for name in names[:2]]
    async with contextlib.AsyncExitStack() as stack:
        for consumer in consumers:
            await consumer.start()
            stack.push_async_callback(consumer.stop)
        async with asyncio.timeout(60):
            while not all(consumer.assignment() for consumer in consumers):  # noqa: ASYNC110 - looked at, not told
                await asyncio.sleep(0.1)
        assert await groups.members(bootstrap, names) == dict(zip(names, (1, 1, 0), strict=True))

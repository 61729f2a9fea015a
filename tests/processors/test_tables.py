"""State by code: what a record of the compacted topic does to the rows, and which rows outlive a rebalance."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from broker.errors import FencedError
from jobs.room import Room
from jobs.snapshots import SnapshotRow, Snapshots
from processors.streaming.consumer import OvertakenError
from processors.streaming.restoring import older
from processors.streaming.tables import BulkRecovery, PartitionedStore, StateTable
from schemas import RecordError, encode
from schemas.topics import SNAPSHOTS, partition_of, topics
from tests.jobs.chunks import chunk, tick

COUNT = topics()[SNAPSHOTS].partitions


class PlayedTable(StateTable):
    """A table of snapshots that no app stands behind."""

    def __init__(self) -> None:
        """Empty."""
        self.name = "snapshots"
        self._restore = cast("Any", Snapshots().restore)
        self.room = Room("restored state")
        self.held: dict[int, dict[str, Any]] = {}

    @property
    def partitions_held(self) -> dict[int, dict[str, Any]]:
        """The rows."""
        return self.held


@pytest.fixture
def table() -> PlayedTable:
    """Empty."""
    return PlayedTable()


def record(*ns: int, code: str = "600519", source: str = "line", gap: Any = None) -> bytes:
    """A snapshot after some ticks."""
    rows: dict[str, SnapshotRow] = {}
    Snapshots().apply(rows, chunk([tick(n, 10.0 + n / 100, code=code, source=source) for n in ns]))
    rows[code].gap = gap
    return encode(rows[code].record())


def ticks(table: PlayedTable, code: str = "600519") -> int:
    """How many ticks a code's row has."""
    found: int = table.held[3][code].ticks
    return found


def test_the_last_record_of_a_code_is_its_row(table: PlayedTable) -> None:
    """A tombstone takes it away."""
    table.apply(3, b"600519", record(1))
    table.apply(3, b"600519", record(1, 2))
    assert ticks(table) == 2
    table.apply(3, b"600519", None)
    assert table.held == {3: {}}
    table.apply(3, b"000001", None)
    table.apply(3, None, None)


def test_a_late_copy_of_an_older_row_changes_nothing(table: PlayedTable) -> None:
    """A resend can leave it behind a newer one: no row goes back."""
    table.apply(3, b"600519", record(1, 2, 3))
    table.apply(3, b"600519", record(1, 2))
    assert ticks(table) == 3
    table.apply(3, b"600519", record(1, 2, 4))
    assert table.held[3]["600519"].marks["line"][:2] == (1, 4)


def test_of_two_rows_after_the_same_ticks_the_later_counts() -> None:
    """A snapshot's gap mark changes without one; and rows of different lines are not older than one another."""
    same = {"line": (1, 5)}
    assert not older(same, dict(same))
    assert older({"line": (1, 4)}, same)
    assert older({}, same)
    assert not older({"line": (1, 6)}, same)
    assert not older({"other": (1, 1)}, same)
    assert older({"line": (1, 4)}, same | {"other": (1, 1)})


@pytest.mark.parametrize("value", [b"", b"hello", b"{}", b"[]", b"\xff"])
def test_what_is_no_row_is_refused_and_leaves_the_row_before_it(table: PlayedTable, value: bytes) -> None:
    """Restoring notes it and goes on."""
    table.apply(3, b"600519", record(1))
    with pytest.raises(RecordError):
        table.apply(3, b"600519", value)
    assert ticks(table) == 1


@pytest.mark.parametrize("key", [b"000001", b"", None, b"\xff"])
def test_a_row_under_another_key_is_refused(table: PlayedTable, key: bytes | None) -> None:
    """Compaction would keep it beside the code's own."""
    with pytest.raises(RecordError, match="lies under another key"):
        table.apply(3, key, record(1))
    assert not table.held.get(3)


def test_single_writes_are_refused(table: PlayedTable) -> None:
    """They would bypass what is published."""
    with pytest.raises(TypeError, match="rows change by applying chunks"):
        table.on_key_set("600519", None)


def test_the_rows_of_all_partitions_are_one_mapping_for_faust() -> None:
    """A code is looked for in its own partition."""
    store = PartitionedStore.__new__(PartitionedStore)
    store.partitions, store._count = {}, COUNT
    store.__post_init__()
    rows = cast("Any", store.data)
    rows["600519"], rows["000001"] = "a", "b"
    assert store.partitions[partition_of("600519", COUNT)] == {"600519": "a"}
    assert (dict(rows), len(rows), "600000" in rows) == ({"600519": "a", "000001": "b"}, 2, False)
    del rows["600519"]
    assert list(rows) == ["000001"]


class PlayedRecovery(BulkRecovery):
    """Notes which partitions are restored; the rest of a rebalance does not happen."""

    def __init__(self, table: PlayedTable) -> None:
        """Nothing is assigned."""
        self.consumer = SimpleNamespace(abandoned=False)
        runner = SimpleNamespace(take_over=self._taken_over)
        self.app = cast("Any", SimpleNamespace(consumer=self.consumer, consumer_generation_id=0, runner=runner))
        table.changelog_topic = cast("Any", SimpleNamespace(get_topic_name=lambda: SNAPSHOTS))
        self.tables = cast("Any", {"snapshots": table})
        self.restored: list[set[int]] = []
        self.taken: set[int] = set()
        self._generation_id = 0
        self.signalled = self.overtaken = False

    @property
    def signal_recovery_start(self) -> Any:
        """Whether another assignment has come."""
        return SimpleNamespace(is_set=lambda: self.signalled)

    async def assign(self, generation: int, *partitions: int) -> set[int]:
        """A generation of the group with these partitions; gives those that were restored."""
        self._generation_id = self.app.consumer_generation_id = generation
        self.active_tps = {TP(SNAPSHOTS, partition) for partition in partitions}
        self.restored.append(set())
        await self._restart_recovery_once()
        return self.restored[-1]

    async def _taken_over(self, places: frozenset[TP], owned: Callable[[], bool]) -> None:
        if not owned():
            raise FencedError("another assignment has come")
        self.taken = {tp.partition for tp in places}

    async def _restore(self, fresh: frozenset[TP]) -> None:
        assert self.taken == {tp.partition for tp in fresh}, "others may still write there"
        self.restored[-1] = {tp.partition for tp in fresh}
        for tp in fresh:
            cast("Any", self.tables["snapshots"]).held[tp.partition] = {"restored": self._generation_id}
        self.signalled = self.overtaken

    async def _resume(self, generation: int) -> None:
        assert generation == self._generation_id

    def _set_recovery_started(self) -> None:
        pass

    def _set_recovery_ended(self) -> None:
        pass


@pytest.fixture
def recovery(table: PlayedTable) -> PlayedRecovery:
    """Of that table."""
    return PlayedRecovery(table)


async def test_rows_of_partitions_that_stay_are_kept_and_those_that_leave_are_dropped(
    recovery: PlayedRecovery, table: PlayedTable
) -> None:
    """From one generation to the next nobody else can have changed them."""
    assert await recovery.assign(1, 1, 2, 3) == {1, 2, 3}
    assert await recovery.assign(2, 2, 3, 4) == {4}
    assert table.held.keys() == {2, 3, 4}
    assert table.held[2] == {"restored": 1}
    assert await recovery.assign(3) == set()
    assert table.held == {}
    assert await recovery.assign(4, 2) == {2}


async def test_a_member_that_missed_a_generation_restores_everything(recovery: PlayedRecovery) -> None:
    """Others may have had its partitions, and given them back: a process that stood still is told by that."""
    await recovery.assign(1, 1, 2)
    assert await recovery.assign(3, 1, 2) == {1, 2}


async def test_rows_that_may_be_ahead_of_what_is_published_are_restored(recovery: PlayedRecovery) -> None:
    """What was in hand was given up: its chunks come again, to rows that do not know of them. Once."""
    await recovery.assign(1, 1, 2)
    recovery.consumer.abandoned = True
    assert await recovery.assign(2, 1, 2) == {1, 2}
    assert not recovery.consumer.abandoned
    assert await recovery.assign(3, 1, 2) == set()


async def test_a_recovery_that_is_overtaken_when_it_is_done_keeps_its_rows(recovery: PlayedRecovery) -> None:
    """No chunk has come since, and nobody else can have changed them."""
    await recovery.assign(1, 1, 2)
    recovery.overtaken = True
    assert await recovery.assign(2, 1, 2, 3) == {3}
    recovery.signalled = recovery.overtaken = False
    assert await recovery.assign(3, 1, 2, 3, 4) == {4}


async def test_a_recovery_that_is_overtaken_before_it_begins_takes_nothing_over(recovery: PlayedRecovery) -> None:
    """The partitions may be another member's by now."""
    recovery.signalled = True
    with pytest.raises(OvertakenError):
        await recovery.assign(1, 1, 2)
    assert not recovery.taken


async def test_a_recovery_that_fails_keeps_no_half_of_it(recovery: PlayedRecovery) -> None:
    """What was restored by half is restored again; rows that were whole before stay."""
    await recovery.assign(1, 1)

    async def fail(_fresh: frozenset[TP]) -> None:
        raise TimeoutError

    restore, cast("Any", recovery)._restore = recovery._restore, fail
    with pytest.raises(TimeoutError):
        await recovery.assign(2, 1, 2)
    cast("Any", recovery)._restore = restore
    assert await recovery.assign(3, 1, 2) == {2}

"""From handled chunks to acknowledged ones: the order of effects, on a real broker, and what happens in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from broker import admin
from broker.publisher import PartitionQueue, Publisher
from jobs.changes import ChangeRow
from jobs.thresholds import parse
from processors.streaming import effects
from processors.streaming.effects import Effects
from schemas.topics import Topic

Pair = tuple[PartitionQueue, PartitionQueue]


class Acked:
    """Notes what was confirmed at the moment of the ack."""

    def __init__(self, *queues: PartitionQueue) -> None:
        """Not acknowledged yet."""
        self.queues = queues
        self.left: list[int] | None = None

    def ack(self) -> None:
        """As a delivery's."""
        self.left = [queue.unacknowledged for queue in self.queues]


def row(code: str = "600519", price: int = 100_000) -> ChangeRow:
    """A row that has emitted once."""
    made = ChangeRow(code, parse("0.01"), 0)
    made.renew("line", 1, 1, 1)
    made.emitted(price)
    return made


def submit(
    effects: Effects, event: Acked, rows: set[ChangeRow], *queues: PartitionQueue, done: Any = None, records: int = 1
) -> None:
    """Enter a chunk."""
    effects.submit(cast("Any", event), rows, queues, done, records)


@pytest.fixture
async def publisher(bootstrap: str) -> AsyncIterator[Publisher]:
    """A running one; its topics are the test's own."""
    made = Publisher(bootstrap, client_id="effects-test")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def queues(bootstrap: str, publisher: Publisher) -> Pair:
    """Where state rows go, and where changes go."""
    names = [f"effects-{kind}-{uuid.uuid4().hex}" for kind in ("state", "changes")]
    await admin.apply(
        bootstrap, {n: Topic(n, "none", "none", "test", 1, 1, {"cleanup.policy": "delete"}) for n in names}
    )
    return publisher.queue(names[0], 0), publisher.queue(names[1], 0)


async def until_acked(*events: Acked) -> None:
    """Wait for the acks of all."""
    async with asyncio.timeout(20):
        while any(event.left is None for event in events):  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.005)


async def test_an_ack_follows_the_changes_and_the_rows(queues: Pair) -> None:
    """When the chunk is acknowledged, the broker has confirmed both; the rows went out after the changes."""
    state, changes = queues
    made = Effects("test", 0, state, 0.0)
    event = Acked(state, changes)
    changes.add(b"600519", b"a change", 1)
    submit(made, event, {row()}, changes)
    assert state.unacknowledged == 0, "rows wait for the changes before them"
    await until_acked(event)
    assert event.left == [0, 0]
    assert made.idle
    made.cancel()


async def test_rows_wait_for_what_must_be_done_and_the_ack_for_both(
    queues: Pair,
) -> None:
    """Records, then what the agent asked to be done, then rows, then the acknowledgement."""
    state, changes = queues
    made, event = Effects("test", 0, state, 0.0), Acked(state, changes)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    changes.add(b"600519", b"a change", 1)
    submit(made, event, {row()}, changes, done=done)
    await changes.delivered()
    await asyncio.sleep(0.1)
    assert state.added == 0
    assert event.left is None
    assert not made.idle
    done.set_result(None)
    await until_acked(event)
    assert event.left == [0, 0]
    assert state.added == 1
    made.cancel()


async def test_rounds_fall_on_a_beat_and_write_a_row_once(queues: Pair) -> None:
    """What comes between two beats goes out together, and of a row only its latest state."""
    state, _ = queues
    made = Effects("test", 0, state, 0.3)
    moved, events = row(), [Acked(state) for _ in range(5)]
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(0.3 - clock() % 0.3 + 0.01)
    for number, event in enumerate(events):
        moved.emitted(100_000 + number)
        submit(made, event, {moved})
    await until_acked(*events)
    assert state.added == 1
    made.cancel()


async def test_a_hurried_round_does_not_wait_for_its_beat(queues: Pair) -> None:
    """Partitions that are about to leave wait for what is in hand, not for a clock."""
    state, _ = queues
    made, event = Effects("test", 0, state, 3_600.0), Acked(state)
    submit(made, event, {row()})
    await asyncio.sleep(0.05)
    assert event.left is None
    made.hurry()
    await until_acked(event)
    made.cancel()


async def test_too_many_ticks_hold_the_agent_until_a_round_is_done(
    queues: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound counts ticks, however many chunks they came in."""
    monkeypatch.setattr(effects, "LIMIT", 100)
    state, _ = queues
    made = Effects("test", 0, state, 0.2)
    events = [Acked(state) for _ in range(3)]
    submit(made, events[0], {row()}, records=60)
    async with asyncio.timeout(20):
        await made.room()
    submit(made, events[1], {row("000001")}, records=60)
    assert [event.left for event in events] == [None, None, None]
    async with asyncio.timeout(20):
        await made.room()
    assert [event.left for event in events] == [[0], [0], None], "the agent was held until both were confirmed"
    made.cancel()


async def test_what_was_cancelled_is_never_acknowledged(queues: Pair) -> None:
    """Its chunks come again, to whoever has the partition now."""
    state, _ = queues
    made, event = Effects("test", 0, state, 0.1), Acked(state)
    submit(made, event, {row()})
    made.cancel()
    await asyncio.sleep(0.3)
    assert event.left is None
    assert state.added == 0


async def test_what_was_cancelled_keeps_nobody_waiting(queues: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is held back because too much waits goes on when that is given up, whenever it asked."""
    monkeypatch.setattr(effects, "LIMIT", 10)
    state, _ = queues
    made = Effects("test", 0, state, 3_600.0)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    submit(made, Acked(), {row()}, done=never, records=60)
    held = [asyncio.create_task(made.room()) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in held)
    made.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*held)
        await made.room()
        # What was handled meanwhile, and is entered now, must not close the door again.
        submit(made, Acked(), {row()}, records=60)
        await made.room()


async def test_rows_without_a_chunk_are_published_on_their_own(queues: Pair) -> None:
    """A gap mark changes a row and no chunk stands behind it. Until it is on its way it can be asked for."""
    state, _ = queues
    made, touched = Effects("test", 0, state, 3_600.0), row()
    made.touch({touched})
    assert made.rows == {touched}
    assert not made.idle, "a rebalance waits for it"
    await asyncio.sleep(0.05)
    made.hurry()
    async with asyncio.timeout(20):
        while not made.idle:  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.005)
    assert state.added == 1
    assert state.unacknowledged == 0
    assert made.rows == frozenset()
    made.cancel()


async def test_a_row_that_makes_no_record_holds_up_none_of_the_others(
    queues: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of, and stays as it was."""

    class Broken(ChangeRow):
        __slots__ = ()

        def record(self) -> Any:
            raise ValueError("no record")

    state, _ = queues
    made, event = Effects("test", 0, state, 0.0), Acked(state)
    broken = Broken("000001", parse("0.01"), 0)
    broken.renew("line", 1, 1, 1)
    submit(made, event, {row(), broken})
    await until_acked(event)
    assert state.added == 1
    assert "the state of 000001 can't be published" in caplog.text
    made.cancel()


async def test_an_agent_without_a_table_acknowledges_when_its_records_are_confirmed(
    queues: Pair,
) -> None:
    """And at once where there is nothing to confirm."""
    _, changes = queues
    made, first, second = Effects("test", 0, None, 0.0), Acked(changes), Acked(changes)
    changes.add(b"600519", b"a change", 1)
    submit(made, first, set(), changes)
    await until_acked(first)
    assert first.left == [0]
    submit(made, second, set())
    await until_acked(second)
    made.cancel()

"""From applied chunks to acknowledged ones: the order of effects, on a real broker, and what happens in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from broker import admin
from broker.partition_queue import PartitionQueue
from broker.publisher import Publisher
from jobs.changes import ChangeRow
from jobs.thresholds import parse
from processors import effects
from processors.effects import Effects, EffectsByPartition
from schemas.topics import Topic


class Acked:
    """Notes what was confirmed at the moment of the ack."""

    def __init__(self, *queues: PartitionQueue) -> None:
        """Not acknowledged yet."""
        self.queues = queues
        self.left: list[int] | None = None

    def ack(self) -> bool:
        """As an event's."""
        self.left = [queue.unacknowledged for queue in self.queues]
        return True


def row(code: str = "600519", price: int = 100_000) -> ChangeRow:
    """A row that has emitted once."""
    made = ChangeRow(code, parse("0.01"), 0)
    made.renew("line", 1, 1, 1)
    made.emitted(price)
    return made


@pytest.fixture
async def publisher(bootstrap: str) -> AsyncIterator[Publisher]:
    """A running one; its topics are the test's own."""
    made = Publisher(bootstrap, client_id="effects-test")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def queues(bootstrap: str, publisher: Publisher) -> tuple[PartitionQueue, PartitionQueue]:
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


async def test_an_ack_follows_the_changes_and_the_rows(queues: tuple[PartitionQueue, PartitionQueue]) -> None:
    """When the event is acknowledged, the broker has confirmed both; the rows went out after the changes."""
    state, changes = queues
    made = Effects[ChangeRow](state, changes)
    event = Acked(state, changes)
    changes.add(b"600519", b"a change", 1)
    await made.submit(event, {row()}, 1)
    assert state.unacknowledged == 0, "rows wait for the changes before them"
    await until_acked(event)
    assert event.left == [0, 0]
    made.cancel()


async def test_rounds_fall_on_a_beat_and_write_a_row_once(queues: tuple[PartitionQueue, PartitionQueue]) -> None:
    """What comes between two beats goes out together, and of a row only its latest state."""
    state, _ = queues
    made = Effects[ChangeRow](state, every=0.3)
    moved, events = row(), [Acked(state) for _ in range(5)]
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(0.3 - clock() % 0.3 + 0.01)
    for number, event in enumerate(events):
        moved.emitted(100_000 + number)
        await made.submit(event, {moved}, 1)
    await until_acked(*events)
    assert state._added == 1
    made.cancel()


async def test_too_many_ticks_hold_the_agent_until_a_round_is_done(
    queues: tuple[PartitionQueue, PartitionQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound counts ticks, however many chunks they came in."""
    monkeypatch.setattr(effects, "LIMIT", 100)
    state, _ = queues
    made = Effects[ChangeRow](state, every=0.2)
    events = [Acked(state) for _ in range(3)]
    await made.submit(events[0], {row()}, 60)
    assert events[0].left is None
    await made.submit(events[1], {row("000001")}, 60)
    assert [event.left for event in events] == [[0], [0], None], "the second was held until both were confirmed"
    made.cancel()


async def test_what_was_revoked_is_never_acknowledged(queues: tuple[PartitionQueue, PartitionQueue]) -> None:
    """Its chunks come again, to whoever has the partition now."""
    state, _ = queues
    by_partition = EffectsByPartition[ChangeRow](lambda _: Effects(state, every=0.1))
    event = Acked(state)
    await by_partition.of(0).submit(event, {row()}, 1)
    by_partition.forget()
    await asyncio.sleep(0.3)
    assert event.left is None
    assert state._added == 0

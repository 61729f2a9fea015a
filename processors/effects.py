"""From applied chunks to acknowledged ones: each effect confirmed by Kafka before the next goes out.

The order is changes, then state rows, then the ack. State before changes would lose changes in a crash; an ack before
either would lose both.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from broker.partition_queue import PartitionQueue
from processors.watchdog import fatal
from schemas import Record, encode
from schemas.outside import printable

log = logging.getLogger(__name__)

LIMIT = 50_000
"""Ticks of a partition that may wait for their effects; then the agent stops taking more. Of what waits only the place
in the log is held, and the rows that it moved."""

_PHASES = 4


class Acknowledgeable(Protocol):
    """A Faust event."""

    def ack(self) -> bool:
        """Mark the event's message as done."""


class StateRow(Protocol):
    """A row that can be published; ``received`` (µs since the epoch) becomes the record's timestamp."""

    key: bytes
    received: int

    def record(self) -> Record:
        """The row's record, as it is now."""


R = TypeVar("R", bound=StateRow)


class Effects(Generic[R]):
    """One partition's effects of one agent, conflated while an earlier round is on its way."""

    def __init__(self, state: PartitionQueue, *before: PartitionQueue, every: float = 0.0) -> None:
        """Effects that end in state rows.

        Args:
            state: where rows go.
            before: queues whose records must be confirmed before the rows that count on them.
            every: seconds between two rounds, unless half of ``LIMIT`` waits before. Rounds of a quarter of the
                partitions fall on the same beat: few enough not to stop everything else, and most go in one request.
        """
        self._state = state
        self._every = every
        self._before = before
        self._events: deque[Acknowledgeable] = deque()
        self._touched: set[R] = set()
        self._ticks = 0
        self._work = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._task = asyncio.create_task(self._run(), name=f"effects-{state.topic}-{state.partition}")

    async def submit(self, event: Acknowledgeable, touched: Iterable[R], ticks: int) -> None:
        """Enter a chunk that was applied, and whose records are in the queues before; waits while too many wait."""
        self._events.append(event)
        self._ticks += ticks
        self._touched.update(touched)
        self._work.set()
        if self._ticks >= LIMIT // 2:
            self._enough.set()
        if self._ticks >= LIMIT:
            self._room.clear()
            await self._room.wait()

    def touch(self, rows: Iterable[R]) -> None:
        """Enter rows that changed without a tick."""
        self._touched.update(rows)
        self._work.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._work.wait()
                if self._every:
                    await self._beat()
                self._work.clear()
                self._enough.clear()
                await self._round()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("effects of %s/%s failed", self._state.topic, self._state.partition)
            fatal("effects failed")

    async def _beat(self) -> None:
        phase = self._state.partition % _PHASES / _PHASES * self._every
        loop = asyncio.get_running_loop()
        # ``asyncio.wait_for`` would make a task of it, and a few dozen partitions have a beat several times a second.
        beat = loop.call_later(self._every - (loop.time() + phase) % self._every, self._enough.set)
        await self._enough.wait()
        beat.cancel()

    async def _round(self) -> None:
        events, self._events = self._events, deque()
        touched, self._touched = self._touched, set()
        self._ticks = 0
        # The rows are read now: what later chunks do to them must not go out before those chunks' changes.
        rows = [made for row in touched if (made := _published(row)) is not None]
        for queue in self._before:
            await queue.delivered()
        for key, value, timestamp in rows:
            self._state.add(key, value, timestamp)
        await self._state.delivered()
        for event in events:
            event.ack()
        if not self._room.is_set():
            self._room.set()

    def cancel(self) -> None:
        """Give up what is on its way; its chunks come again."""
        self._task.cancel()


def _published(row: StateRow) -> tuple[bytes, bytes, int] | None:
    """Key, value and timestamp of a row; ``None``, loudly, for one that makes no record: it must not end the others."""
    try:
        return row.key, encode(row.record()), row.received // 1000
    except Exception:
        log.exception("the state of %s can't be published, and stays as it was", printable(row.key))
        return None


class EffectsByPartition(Generic[R]):
    """The effects of every partition that an agent has seen, made on first use."""

    def __init__(self, make: Callable[[int], Effects[R]]) -> None:
        """Effects that ``make`` makes for a partition."""
        self._make = make
        self._effects: dict[int, Effects[R]] = {}

    def of(self, partition: int) -> Effects[R]:
        """The partition's effects."""
        effects = self._effects.get(partition)
        if effects is None:
            effects = self._effects[partition] = self._make(partition)
        return effects

    def forget(self) -> None:
        """Give everything up: partitions were revoked."""
        for effects in self._effects.values():
            effects.cancel()
        self._effects.clear()

"""From handled chunks to acknowledged ones: each effect confirmed before the next goes out.

The order is records, then state rows, then the acknowledgement. State before records would lose records in a crash; an
acknowledgement before either would lose both.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from broker.errors import FencedError
from broker.publisher import PartitionQueue
from processors.streaming.agent import StateRow
from processors.streaming.offsets import Delivery
from processors.streaming.watchdog import fatal
from schemas import encode
from schemas.outside import printable

log = logging.getLogger(__name__)

LIMIT = 50_000
"""Records of a partition that may wait for their effects; then the agent is given no more. Of what waits only the place
in the log is held, and the rows that it changed."""

_PHASES = 4


class _Waiting(NamedTuple):
    delivery: Delivery
    done: Awaitable[object] | None


class Effects:
    """One partition's effects, conflated while an earlier round is on its way."""

    def __init__(
        self,
        name: str,
        partition: int,
        state: PartitionQueue | None,
        every: float,
        fenced: Callable[[], object] = lambda: None,
    ) -> None:
        """Effects that end in state rows, where the agent has a table.

        Args:
            state: where rows go.
            every: seconds between two rounds, unless half of ``LIMIT`` waits before. Rounds of a quarter of the
                partitions fall on the same beat: few enough not to stop everything else, and most go in one request.
            fenced: called when the broker refused rows, as another member has taken the partition over; nothing of it
                is acknowledged any more.
        """
        self._name, self._partition, self._state, self._every = name, partition, state, every
        self._fenced = fenced
        self._before: set[PartitionQueue] = set()
        self._waiting: deque[_Waiting] = deque()
        self._rows: set[StateRow] = set()
        self._records = 0
        self._busy = self._cancelled = False
        self._work = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._task = asyncio.create_task(self._run(), name=f"effects-{name}-{partition}")

    def submit(
        self,
        delivery: Delivery,
        rows: Iterable[StateRow],
        queues: Iterable[PartitionQueue],
        done: Awaitable[object] | None,
        records: int,
    ) -> None:
        """Enter a chunk that was handled, and whose records are in the queues that are to be confirmed first.

        After ``cancel`` it changes nothing: the chunk comes again.
        """
        if self._cancelled:
            return
        self._before.update(queues)
        self._waiting.append(_Waiting(delivery, done))
        self._records += records
        self._rows.update(rows)
        self._work.set()
        if self._records >= LIMIT // 2:
            self._enough.set()
        if self._records >= LIMIT:
            self._room.clear()

    async def room(self) -> None:
        """Wait while too many records wait."""
        if not self._room.is_set():
            await self._room.wait()

    def touch(self, rows: Iterable[StateRow], queues: Iterable[PartitionQueue] = ()) -> None:
        """Enter rows that changed without a chunk, and the queues that are to be confirmed first."""
        self._before.update(queues)
        self._rows.update(rows)
        self._work.set()

    @property
    def rows(self) -> frozenset[StateRow]:
        """Rows that changed and are not on their way yet."""
        return frozenset(self._rows)

    @property
    def idle(self) -> bool:
        """Whether everything that was entered is confirmed."""
        return not (self._busy or self._waiting or self._rows)

    def hurry(self) -> None:
        """Do not wait for the beat."""
        self._enough.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._work.wait()
                if self._every:
                    await self._beat()
                self._work.clear()
                self._enough.clear()
                self._busy = True
                await self._round()
                self._busy = False
        except asyncio.CancelledError:
            raise
        except FencedError as error:
            log.warning("agent %s: what partition %s has in hand comes again: %s", self._name, self._partition, error)
            self._fenced()
        except Exception:
            log.exception("agent %s: the effects of partition %s failed", self._name, self._partition)
            fatal("effects failed")

    async def _beat(self) -> None:
        phase = self._partition % _PHASES / _PHASES * self._every
        loop = asyncio.get_running_loop()
        # ``asyncio.wait_for`` would make a task of it, and a few dozen partitions have a beat several times a second.
        beat = loop.call_later(self._every - (loop.time() + phase) % self._every, self._enough.set)
        await self._enough.wait()
        beat.cancel()

    async def _round(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        touched, self._rows = self._rows, set()
        before, self._before = self._before, set()
        self._records = 0
        # The rows are read now: what later chunks do to them must not go out before those chunks' records.
        rows = [made for row in touched if (made := self._published(row)) is not None]
        for queue in before:
            await queue.delivered()
        for one in waiting:
            if one.done is not None:
                await one.done
        if self._state is not None:
            for key, value, timestamp in rows:
                self._state.add(key, value, timestamp)
            await self._state.delivered()
        for one in waiting:
            one.delivery.ack()
        self._room.set()

    def _published(self, row: StateRow) -> tuple[bytes, bytes, int] | None:
        """Key, value and timestamp of a row; ``None``, loudly, for one that makes no record: the others go on."""
        try:
            return row.key, encode(row.record()), row.received // 1000
        except Exception:
            log.exception("the state of %s can't be published, and stays as it was", printable(row.key))
            return None

    def cancel(self) -> None:
        """Give up what is on its way; its chunks come again."""
        self._cancelled = True
        self._task.cancel()
        self._room.set()

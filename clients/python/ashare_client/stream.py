"""One topic as a stream of typed records: what the readers of the single topics have in common.

The records of a fetch are a batch. A batch is done when the caller asks for the next one; only then does the position
move past it, and only then is it committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from aiokafka.errors import ConsumerStoppedError, KafkaError

from ashare_client.batch import Batch, Source
from ashare_client.errors import ArgumentError, NoBrokerError, StateError
from ashare_client.places import End, Start
from ashare_client.records import Record
from ashare_client.repeats import Repeats
from ashare_client.selection import Selection
from ashare_client.standing import LEAVE_SECONDS
from ashare_client.start import Missing
from ashare_client.taking import Taking

R = TypeVar("R", bound=Record)


class Stream(Taking[R]):
    """A topic's records, once each, in order per code.

    Use it in `async with`, then `async for`; or in `async for` alone, which opens and closes it. It is used once.
    """

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        topic: str,
        *,
        selection: Selection,
        repeats: Repeats,
        start: Start | str = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """See the readers of the single topics."""
        super().__init__(
            bootstrap,
            topic,
            repeats=repeats,
            start=start,
            end=end,
            group=group,
            commit=commit,
            archive=archive,
            missing=missing,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )
        self._want(selection, malformed)
        self._busy = False
        self._handed = 0
        self._opened_at = 0.0

    async def open(self) -> Self:
        """Connect, and stand where `start` says; records that come from now on are read.

        Raises:
            StateError: it was opened before.
            ClientError: as the sub-class says: no broker, no topic, a range that is gone.
        """
        if self._state != "new":
            raise StateError(f"this reader of {self.topic} was opened before: make a new one")
        self._state = "open"
        self._opened_at = time.time()
        try:
            await self._connect()
            if self._group is None:
                await self._stand()
        except BaseException:
            await self.abandon()
            raise
        return self

    async def close(self) -> None:
        """Disconnect. The batch in hand is not done by this: leave `async with` without an error, or commit.

        Raises:
            NoBrokerError: what is done could not be committed within `patience` seconds: it comes again.
        """
        await self._leave(self._patience, raises=True)

    async def abandon(self) -> None:
        """As `close`, after an error, which a commit that fails must not hide: it is logged."""
        await self._leave(min(self._patience, LEAVE_SECONDS), raises=False)

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Without an error, what was handed out is done; with one, the batch in hand comes again.

        Raises:
            NoBrokerError: as `close`; not where there was an error.
        """
        if error is not None:
            await self.abandon()
            return
        if self._state == "open":
            self._settle(self._handed)
        await self.close()

    async def __aiter__(self) -> AsyncGenerator[R, None]:
        """Record after record."""
        async with self._opened():
            while (record := self.hand()) is not None or await self.advance():
                if record is not None:
                    yield record

    async def batches(self) -> AsyncGenerator[Batch[R], None]:
        """Batch after batch, none of them empty; what is left of one in hand comes first."""
        async with self._opened():
            while (batch := self.hand_rest()) is not None or await self.advance():
                if batch is not None:
                    yield batch

    def hand(self) -> R | None:
        """The next record of the batch in hand; `None` when all were handed out."""
        index = self._handed
        if index >= len(self._batch.records):
            return None
        self._handed = index + 1
        return self._batch.records[index]

    def hand_rest(self) -> Batch[R] | None:
        """What has not been handed out of the batch in hand, as a batch; `None` when all was."""
        if self._handed >= len(self._batch.records):
            return None
        rest = self._batch.rest(self._handed)
        self._handed = len(self._batch)
        return rest

    async def advance(self) -> bool:
        """The batch in hand is done: make the next one the one in hand; false at the end.

        Raises:
            ClientError: reading can't go on.
        """
        if self._busy:
            raise StateError(f"two tasks read from one reader of {self.topic}: give each its own")
        self._busy = True
        try:
            self._settle(len(self._batch))
            return await self._next()
        except ConsumerStoppedError:
            return False  # closed by another task
        finally:
            self._busy = False

    @property
    def source(self) -> Source:
        """Where the record in hand came from: the log, or the archive since the log's retention has passed."""
        return self._batch.source

    @property
    def position(self) -> dict[int, int]:
        """By partition, the offset behind the last record that was handed out: `start=` for whoever goes on."""
        return dict(sorted((self._position | self._batch.progress(self._handed)).items()))

    @property
    def log_id(self) -> str | None:
        """Which log `position` is of (`"CLUSTER/TOPIC"`), for `log_id=` of who goes on; `None` before `open`."""
        return None if self._log_id is None else str(self._log_id)

    async def commit(self) -> None:
        """Commit `position` for the group: everything handed out so far, the record in hand included.

        Raises:
            StateError: there is no group, or it is not open.
            NoBrokerError: the commit was not confirmed.
        """
        if self._group is None:
            raise StateError("commit: there is no group to commit for: give group=")
        try:
            async with asyncio.timeout(self._patience):
                if await self._reader.commit(self.position):
                    self.stats.commits += 1
        except (KafkaError, TimeoutError) as error:
            raise NoBrokerError(f"{self._bootstrap}: the commit was not confirmed: {error!r}") from error

    async def lag(self) -> dict[int, int]:
        """By partition that this reader has, how many offsets lie between `position` and the log's end.

        Raises:
            StateError: it is not open.
            NoBrokerError: the broker does not answer.
        """
        mine = self._reader.assigned or set(self._position)
        position = self.position
        unknown = {p: at for p, at in (await self._committed(mine - position.keys())).items() if isinstance(at, int)}
        ends = await self._reader.ends(mine)
        return {p: max(0, ends[p] - at) for p, at in sorted((unknown | position).items()) if p in ends}

    def age(self, code: str) -> float | None:
        """Seconds since the newest record of a code that has come was received off the feed; `None` before any has.

        Raises:
            ArgumentError: the code is not among those that are read.
        """
        if not self._selection.wants(code):
            raise ArgumentError(f"age: {code} is not read here: see codes= and boards=")
        received = self._heard.get(code)
        return None if received is None else time.time() - received / 1e6

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open for an iteration, where nobody has."""
        if self._state != "new":
            yield
            return
        await self.open()
        try:
            yield
        except BaseException:
            await self.abandon()
            raise
        await self.close()

    async def _next(self) -> bool:
        progress = time.monotonic()
        while True:
            if self._failure is not None:
                raise self._failure
            if self._state != "open" or (self._ends is not None and not self._ends):
                return False
            batch = await self._take()
            if batch is None:
                if self._ends is not None and time.monotonic() - progress > self._patience:
                    left = ", ".join(f"{self.topic}/{p}" for p in sorted(self._ends)[:3])
                    raise NoBrokerError(f"{self._bootstrap} brought nothing of {left} for {self._patience:g} s")
                continue
            progress = time.monotonic()
            self._batch, self._handed = batch, 0
            if batch:
                self.stats.delivered += len(batch)
                return True
            self._settle(0)

    def _settle(self, handed: int) -> None:
        """Take the first records of the batch in hand for done."""
        done = self._batch.progress(handed)
        if handed >= len(self._batch):
            self._batch, self._handed = Batch(self._batch.source), 0
        if not done:
            return
        self._position.update(done)
        self._finish()
        if self._by_batch:
            self._commits.add(done)

    async def _leave(self, patience: float, *, raises: bool) -> None:
        self._state = "closed"
        if self._pull is not None:
            await asyncio.wait([self._pull[1]])
        if self._log is not None:
            try:
                await self._commits.flush(patience, raises=raises)
            finally:
                await self._log.close()

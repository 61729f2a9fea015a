"""The latest state of every stock: a complete table, then every change to it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ashare_client.batch import Batch
from ashare_client.errors import ArgumentError, NoBrokerError, StateError
from ashare_client.places import End, Start, Word
from ashare_client.readers import Names, Reader
from ashare_client.records import SNAPSHOTS, Record, Snapshot
from ashare_client.repeats import States
from ashare_client.selection import Selection


@dataclass(frozen=True)
class _Row:
    record: Snapshot
    partition: int
    offset: int
    timestamp: int


class Snapshots(Reader[Snapshot]):
    """State first, then updates, without a gap between.

    The compacted topic is read up to where it ended when the table was asked for: that is the table, one snapshot a
    code. It comes first, from `table()` or else from the iteration; then follows every snapshot after it, in order per
    code. There is no group: a member would have a part of the table.
    """

    record: ClassVar[type[Record]] = Snapshot
    words: ClassVar[tuple[str, ...]] = ("state", "latest", "earliest")

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        start: Start | Literal["state"] = "state",
        end: End | None = None,
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = SNAPSHOTS,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """As `PriceChanges`.

        Args:
            start: `"state"` begins with the table; any other place gives the records from there, as they are.
            end: with the table, `"now"`: the table alone.

        Raises:
            ArgumentError: an argument can't be meant; the text says how to write it.
        """
        super().__init__(
            bootstrap,
            topic,
            selection=Selection(codes, boards),
            repeats=States(),
            start=start,
            end=end,
            missing="skip",  # compaction takes records away by design
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )
        self._stateful = self._start == Word("state")
        if self._stateful and self._end not in {None, Word("now")}:
            raise ArgumentError("end: the table of another time is not kept: give end='now', or none")
        self._table: dict[str, _Row] = {}
        self._deleted: dict[str, int] = {}
        self._loaded = self._told = not self._stateful
        self._loading = False

    async def table(self) -> dict[str, Snapshot]:
        """The latest snapshot by code, as far as has been read; iteration then goes on with what comes after.

        Raises:
            StateError: not open, or not begun with `start="state"`.
            NoBrokerError: the broker has stopped answering.
        """
        if not self._stateful:
            raise StateError("table: only with start='state'")
        _ = self._reader
        if not self._loaded:
            if self._busy:
                raise StateError(f"two tasks read from one reader of {self.topic}: give each its own")
            self._busy = True
            try:
                await self._load()
            finally:
                self._busy = False
        self._told = True
        return {code: row.record for code, row in self._table.items()}

    async def _next(self) -> bool:
        if not self._told:
            await self._load()
            self._told = True
            batch: Batch[Snapshot] = Batch()
            for row in self._table.values():
                batch.add(row.record, row.partition, row.offset, row.timestamp)
            self._batch, self._handed = batch, 0
            if batch:
                self.stats.delivered += len(batch)
                return True
        more = await super()._next()
        if more and self._stateful:
            self._take_up(self._batch)
        return more

    async def _load(self) -> None:
        """Read up to where the topic ends now."""
        self._loading = True
        ends, log_id = await self._reader.ends(self._partitions), self.log_id
        progress = time.monotonic()
        while any(self._position[p] < end for p, end in ends.items()):
            batch = await self._take()
            if self.log_id != log_id:
                ends, log_id = await self._reader.ends(self._partitions), self.log_id
            if batch is None:
                if time.monotonic() - progress > self._patience:
                    raise NoBrokerError(f"{self._bootstrap} brought nothing of {self.topic} for {self._patience:g} s")
                continue
            progress = time.monotonic()
            self._take_up(batch)
            self._position.update(batch.ends)
            if self._failure is not None:
                raise self._failure
        self._finish()
        self._loading = False
        self._loaded = True

    async def _renew(self) -> None:
        """The table is that of the new log; its codes come as updates where the former table was told."""
        if not self._stateful:
            await super()._renew()
            return
        self._table.clear()
        self._deleted.clear()
        self._loaded = False
        if self._ends is not None:
            self._ends = await self._reader.ends(self._partitions)

    def _take_up(self, batch: Batch[Snapshot]) -> None:
        for record, partition, offset, timestamp in zip(
            batch.records, batch.partitions, batch.offsets, batch.timestamps, strict=True
        ):
            if offset > self._deleted.get(record.code, -1):
                self._table[record.code] = _Row(record, partition, offset, timestamp)
        self._deleted.clear()

    def _gone(self, key: bytes | None, offset: int) -> None:
        code = (key or b"").decode("utf-8", "replace")
        self._table.pop(code, None)
        # What lies before it in the same batch is not in the table yet.
        self._deleted[code] = offset

    @property
    def _towards_an_end(self) -> bool:
        return self._loading or super()._towards_an_end

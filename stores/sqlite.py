"""The embedded store: SQLite, ``DIR/ticks-YYYY-MM-DD.sqlite`` by the Shanghai date of the tick's ``time``."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from market.times import trading_date
from schemas import UsageError
from stores.base import StoreError, TickBatch, UnstorableError
from stores.columns import rows, unstorable
from stores.day_file import DayFile, day_path, day_paths

T = TypeVar("T")

_OPEN_DAYS = 3  # files open at once: live ticks are of one day, a replay's of one after the other

_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process is writing or keeps it locked; end what holds it",
    sqlite3.SQLITE_LOCKED: "another process is writing or keeps it locked; end what holds it",
    sqlite3.SQLITE_FULL: "no room: free some of the disk, older days' files can be moved away",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_PERM: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "the directory must exist and be writable",
    sqlite3.SQLITE_IOERR: "the disk, its quota or the limit on a file's size refused it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away (`sqlite3 FILE .recover` saves what is readable) and "
    "process the day again from Kafka",
}


class SqliteStore:
    """Day files in one directory, durable at each commit (WAL, synchronous=FULL).

    Several worker processes of one host may write the same files. Not for a network file system.
    """

    def __init__(self, directory: Path, *, busy_timeout: float = 10.0) -> None:
        """Nothing is touched before ``open``.

        Args:
            busy_timeout: seconds that a write waits for another process's.
        """
        self.identity: int | None = None
        self._directory = directory
        self._busy_timeout = busy_timeout
        self._thread: ThreadPoolExecutor | None = None
        self._days: OrderedDict[str, DayFile] = OrderedDict()  # used last at the end; only the writer thread's

    async def open(self) -> None:
        """Create the directory where it is missing and look at the newest day's file."""
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, "sqlite-writer")
        try:
            await self._in(thread, self._look)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        self._thread = thread

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Keep the batches; see ``TickStore``. Each day's ticks are one transaction."""
        if self._thread is None:
            raise StoreError(f"the store in {self._directory} is not open")
        return await self._in(self._thread, self._write, batches)

    async def close(self) -> None:
        """Close the files, after a write that is under way."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await self._in(thread, self._close)
            thread.shutdown(wait=False)

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)

    def _look(self) -> None:
        try:
            _make(self._directory)
            newest = list(day_paths(self._directory))[-1:]
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
                raise StoreError(f"{self._directory}: {error.strerror}") from error
            raise UsageError(f"the store's directory can't be used: {error.strerror}: {self._directory}") from error
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise UsageError(f"the store's directory is not writable: {self._directory}")
        for day in newest:
            self._guarded(day, self._day)

    def _write(self, batches: Sequence[TickBatch]) -> int:
        try:
            by_day = _by_day(batches)
            return sum(self._guarded(day, self._insert, by_day[day]) for day in sorted(by_day))
        except (OverflowError, ValueError) as error:
            found = unstorable(batches)
            if found is None:
                raise
            partition, offset, why = found
            raise UnstorableError(
                f"the tick at {partition}/{offset} can't be stored: {why}", partition, offset
            ) from error

    def _insert(self, day: str, ticks: list[tuple[Any, ...]]) -> int:
        return self._day(day).insert(ticks)

    def _day(self, day: str) -> DayFile:
        known = self._days.get(day)
        if known is not None:
            if known.present:
                self._days.move_to_end(day)
                return known
            self._forget(day)
        while len(self._days) >= _OPEN_DAYS:
            self._forget(next(iter(self._days)))
        opened = self._days[day] = DayFile(day_path(self._directory, day), self._busy_timeout)
        return opened

    def _guarded(self, day: str, work: Callable[..., T], *arguments: Any) -> T:
        """Do what touches a day's file. Whatever fails closes it: the next try starts from what is on the disk."""
        try:
            return work(day, *arguments)
        except sqlite3.Error as error:
            self._forget(day)
            path = day_path(self._directory, day)
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_NOTADB:
                raise UsageError(
                    f"{path} is not a file of this store: move it away, or use another directory"
                ) from error
            advice = _ADVICE.get(code)
            raise StoreError(f"{path}: {error}" + (f": {advice}" if advice else "")) from error
        except OSError as error:
            self._forget(day)
            raise StoreError(f"{day_path(self._directory, day)}: {error.strerror}") from error
        except BaseException:
            self._forget(day)
            raise

    def _forget(self, day: str) -> None:
        known = self._days.pop(day, None)
        if known is not None:
            known.close()

    def _close(self) -> None:
        for day in list(self._days):
            self._forget(day)


def _by_day(batches: Sequence[TickBatch]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows by trading day. A batch nearly always is of one day: its earliest and its latest tick tell."""
    days: dict[str, list[tuple[Any, ...]]] = {}
    for batch in batches:
        if not batch.ticks:
            continue
        times = [tick.time for tick in batch.ticks]
        day = trading_date(min(times))
        if day == trading_date(max(times)):
            days.setdefault(day, []).extend(rows(batch))
        else:
            for time, row in zip(times, rows(batch), strict=True):
                days.setdefault(trading_date(time), []).append(row)
    return days


def _make(directory: Path) -> None:
    """Create a directory so that a power loss does not take it away again."""
    if directory.is_dir():
        return
    if not directory.parent.is_dir():
        _make(directory.parent)
    directory.mkdir(exist_ok=True)
    descriptor = os.open(directory.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

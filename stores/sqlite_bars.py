"""Bars in SQLite: ``DIR/bars-YYYY-MM-DD.sqlite`` by session, beside the ticks."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec

from schemas import Bar, UsageError
from stores.bars import COLUMNS, KEY, QUOTED, TABLE, bar_of, ordered, row
from stores.base import StoreError
from stores.sqlite import connected, make_directory

_NAME = re.compile(r"bars-(\d{4}-\d{2}-\d{2})\.sqlite")
_DDL = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} ("
    + ", ".join(f'"{name}" {kind}{"" if nullable else " NOT NULL"}' for name, kind, _, nullable in COLUMNS)
    + f", PRIMARY KEY ({', '.join(KEY)})) WITHOUT ROWID"
)
_REPEATED = f"excluded.origin_offset <= {TABLE}.origin_offset AND excluded.revision <= {TABLE}.revision"
_INSERT = (
    f"INSERT INTO {TABLE} ({QUOTED}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - our own names
    f" ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET "
    + ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in COLUMNS if column.name not in KEY)
    + f" WHERE NOT ({_REPEATED})"
)
"""What a crash, or a member that stood still, has published again puts nothing back."""
_SELECT = f"SELECT {QUOTED} FROM {TABLE} WHERE code = ?"  # noqa: S608 - our own names
_OPEN_DAYS = 3


class SqliteBars:
    """Day files in one directory, durable at each commit. Several workers of one host may write the same files."""

    def __init__(self, directory: Path, *, busy_timeout: float = 10.0) -> None:
        """Nothing is touched before ``open``.

        Args:
            busy_timeout: seconds that a write waits for another process's.
        """
        self._directory = directory
        self._busy_timeout = busy_timeout
        self._thread: ThreadPoolExecutor | None = None
        self._days: dict[str, sqlite3.Connection] = {}  # only the writer thread's

    async def open(self) -> None:
        """As ``BarStore.open``."""
        if self._thread is None:
            thread = ThreadPoolExecutor(1, "sqlite-bars")
            try:
                await asyncio.get_running_loop().run_in_executor(thread, make_directory, self._directory)
            except BaseException:
                thread.shutdown(wait=False)
                raise
            self._thread = thread

    async def write(self, bars: Sequence[Bar]) -> None:
        """As ``BarStore.write``."""
        if self._thread is None:
            raise StoreError(f"the store of bars in {self._directory} is not open")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, bars)

    async def close(self) -> None:
        """As ``BarStore.close``."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    def days(self) -> list[str]:
        """As ``BarStore.days``."""
        if not self._directory.exists():
            return []
        try:
            return sorted(match[1] for path in self._directory.iterdir() if (match := _NAME.fullmatch(path.name)))
        except OSError as error:
            raise UsageError(f"the store's directory can't be read: {error.strerror}: {self._directory}") from error

    def bars(self, code: str, day: str) -> list[Bar]:
        """As ``BarStore.bars``."""
        path = self._path(day)
        if not path.exists():
            return []
        try:
            with closing(connected(path)) as connection:
                if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                    return []  # a worker is just making it
                return ordered([bar_of(values) for values in connection.execute(_SELECT, (code,))])
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise UsageError(
                f"{path}: {error}: it is not a file of this store, or it is damaged: move it away"
            ) from error

    def _path(self, day: str) -> Path:
        return self._directory / f"bars-{day}.sqlite"

    def _write(self, bars: Sequence[Bar]) -> None:
        by_day: dict[str, list[Bar]] = defaultdict(list)
        for bar in bars:
            by_day[bar.session].append(bar)
        for day, some in by_day.items():
            try:
                connection = self._day(day)
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, map(row, some))
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._forget(day)
                raise StoreError(f"{self._path(day)}: {error}") from error
            except BaseException:
                self._forget(day)
                raise

    def _day(self, day: str) -> sqlite3.Connection:
        known = self._days.get(day)
        if known is not None and self._path(day).exists():
            return known
        self._forget(day)
        while len(self._days) >= _OPEN_DAYS:
            self._forget(next(iter(self._days)))
        made = sqlite3.connect(self._path(day), timeout=self._busy_timeout, isolation_level=None)
        self._days[day] = made
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", _DDL):
            made.execute(statement)
        return made

    def _forget(self, day: str) -> None:
        known = self._days.pop(day, None)
        if known is not None:
            known.close()

    def _close(self) -> None:
        for day in list(self._days):
            self._forget(day)

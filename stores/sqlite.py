"""The embedded store: SQLite, ``DIR/ticks-YYYY-MM-DD.sqlite`` by the Shanghai date of the tick's ``time``.

SQL is on as many day files as SQLite attaches (10, as a rule), read-only, behind one view ``ticks``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from market.times import trading_date
from schemas import UsageError
from stores.base import Result, StoreError, TickBatch, UnstorableError
from stores.columns import NAMES, ROWS, TABLE, Row, rows, selected, unstorable
from stores.day_file import DayFile, address, at_rest, check_layout, day_path, day_paths

T = TypeVar("T")

_OPEN_DAYS = 3  # files open at once: live ticks are of one day, a replay's of one after the other
_READ_TIMEOUT = 5.0  # s that a reader waits for a file that is locked
_STEPS_BETWEEN_SIGNALS = 200_000  # of SQLite's machine, some 10 ms: how soon Ctrl-C is heard
_TIME = NAMES.index("time")
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_PRAGMAS = {"table_info", "table_xinfo"}

_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process is writing or keeps it locked; end what holds it",
    sqlite3.SQLITE_LOCKED: "another process is writing or keeps it locked; end what holds it",
    sqlite3.SQLITE_FULL: "no room: free some of the disk, older days' files can be moved away",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_PERM: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "the directory must exist and be writable",
    sqlite3.SQLITE_IOERR: "the disk, its quota or the limit on a file's size refused it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away (`sqlite3 FILE .recover` saves what is readable), "
    "then `ashare store refill --day YYYY-MM-DD` writes the day again, from Kafka or the archive",
}


class SqliteStore:
    """Day files in one directory, durable at each commit (WAL, synchronous=FULL).

    Several worker processes of one host may write the same files. Not for a network file system.
    """

    counts_new = True

    def __init__(self, directory: Path, *, busy_timeout: float = 10.0) -> None:
        """Nothing is touched before ``open``.

        Args:
            busy_timeout: seconds that a write waits for another process's.
        """
        self.identity: int | None = None
        self._directory = directory
        self._busy_timeout = busy_timeout
        self._thread: ThreadPoolExecutor | None = None
        self._open = False
        self._days: OrderedDict[str, DayFile] = OrderedDict()  # used last at the end; only the writer thread's

    async def open(self) -> None:
        """Create the directory where it is missing and look at the newest day's file."""
        if self._open:
            return
        # One thread until `close`: what an attempt that was cancelled still does, ends before the next begins.
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "sqlite-writer")
        await self._in(self._thread, self._look)
        self._open = True

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Keep the batches; see ``TickStore``. Each day's ticks are one transaction."""
        if not self._open or self._thread is None:
            raise StoreError(f"the store in {self._directory} is not open")
        return await self._in(self._thread, self._write, batches)

    async def close(self) -> None:
        """Close the files, after a write that is under way."""
        thread, self._thread, self._open = self._thread, None, False
        if thread is not None:
            await self._in(thread, self._close)
            thread.shutdown(wait=False)

    def days(self) -> list[str]:
        """See ``TickReader``."""
        return list(self._files()) if self._directory.exists() else []

    def rows(self, day: str, topic: str | None = None) -> Iterator[Sequence[Sequence[Any]]]:
        """See ``TickReader``."""
        path = day_path(self._directory, day)
        which = ""
        values: tuple[str, ...] = ()
        if topic is not None:
            which, values = " WHERE kafka_topic = ? ORDER BY kafka_partition, kafka_offset", (topic,)
        try:
            with closing(connected(path)) as connection:
                if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                    return  # a worker is just making it
                there = {row[1] for row in connection.execute(f"PRAGMA table_info({TABLE})")}
                cursor = connection.execute(f"SELECT {selected(there)} FROM {TABLE}{which}", values)  # noqa: S608 - our names
                while found := cursor.fetchmany(ROWS):
                    yield found
        except sqlite3.Error as error:
            raise UsageError(
                f"{path}: {error}: it is not a file of this store, or it is damaged: move it away"
            ) from error

    @contextmanager
    def query(self, sql: str, days: Sequence[str] = ()) -> Iterator[Result]:
        """See ``TickReader``."""
        # In memory itself: the files are attached to it.
        connection = sqlite3.connect("file::memory:", uri=True, isolation_level=None, timeout=_READ_TIMEOUT)
        try:
            paths, note = self._chosen(days, connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED))
            with _clear_errors():
                _attach(connection, paths)
                connection.execute("PRAGMA query_only = ON")
                connection.set_authorizer(_authorize)
                connection.set_progress_handler(lambda: 0, _STEPS_BETWEEN_SIGNALS)
                cursor = connection.execute(sql)
            if cursor.description is None:
                raise UsageError("there is no statement: write a SELECT on the table ticks")
            with closing(_rows(cursor)) as found:
                yield Result([column[0] for column in cursor.description], found, note)
        finally:
            connection.close()

    def _files(self) -> dict[str, Path]:
        try:
            return day_paths(self._directory)
        except OSError as error:
            raise UsageError(f"the store's directory can't be read: {error.strerror}: {self._directory}") from error

    def _chosen(self, days: Sequence[str], most: int) -> tuple[list[Path], str | None]:
        there, directory = self._files(), self._directory
        if not there:
            raise UsageError(f"{directory} holds no ticks yet: no ticks-YYYY-MM-DD.sqlite in it")
        if len(days) > most:
            raise UsageError(f"at most {most} days can be read at once, {len(days)} were named")
        for day in days:
            if day not in there:
                raise UsageError(
                    f"there is no {day_path(directory, day).name} in {directory}: its days are {_span(there)}"
                )
        if days:
            return [there[day] for day in sorted(set(days))], None
        newest = list(there)[-most:]
        note = None
        if len(newest) < len(there):
            note = f"reading the newest {most} of {len(there)} days, {_span(newest)}; --day chooses others"
        return [there[day] for day in newest], note

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)

    def _look(self) -> None:
        make_directory(self._directory)
        for day in list(self._files())[-1:]:
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

    def _insert(self, day: str, ticks: tuple[list[Row], list[Row]]) -> int:
        return self._day(day).insert(*ticks)

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


def _by_day(batches: Sequence[TickBatch]) -> dict[str, tuple[list[Row], list[Row]]]:
    """Rows by trading day, as ``rows`` gives them. A batch nearly always is of one, as its earliest and latest tell."""
    days: dict[str, tuple[list[Row], list[Row]]] = {}
    for batch in batches:
        if not batch.ticks:
            continue
        times = [tick.time for tick in batch.ticks]
        day = trading_date(min(times))
        whole = day == trading_date(max(times))
        for kind, some in enumerate(rows(batch)):
            if whole:
                days.setdefault(day, ([], []))[kind].extend(some)
                continue
            for row in some:
                days.setdefault(trading_date(row[_TIME]), ([], []))[kind].append(row)
    return days


def make_directory(directory: Path) -> None:
    """Create a store's directory where it is missing.

    Raises:
        StoreError: the disk is full or fails.
        UsageError: it can't be had, or not be written.
    """
    try:
        _make(directory)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            raise StoreError(f"{directory}: {error.strerror}") from error
        raise UsageError(f"the store's directory can't be used: {error.strerror}: {directory}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"the store's directory is not writable: {directory}")


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


def _span(days: Sequence[str] | dict[str, Path]) -> str:
    named = list(days)
    return named[0] if len(named) == 1 else f"{named[0]} to {named[-1]}"


def connected(path: Path) -> sqlite3.Connection:
    """Open a day's file read-only, whichever thread reads it."""
    connection = sqlite3.connect(address(path), uri=True, timeout=_READ_TIMEOUT, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError as error:
        connection.close()
        other = at_rest(error, path)
        if other is None:
            raise
        return sqlite3.connect(other, uri=True, check_same_thread=False)
    return connection


def _attach(connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
    selects = []
    for number, path in enumerate(paths):
        schema = f"day{number}"
        try:
            made = _attach_one(connection, path, schema, address(path))
        except sqlite3.OperationalError as error:
            other = at_rest(error, path)
            if other is None:
                raise
            connection.execute(f"DETACH {schema}")
            made = _attach_one(connection, path, schema, other)
        if made:
            selects.append(f"SELECT {selected(made)} FROM {schema}.{TABLE}")  # noqa: S608 - our own names
    if not selects:
        raise UsageError(f"{paths[0].parent} holds no ticks yet")
    connection.execute(f"CREATE TEMP VIEW {TABLE} AS {' UNION ALL '.join(selects)}")


def _attach_one(connection: sqlite3.Connection, path: Path, schema: str, where: str) -> Collection[str]:
    """Attach a day's file; the columns of its table, none if a worker is just making it and nothing is in it."""
    try:
        connection.execute(f"ATTACH ? AS {schema}", (where,))
        tables = f"SELECT 1 FROM {schema}.sqlite_master LIMIT 1"  # noqa: S608 - our own name
        if connection.execute(tables).fetchone() is None:
            return ()
        return check_layout(connection, path, schema)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path}: {error}: move it away, or name the days to read with --day") from error


def _authorize(action: int, name: str | None, *_: Any) -> int:
    if action in _ALLOWED or (action == sqlite3.SQLITE_PRAGMA and name in _PRAGMAS):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _rows(cursor: sqlite3.Cursor) -> Generator[Sequence[Any], None, None]:
    with _clear_errors():
        yield from cursor


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from error  # it was raised in the progress handler
        if code in {sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY} or "because it is a view" in str(error):
            raise UsageError("the store is only read here: write a SELECT on the table ticks") from error
        raise UsageError(f"SQLite: {error}") from error

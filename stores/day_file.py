"""One trading day's ticks in one SQLite file: its name, its layout, and the quickest way into it.

The file is in WAL mode, so that readers never wait for the writer, several processes of one host may write, and a kill
at any instant leaves whole transactions only. WAL needs shared memory: the directory must not be on a network file
system.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from schemas import UsageError
from stores.columns import ADDED, BESIDE, COLUMNS, KEY, PLAIN, TABLE, Column, Row

LAYOUT = "ashare-stream ticks"
VERSION = 1

# Without ROWID the key is the tree itself: as fast, and 113 bytes a tick instead of 134 with an index beside the table.
_TABLE = (
    f"CREATE TABLE {TABLE} ("
    + ", ".join(f"{name} {kind}{'' if nullable else ' NOT NULL'}" for name, kind, _, nullable in PLAIN)
    + f", PRIMARY KEY ({', '.join(KEY)})) WITHOUT ROWID"
)
_ALWAYS = [column.name for column in PLAIN if column not in ADDED]
_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

_NAME = re.compile(r"ticks-(\d{4}-\d{2}-\d{2})\.sqlite")
_WAL_LIMIT = 64 << 20  # bytes: what a WAL that a long reader made grow is cut back to
_ROWS_AT_ONCE = 1024
_PAUSE = 0.02  # s between two tries at a file that another process is just making


def day_path(directory: Path, day: str) -> Path:
    """The file of a day (YYYY-MM-DD)."""
    return directory / f"ticks-{day}.sqlite"


def day_paths(directory: Path) -> dict[str, Path]:
    """The days that a directory has files of, oldest first.

    Raises:
        OSError: the directory can't be read.
    """
    found = ((match[1], path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name)))
    return dict(sorted(found))


def address(path: Path, mode: str = "mode=ro") -> str:
    """The URI by which a day's file is read and never written."""
    return f"file:{quote(str(path.absolute()))}?{mode}"


def at_rest(error: sqlite3.Error, path: Path) -> str | None:
    """How to read a file that could not be opened for reading as it must be while something writes it.

    A file in WAL mode needs a place for its shared memory, unless nothing writes it any more.
    """
    shut = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN and not path.with_name(f"{path.name}-wal").exists()
    return address(path, "mode=ro&immutable=1") if shut else None


def check_layout(connection: sqlite3.Connection, path: Path, schema: str = "main") -> frozenset[str]:
    """Make sure that a database is one of ours, of this version.

    Returns:
        The columns of its table: it may lack those of ``BESIDE``, and an older file those of ``ADDED``.

    Raises:
        UsageError: it is not; the text says what it is and what to do.
        sqlite3.Error: it can't be read.
    """
    tables = {row[0] for row in connection.execute(f"SELECT name FROM {schema}.sqlite_master")}  # noqa: S608 - our name
    if "meta" not in tables:
        raise _foreign(path)
    try:
        meta = dict(connection.execute(f"SELECT key, value FROM {schema}.meta"))  # noqa: S608 - our own name
        columns = {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({TABLE})")}
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        raise _foreign(path) from error  # a meta of somebody else's
    if meta.get("layout") != LAYOUT:
        raise _foreign(path)
    if meta.get("version") != str(VERSION):
        raise UsageError(
            f"{path} has version {meta.get('version')} of the layout, this program reads and writes {VERSION}: "
            f"use another directory, or the program's version that made it"
        )
    if lacking := [name for name in _ALWAYS if name not in columns]:
        raise UsageError(f"{path}: its table {TABLE} was changed, it lacks {lacking[0]}: use another directory")
    return frozenset(columns)


def _foreign(path: Path) -> UsageError:
    return UsageError(f"{path} is not a file of this store: move it away, or use another directory")


class DayFile:
    """One day's file, open for writing in the thread that made it."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        """Open the file, creating it where it is missing.

        Args:
            busy_timeout: seconds to wait for another process that is writing.

        Raises:
            UsageError: the file is not one of this store's, or of another version.
            sqlite3.Error: it can't be opened.
        """
        self.path = path
        self._connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
        try:
            self._prepare(time.monotonic() + busy_timeout)
            self._identity = _identity(path)
        except BaseException:
            self._connection.close()
            raise
        values = self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._plain, self._full = _Inserts(PLAIN, values), _Inserts(COLUMNS, values)
        self._has_beside = False

    def _prepare(self, deadline: float) -> None:
        while True:
            try:
                self._settle()
            except sqlite3.OperationalError as error:
                # The way to WAL mode does not wait for another process that goes it too.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _settle(self) -> None:
        execute = self._connection.execute
        if execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
            check_layout(self._connection, self.path)  # before anything of a stranger's file is changed
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise UsageError(
                f"{self.path}: this file system can't share memory between processes: use a local directory"
            )
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        execute("BEGIN IMMEDIATE")
        try:
            if execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                execute(_META)
                meta = [("layout", LAYOUT), ("version", str(VERSION))]
                self._connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
                execute(_TABLE)
            self._add(ADDED)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    @property
    def present(self) -> bool:
        """Whether the path leads to the file that is open: one that was moved away takes writes that nobody sees."""
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    def insert(self, plain: Sequence[Row], full: Sequence[Row] = ()) -> int:
        """Keep rows in one transaction; a tick that is there already adds nothing.

        Few and wide statements: around each, Python gives up its lock, and gets it back after a switch interval (5 ms)
        when the event loop's thread is busy. Measured with that thread at full load, 1,000 rows a call: 200 ticks/s by
        ``executemany``, 93,000 like this. So a remainder is filled up to the next width with its last row, which is
        then there already.

        Args:
            plain: values in the order of ``PLAIN``.
            full: values in the order of ``COLUMNS``; the first such add the columns that the table lacks.

        Returns:
            How many were new.

        Raises:
            sqlite3.Error, OverflowError: nothing was kept; close this object.
        """
        execute, before = self._connection.execute, self._connection.total_changes
        # One statement is a transaction by itself.
        explicit = bool(full) or len(plain) > self._plain.widest
        if explicit:
            execute("BEGIN IMMEDIATE")
        if full and not self._has_beside:
            self._add(BESIDE)
        for inserts, rows in ((self._plain, plain), (self._full, full)):
            widest = inserts.widest
            for start in range(0, len(rows), widest):
                part = rows[start : start + widest]
                width = 1 << (len(part) - 1).bit_length()
                filling = [part[-1]] * (width - len(part))
                execute(inserts.of(width), tuple(chain.from_iterable(chain(part, filling))))
        if explicit:
            execute("COMMIT")
            self._has_beside = self._has_beside or bool(full)
        return self._connection.total_changes - before

    def _add(self, columns: Sequence[Column]) -> None:
        """Add the columns that the table lacks, within a transaction."""
        there = check_layout(self._connection, self.path)
        for column in columns:
            if column.name not in there:
                self._connection.execute(f"ALTER TABLE {TABLE} ADD COLUMN {column.name} {column.sqlite}")

    def close(self) -> None:
        """Release the file; what was not committed is dropped."""
        self._connection.close()


class _Inserts:
    """Statements for 1, 2, 4 … rows of some columns, as many as this SQLite takes values in one."""

    def __init__(self, columns: Sequence[Column], values: int) -> None:
        self._columns = columns
        self._known: dict[int, str] = {}
        self.widest = 1 << (min(_ROWS_AT_ONCE, values // len(columns)).bit_length() - 1)

    def of(self, rows: int) -> str:
        known = self._known.get(rows)
        if known is None:
            known = self._known[rows] = _insert(self._columns, rows)
        return known


def _insert(columns: Sequence[Column], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return (
        f"INSERT INTO {TABLE} ({', '.join(column.name for column in columns)}) "  # noqa: S608 - our own names
        f"VALUES {', '.join([row] * rows)} ON CONFLICT ({', '.join(KEY)}) DO NOTHING"
    )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino

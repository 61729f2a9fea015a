"""Reading day files: as many of them as SQLite attaches (10, as a rule), read-only, behind one view ``ticks``."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from schemas import UsageError
from stores.columns import NAMES, TABLE
from stores.day_file import check_layout, day_path, day_paths

_BUSY_TIMEOUT = 5.0  # s
_STEPS_BETWEEN_SIGNALS = 200_000  # of SQLite's machine, some 10 ms: how soon Ctrl-C is heard
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_PRAGMAS = {"table_info", "table_xinfo"}

Rows = Generator[Sequence[Any], None, None]


@contextmanager
def run(directory: Path, sql: str, days: Sequence[str]) -> Iterator[tuple[list[str], Rows, str | None]]:
    """Columns, rows and a note on the days left out; see ``query.query``."""
    # In memory itself: the files are attached to it.
    connection = sqlite3.connect("file::memory:", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT)
    try:
        paths, note = _chosen(directory, days, connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED))
        with _clear_errors():
            _attach(connection, paths)
            connection.execute("PRAGMA query_only = ON")
            connection.set_authorizer(_authorize)
            connection.set_progress_handler(lambda: 0, _STEPS_BETWEEN_SIGNALS)
            cursor = connection.execute(sql)
        if cursor.description is None:
            raise UsageError("there is no statement: write a SELECT on the table ticks")
        with closing(_rows(cursor)) as rows:
            yield [column[0] for column in cursor.description], rows, note
    finally:
        connection.close()


def _chosen(directory: Path, days: Sequence[str], most: int) -> tuple[list[Path], str | None]:
    try:
        there = day_paths(directory)
    except OSError as error:
        raise UsageError(f"the store's directory can't be read: {error.strerror}: {directory}") from error
    if not there:
        raise UsageError(f"{directory} holds no ticks yet: no ticks-YYYY-MM-DD.sqlite in it")
    if len(days) > most:
        raise UsageError(f"at most {most} days can be read at once, {len(days)} were named")
    for day in days:
        if day not in there:
            raise UsageError(f"there is no {day_path(directory, day).name} in {directory}: its days are {_span(there)}")
    if days:
        return [there[day] for day in sorted(set(days))], None
    newest = list(there)[-most:]
    note = None
    if len(newest) < len(there):
        note = f"reading the newest {most} of {len(there)} days, {_span(newest)}; --day chooses others"
    return [there[day] for day in newest], note


def _span(days: Sequence[str] | dict[str, Path]) -> str:
    named = list(days)
    return named[0] if len(named) == 1 else f"{named[0]} to {named[-1]}"


def _attach(connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
    selects = []
    for number, path in enumerate(paths):
        schema = f"day{number}"
        try:
            made = _attach_one(connection, path, schema, "mode=ro")
        except sqlite3.OperationalError as error:
            # A file in WAL mode needs a place for its shared memory, unless nothing writes it any more.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or path.with_name(f"{path.name}-wal").exists():
                raise
            connection.execute(f"DETACH {schema}")
            made = _attach_one(connection, path, schema, "mode=ro&immutable=1")
        if made:
            names = (name if name in made else f"NULL AS {name}" for name in NAMES)
            selects.append(f"SELECT {', '.join(names)} FROM {schema}.{TABLE}")  # noqa: S608 - our own names
    if not selects:
        raise UsageError(f"{paths[0].parent} holds no ticks yet")
    connection.execute(f"CREATE TEMP VIEW {TABLE} AS {' UNION ALL '.join(selects)}")


def _attach_one(connection: sqlite3.Connection, path: Path, schema: str, mode: str) -> Collection[str]:
    """Attach a day's file; the columns of its table, none if a worker is just making it and nothing is in it."""
    try:
        connection.execute(f"ATTACH ? AS {schema}", (f"file:{quote(str(path.absolute()))}?{mode}",))
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


def _rows(cursor: sqlite3.Cursor) -> Rows:
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

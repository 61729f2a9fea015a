"""Reading a store with SQL, and nothing but reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from schemas import UsageError
from stores import questdb_query, sqlite_query
from stores.urls import SqliteUrl, parse


@dataclass(frozen=True)
class Result:
    """What a query gives, read row by row.

    Attributes:
        note: what the reader should know beside it, as which days were left out.
    """

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]
    note: str | None = None


@contextmanager
def query(url: str, sql: str, days: Sequence[str] = ()) -> Iterator[Result]:
    """Run one statement on the table ``ticks`` of a store.

    Args:
        days: Shanghai dates (YYYY-MM-DD) to read, of a SQLite store; by default its newest.

    Raises:
        UsageError: no such store, nothing in it, not a reading statement, or wrong SQL; also while rows are read.
    """
    address = parse(url)
    if isinstance(address, SqliteUrl):
        with sqlite_query.run(address.directory, sql, days) as (columns, rows, note):
            yield Result(columns, rows, note)
    elif days:
        raise UsageError("days are chosen in SQLite's files alone; in QuestDB: WHERE timestamp IN '2026-11-20'")
    else:
        yield Result(*questdb_query.run(address, sql))

"""Where ticks are kept: the embedded SQLite, or a QuestDB server, behind one contract for writing, reading and SQL."""

from __future__ import annotations

from stores.bars import BarStore
from stores.base import Database, Result, StoreError, TickBatch, TickReader, TickStore, UnstorableError, without
from stores.questdb import QuestDbStore
from stores.questdb_bars import QuestDbBars
from stores.sqlite import SqliteStore
from stores.sqlite_bars import SqliteBars
from stores.urls import SqliteUrl, parse

__all__ = [
    "BarStore",
    "Database",
    "Result",
    "StoreError",
    "TickBatch",
    "TickReader",
    "TickStore",
    "UnstorableError",
    "open_bars",
    "open_store",
    "without",
]


def open_store(url: str, known: int | None = None) -> Database:
    """The store at ``sqlite:///DIR``, ``sqlite:////abs/DIR`` or ``questdb://HOST:9000``, not opened yet.

    Args:
        known: the ``identity`` of what was written before, where this store goes on with it.

    Raises:
        UsageError: another address; the text says what is possible.
    """
    address = parse(url)
    return SqliteStore(address.directory) if isinstance(address, SqliteUrl) else QuestDbStore(address, known=known)


def open_bars(url: str) -> BarStore:
    """The store of bars at the address of a store of ticks, not opened yet.

    Raises:
        UsageError: another address; the text says what is possible.
    """
    address = parse(url)
    return SqliteBars(address.directory) if isinstance(address, SqliteUrl) else QuestDbBars(address)

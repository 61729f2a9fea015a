"""Where ticks are kept: the embedded SQLite, or a QuestDB server, behind one small interface."""

from __future__ import annotations

from stores.base import StoreError, TickBatch, TickStore, UnstorableError
from stores.questdb import QuestDbStore
from stores.sqlite import SqliteStore
from stores.urls import SqliteUrl, parse

__all__ = ["StoreError", "TickBatch", "TickStore", "UnstorableError", "open_store"]


def open_store(url: str, known: int | None = None) -> TickStore:
    """The store at ``sqlite:///DIR``, ``sqlite:////abs/DIR`` or ``questdb://HOST:9000``, not opened yet.

    Args:
        known: the ``identity`` of what was written before, where this store goes on with it.

    Raises:
        UsageError: another address; the text says what is possible.
    """
    address = parse(url)
    return SqliteStore(address.directory) if isinstance(address, SqliteUrl) else QuestDbStore(address, known=known)

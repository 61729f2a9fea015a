"""Where the archive lies, as flag or environment say, else ``data/archive``; and the store that goes into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.archive.stored import StoredDays

DIRECTORY = Path("data/archive")


def directory(given: Path | None) -> Path:
    """The archive's directory, which need not exist."""
    return given or DIRECTORY


def existing(given: Path | None) -> Path | None:
    """The directory that was named, or the usual one where there is one."""
    return given or (DIRECTORY if DIRECTORY.is_dir() else None)


def stored(url: str) -> StoredDays:
    """The store at an address, to be read by day.

    Raises:
        UsageError: no store's address.
    """
    from consumers.archive.stored import QuestDbTicks, SqliteTicks, StoredDays
    from stores.urls import SqliteUrl, parse

    address = parse(url)
    if isinstance(address, SqliteUrl):
        return StoredDays(SqliteTicks(address.directory))
    return StoredDays(QuestDbTicks(address.http, headers=address.headers))

"""SQL over the archived days and the store's others as one table ``ticks``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ashare_client.archive import MANIFESTS, Archive
from consumers.archive.run import clear_errors
from schemas import UsageError
from schemas.topics import TICKS
from stores import Result, TickReader, duckdb


def holds_ticks(directory: Path) -> bool:
    """Whether there is an archive with ticks; needs no library."""
    return any((directory / MANIFESTS / TICKS).glob("*.json"))


@contextmanager
def query(directory: Path, live: TickReader | None, sql: str, days: Sequence[str] = ()) -> Iterator[Result]:
    """Run one statement on ``ticks``: days that the archive has closed are its, all others the store's.

    Of a day that is archived but not closed, the store gives what the archive does not hold. A tick that the log has
    twice is there once. The result's note says which days came from where.

    Args:
        days: Shanghai dates (YYYY-MM-DD) to read; by default all.

    Raises:
        UsageError: not a reading statement, wrong SQL, or a store or archive that can't be read; also while rows are
            read.
    """
    with clear_errors():
        archive = Archive(directory)
        manifests = [day for day in archive.manifests(TICKS) if not days or day.date in days]
        closed = {day.date for day in manifests if day.closed}
        stored = [day for day in (live.days() if live else ()) if day not in closed and (not days or day in days)]
        known = {day.date for day in manifests} | set(stored)
        for day in days:
            if day not in known:
                raise UsageError(f"neither store nor archive has ticks of {day}")
        files = [part.file for day in manifests for part in day.parts]
        partly = {day.date for day in manifests if not day.closed}
        held = archive.spans(TICKS) if partly else {}
        rest = duckdb.StoredDays(live, stored, dict.fromkeys(partly, held)) if live else None
        with duckdb.query(sql, directory, files, rest) as result:
            yield replace(result, note=_note(directory, len(manifests), stored))


def _note(directory: Path, archived: int, stored: Sequence[str]) -> str:
    days = "day" if archived == 1 else "days"
    return f"{archived} {days} from the archive {directory}, {', '.join(stored[-3:]) or 'none'} from the store" + (
        f" and {len(stored) - 3} before" if len(stored) > 3 else ""
    )

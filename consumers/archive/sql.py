"""SQL over the archived days and the store's others as one table ``ticks``, by DuckDB, read-only."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ashare_client.archive import MANIFESTS, Archive, Span
from consumers.archive.reading import checked
from consumers.archive.run import clear_errors
from consumers.archive.stored import NAMES, SCHEMA
from schemas import UsageError
from schemas.topics import TICKS

MEMORY = "1GB"
"""What a query may take; what it needs beyond goes to temporary files."""
_ROWS = 1_000


class Live(Protocol):
    """Stored ticks by day."""

    def days(self) -> list[str]:
        """The days that there are ticks of."""

    def batches(self, day: str) -> Iterator[pa.RecordBatch]:
        """A day's rows, with the columns ``NAMES``."""


@dataclass(frozen=True)
class Result:
    """What a query gives, read row by row; ``note`` says which days came from where."""

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]
    note: str | None = None


def holds_ticks(directory: Path) -> bool:
    """Whether there is an archive with ticks; needs no library."""
    return any((directory / MANIFESTS / TICKS).glob("*.json"))


@contextmanager
def query(directory: Path, live: Live | None, sql: str, days: Sequence[str] = ()) -> Iterator[Result]:
    """Run one statement on ``ticks``: days that the archive has closed are its, all others the store's.

    Of a day that is archived but not closed, the store gives what the archive does not hold. A tick that the log has
    twice is there once.

    Args:
        days: Shanghai dates (YYYY-MM-DD) to read; by default all.

    Raises:
        UsageError: not a reading statement, wrong SQL, or a store or archive that can't be read; also while rows are
            read.
    """
    sql = checked(sql)
    with clear_errors(), tempfile.TemporaryDirectory(prefix="ashare-query-") as spill:
        archive = Archive(directory)
        manifests = [day for day in archive.manifests(TICKS) if not days or day.date in days]
        closed = {day.date for day in manifests if day.closed}
        stored = [day for day in (live.days() if live else ()) if day not in closed and (not days or day in days)]
        known = {day.date for day in manifests} | set(stored)
        for day in days:
            if day not in known:
                raise UsageError(f"neither store nor archive has ticks of {day}")
        root = directory.resolve()
        files = [str(root / part.file) for day in manifests for part in day.parts]
        open_days = {day.date for day in manifests if not day.closed}
        table = _Stored(live, stored, open_days, archive.spans(TICKS) if open_days else {})
        connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill})
        try:
            connection.execute("SET preserve_insertion_order = false")
            connection.register("_stored", table)
            connection.execute(_view(files, _fields(connection, files)))
            # What the view reads stays allowed, anything else of the machine is not.
            connection.execute(f"SET allowed_directories = [{_text(str(root))}, {_text(spill)}]")
            connection.execute("SET python_enable_replacements = false")  # a table is no variable of this process
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            with _clear_sql(table):
                cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            yield Result(names, _rows(cursor, table), _note(directory, len(manifests), stored))
        finally:
            connection.close()


class _Stored:
    """The store's days as something that DuckDB reads anew, in batches, each time that a statement names the table."""

    def __init__(self, live: Live | None, days: Sequence[str], partly: set[str], held: dict[int, list[Span]]) -> None:
        self.error: UsageError | None = None
        self._live = live
        self._days = days
        self._partly = partly
        self._held = held

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(SCHEMA, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for day in self._days:
                assert self._live is not None
                for batch in self._live.batches(day):
                    yield batch.filter(_absent(batch, self._held)) if day in self._partly else batch
        except UsageError as error:
            self.error = error
            raise


def _absent(batch: pa.RecordBatch, held: dict[int, list[Span]]) -> pa.Array:
    """Which rows are of no offset that is held."""
    partitions, offsets = batch.column("kafka_partition"), batch.column("kafka_offset")
    inside = [
        pc.and_(
            pc.equal(partitions, partition),
            pc.and_(pc.greater_equal(offsets, span.start), pc.less(offsets, span.end)),
        )
        for partition, spans in held.items()
        for span in spans
    ]
    return pc.invert(reduce(pc.or_, inside)) if inside else pa.repeat(True, batch.num_rows)  # noqa: FBT003 - a value


def _view(files: Sequence[str], there: Collection[str]) -> str:
    view = f"CREATE VIEW ticks AS SELECT {', '.join(NAMES)} FROM _stored"  # noqa: S608 - our own names
    if files:
        names = ", ".join(name if name in there else f"NULL AS {name}" for name in NAMES)
        view += f" UNION ALL SELECT {names} FROM {_parts(files)} WHERE NOT kafka_repeated AND code IS NOT NULL"  # noqa: S608
    return view


def _parts(files: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(map(_text, files))}], hive_partitioning = false, union_by_name = true)"


def _fields(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> set[str]:
    """The columns that any of the parts has: all of them may be older than a field of today's."""
    if not files:
        return set()
    return {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {_parts(files)}").fetchall()}  # noqa: S608


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _rows(cursor: duckdb.DuckDBPyConnection, table: _Stored) -> Iterator[Sequence[Any]]:
    with _clear_sql(table):
        while rows := cursor.fetchmany(_ROWS):
            yield from rows


@contextmanager
def _clear_sql(table: _Stored) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except duckdb.Error as error:
        raise table.error or UsageError(f"DuckDB: {error}") from error


def _note(directory: Path, archived: int, stored: Sequence[str]) -> str:
    days = "day" if archived == 1 else "days"
    return f"{archived} {days} from the archive {directory}, {', '.join(stored[-3:]) or 'none'} from the store" + (
        f" and {len(stored) - 3} before" if len(stored) > 3 else ""
    )

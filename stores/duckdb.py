"""SQL over Parquet files of ticks and a store's days as one table ``ticks``, by DuckDB, read-only.

One SELECT, or EXPLAIN of one: DuckDB's own parser says what a text is.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas import UsageError
from stores.base import Result, TickReader
from stores.columns import COLUMNS, NAMES, levels

MEMORY = "1GB"
"""What a query may take; what it needs beyond goes to temporary files."""
_ROWS = 1_000
_LEVELS = pa.list_(pa.struct([("price", pa.float64()), ("volume", pa.float64())]))
"""A side of a book, as the files have it: ``bids[1].price`` is the best bid."""
_TYPES = {"SYMBOL": pa.string(), "LONG": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": _LEVELS}
SCHEMA = pa.schema([pa.field(column.name, _TYPES[column.questdb]) for column in COLUMNS])

_ONLY = "the store is only read here: write a SELECT on the table ticks"
# EXPLAIN is a statement of its own kind, whatever it explains; ANALYZE runs it.
_EXPLAIN = re.compile(
    r"""(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*       # what may stand before it
        EXPLAIN\b\s*
        (?P<how>ANALYZE\b|\([A-Za-z_,\s]*\))?    # (FORMAT json, ANALYZE)
        (?P<what>.*)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""Nodes that read. A SELECT can hold others: ``WITH x AS (COPY … TO …)``."""
_TABLE_FUNCTIONS = {
    *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "summary"),
    *("histogram", "histogram_values", "icu_calendar_names", "pg_timezone_names"),
    *("duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_settings", "duckdb_tables", "duckdb_types"),
    *("duckdb_views", "pragma_show", "pragma_table_info", "pragma_version"),
    # Files: of the archive's directory only, which the connection sees to.
    *("glob", "read_parquet", "parquet_scan", "read_text", "read_blob", "read_csv", "read_csv_auto", "sniff_csv"),
    *("read_json", "read_json_auto", "parquet_metadata", "parquet_schema", "parquet_file_metadata"),
    "parquet_kv_metadata",
}
"""Functions that may stand behind FROM: some of the others write files, change settings or run SQL that is a text."""


@dataclass(frozen=True)
class StoredDays:
    """Days of a store that belong to the table.

    Attributes:
        held: by day, offsets (first, end) of partitions that the files hold: these the store does not give again.
    """

    reader: TickReader
    days: Sequence[str]
    held: Mapping[str, Mapping[int, Sequence[tuple[int, int]]]] = field(default_factory=dict)


@contextmanager
def query(sql: str, directory: Path, files: Sequence[str], stored: StoredDays | None) -> Iterator[Result]:
    """Run one statement on ``ticks``: the rows of Parquet files, each tick once, and a store's days.

    Args:
        directory: where the files are; a statement may read what is in it, and nothing else of the machine.

    Raises:
        UsageError: not a reading statement, wrong SQL, or files or a store that can't be read; also while rows are
            read.
    """
    sql = checked(sql)
    root = directory.resolve()
    paths = [str(root / file) for file in files]
    table = _Stored(stored)
    with tempfile.TemporaryDirectory(prefix="ashare-query-") as spill:
        connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill})
        try:
            connection.execute("SET preserve_insertion_order = false")
            connection.register("_stored", table)
            connection.execute(_view(paths, _fields(connection, paths)))
            # What the view reads stays allowed, anything else of the machine is not.
            connection.execute(f"SET allowed_directories = [{_text(str(root))}, {_text(spill)}]")
            connection.execute("SET python_enable_replacements = false")  # a table is not a variable of this process
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            with _clear_sql(table):
                cursor = connection.execute(sql)
            yield Result([column[0] for column in cursor.description or ()], _rows(cursor, table))
        finally:
            connection.close()


def checked(sql: str) -> str:
    """A statement that does nothing but read, to be run as it is returned.

    Raises:
        UsageError: it is something else, or more than one; the text says what to write.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(f"DuckDB: {error}") from error
    if not statements:
        raise UsageError("there is no statement: write a SELECT on the table ticks")
    if len(statements) > 1:
        raise UsageError("one statement at a time")
    if statements[0].type == duckdb.StatementType.SELECT:
        _check_select(sql)
        return sql
    explained = _EXPLAIN.fullmatch(sql) if statements[0].type == duckdb.StatementType.EXPLAIN else None
    if explained is None:
        raise UsageError(_ONLY)
    what = explained["what"]
    try:
        inner = duckdb.extract_statements(what)
    except duckdb.Error:
        raise UsageError(_ONLY) from None
    if len(inner) != 1 or inner[0].type != duckdb.StatementType.SELECT:
        raise UsageError("EXPLAIN is of a SELECT here: the store is only read")
    _check_select(what)
    return f"EXPLAIN {explained['how'] or ''} {what}"


def _check_select(sql: str) -> None:
    for node in _nodes(_parsed(sql)):
        kind = node.get("type")
        if not isinstance(kind, str):
            continue
        if kind.endswith("_NODE") and kind not in _QUERIES:
            raise UsageError(_ONLY)
        if kind == "TABLE_FUNCTION":
            name = str(node.get("function", {}).get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise UsageError(f"the function {name} can't be read from here: write a SELECT on the table ticks")


def _parsed(sql: str) -> Any:
    """A SELECT as DuckDB's parser sees it; of anything else it makes an error."""
    with duckdb.connect() as parser:
        try:
            (text,) = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
            tree = json.loads(text)
        except duckdb.Error as error:
            raise UsageError(f"DuckDB: {error}") from error
        except RecursionError:
            raise UsageError("the statement is nested too deep: write it flatter") from None
    if tree.get("error"):
        raise UsageError(f"{_ONLY} ({tree.get('error_message')})")
    return tree["statements"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


class _Stored:
    """The store's days as something that DuckDB reads anew, in batches, each time that a statement names the table."""

    def __init__(self, stored: StoredDays | None) -> None:
        self.error: UsageError | None = None
        self._stored = stored

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(SCHEMA, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        stored = self._stored
        if stored is None:
            return
        try:
            for day in stored.days:
                held = stored.held.get(day)
                for rows in stored.reader.rows(day):
                    batch = _batch(rows)
                    yield batch if held is None else batch.filter(_absent(batch, held))
        except UsageError as error:
            self.error = error
            raise


def _batch(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [_array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind != _LEVELS or values.count(None) == len(values):
        return pa.array(values, kind)
    try:
        sides = [levels(value) for value in values]
    except msgspec.MsgspecError as error:
        raise UsageError(f"the store has a book that can't be read: {error}") from error
    return pa.array(
        [None if side is None else [{"price": one.price, "volume": one.volume} for one in side] for side in sides], kind
    )


def _absent(batch: pa.RecordBatch, held: Mapping[int, Sequence[tuple[int, int]]]) -> pa.Array:
    """Which rows are of no offset that is held."""
    partitions, offsets = batch.column("kafka_partition"), batch.column("kafka_offset")
    inside = [
        pc.and_(pc.equal(partitions, partition), pc.and_(pc.greater_equal(offsets, start), pc.less(offsets, end)))
        for partition, spans in held.items()
        for start, end in spans
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

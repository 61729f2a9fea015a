"""What SQL may do over archive and store: one SELECT, or EXPLAIN of one. DuckDB's own parser says what a text is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from schemas import UsageError

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

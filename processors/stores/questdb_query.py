"""Reading QuestDB, over its HTTP port."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from processors.stores.urls import QuestDbUrl
from schemas import UsageError

MOST_ROWS = 1_000_000  # an answer is read whole, and this many rows of all columns are some 200 MB
_TIMEOUT = 60.0  # s, QuestDB's own for a query

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_READING = {"SELECT", "WITH", "SHOW", "EXPLAIN"}
_WRITING = {"INSERT", "UPDATE"}  # what can follow a WITH


def run(url: QuestDbUrl, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Columns and rows; see ``query.query``."""
    check_reading(sql)
    read = _answer(url, sql)
    if "error" in read:
        at = f" (at character {read['position'] + 1})" if isinstance(read.get("position"), int) else ""
        raise UsageError(f"QuestDB: {read['error']}{at}")
    rows = read.get("dataset", [])
    if len(rows) > MOST_ROWS:
        raise UsageError(f"more than {MOST_ROWS:,} rows: add a LIMIT, or take {url.http}/exp?query=… which streams CSV")
    return [column["name"] for column in read.get("columns", [])], iter(rows)


def check_reading(sql: str) -> None:
    """Refuse a statement that does not read.

    Raises:
        UsageError: it begins with something else than SELECT, WITH, SHOW or EXPLAIN, or writes behind a WITH.
    """
    words = [word.upper() for word in re.findall(r"\w+", _QUOTED.sub(" ", sql))]
    if not words or words[0] not in _READING or _WRITING.intersection(words):
        raise UsageError("the store is only read here: write a SELECT, WITH … SELECT, SHOW or EXPLAIN")


def _answer(url: QuestDbUrl, sql: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(url.host, url.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/exec?" + urlencode({"query": sql, "limit": MOST_ROWS + 1}))
        body = connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(
            f"no QuestDB answers at {url.http} ({error}): start it, or name another with --store"
        ) from error
    finally:
        connection.close()
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict) or not {"dataset", "error", "ddl"} & read.keys():
        raise UsageError(f"what answers at {url.http} is not QuestDB's HTTP port")
    return read

"""Reading QuestDB, over its HTTP port."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from schemas import UsageError
from stores.urls import PASSWORD, QuestDbUrl

MOST_ROWS = 1_000_000  # an answer is read whole, and this many rows of all columns are some 200 MB
_TIMEOUT = 60.0  # s, QuestDB's own for a query

_ONLY = "the store is only read here: write a SELECT, WITH … SELECT, SHOW or EXPLAIN"
_BEFORE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_STATEMENT = re.compile(
    rf"{_BEFORE}(?P<explain>EXPLAIN\b{_BEFORE}(?:\(\s*FORMAT\s+\w+\s*\)\s*)?)?(?P<what>(?:SELECT|WITH|SHOW)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_ELSEWHERE = re.compile(
    r"\b(files|glob|import_files|export_files|read_parquet|parquet_scan|cancel_query|reload_config|flush_query_cache"
    r"|hydrate_table_metadata|simulate_crash|simulate_warnings|dump_memory_usage|dump_thread_stacks|touch"
    r"|wait_wal_table)\b\s*(?:\(|--|/\*)",
    re.IGNORECASE,
)
"""Functions that read the server's files or change its state, in a SELECT too; in texts as well: to be certain."""
_STRINGS = re.compile(r"'[^']*'")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WRITING = {"INSERT", "UPDATE"}  # what can follow a WITH
_WRAPPED = "EXPLAIN SELECT * FROM (\n{}\n)"


def run(url: QuestDbUrl, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Columns and rows; see ``query.query``."""
    sql, what = check_reading(sql)
    # The server's parser has the last word: what stands in the place of a table reads. EXPLAIN runs nothing.
    _refused(_answer(url, _WRAPPED.format(what)), _WRAPPED.index("{") - (len(sql) - len(what)), len(sql))
    read = _answer(url, sql)
    _refused(read, 0, len(sql))
    rows = read.get("dataset", [])
    if len(rows) > MOST_ROWS:
        raise UsageError(f"more than {MOST_ROWS:,} rows: add a LIMIT, or take {url.http}/exp?query=… which streams CSV")
    return [column["name"] for column in read.get("columns", [])], iter(rows)


def check_reading(sql: str) -> tuple[str, str]:
    """Refuse, before the server sees it, what is not one statement that reads.

    Returns:
        The statement, and what it explains, which is all of it where it explains nothing.

    Raises:
        UsageError: it begins with something else than SELECT, WITH, SHOW or EXPLAIN of these, has another statement
            behind it, or calls a function that reaches beyond the tables.
    """
    text = sql.strip()
    text = text[:-1].rstrip() if text.endswith(";") else text
    found = _STATEMENT.fullmatch(text)
    if found is None or _WRITING.intersection(re.findall(r"\w+", _QUOTED.sub(" ", text.upper()))):
        raise UsageError(_ONLY)
    # Where nothing but plain texts quotes, their ends are certain.
    plain = text if re.search(r'--|/\*|"', text) else _STRINGS.sub("''", text)
    if ";" in plain:
        raise UsageError("one statement at a time" + ("" if plain is not text else ", and no ; in names or comments"))
    reaching = _ELSEWHERE.search(text)
    if reaching:
        raise UsageError(f"the function {reaching[1].lower()} can't be called from here: {_ONLY}")
    return text, found["what"]


def _refused(read: dict[str, Any], shift: int, length: int) -> None:
    """Raise what the server says is wrong, at its place in the statement as it was given."""
    if "error" in read:
        position = read.get("position")
        at = ""
        if isinstance(position, int):
            at = f" (at character {min(max(position - shift, 0), length) + 1})"
        raise UsageError(f"QuestDB: {read['error']}{at}")


def _answer(url: QuestDbUrl, sql: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(url.host, url.port, timeout=_TIMEOUT)
    try:
        asked = urlencode({"query": sql, "limit": MOST_ROWS + 1})
        connection.request("GET", f"/exec?{asked}", headers=dict(url.headers))
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(
            f"no QuestDB answers at {url.http} ({error}): start it, or name another with --store"
        ) from error
    finally:
        connection.close()
    if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        what = "refuses this user and password" if url.user else f"wants a password: {PASSWORD}"
        raise UsageError(f"QuestDB at {url.http} {what}")
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict) or not {"dataset", "error", "ddl"} & read.keys():
        raise UsageError(f"what answers at {url.http} is not QuestDB's HTTP port")
    return read

"""The server store: QuestDB 9 or later, written by ILP over HTTP into one deduplicating table, partitioned by day.

It is read over the same port: a query's answer whole, a day's rows as they come.
"""

from __future__ import annotations

import asyncio
import csv
import http.client
import io
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from market.times import DAY_MS, day_start
from schemas import UsageError
from stores.base import Result, StoreError, TickBatch, UnstorableError
from stores.columns import ADDED, BESIDE, COLUMNS, KEY, PLAIN, ROWS, TABLE, Column, selected, unstorable
from stores.ilp import encoder
from stores.urls import PASSWORD, QuestDbUrl

_TIMESTAMP = "timestamp"  # dedup needs it in the key; being the tick's `time`, it leaves the key the tick's own
_CHECK_EVERY = 30.0  # s; a server may make a dropped table again for the next ILP line, without deduplication
_NEVER = float("-inf")
_ID = "SELECT id FROM tables() WHERE table_name = '{}'"
_COLUMNS = "SELECT \"column\", type, designated, upsertKey FROM table_columns('{}')"
_SUSPENDED = "SELECT suspended FROM wal_tables() WHERE name = '{}'"
_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR}  # the latter for a time beyond the year 9999
_FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_BODY_AT_ONCE = 1 << 20  # bytes; aiohttp warns of a larger body that it gets whole, as that holds up the loop
_SYMBOLS = {"code": 8192}  # distinct values that QuestDB prepares for; it grows beyond, at a price

MOST_ROWS = 1_000_000  # an answer is read whole, and this many rows of all columns are some 200 MB
_QUERY_SECONDS = 60.0  # QuestDB's own limit of a query

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
_READERS = tuple({"SYMBOL": str, "VARCHAR": str, "LONG": int, "DOUBLE": float}[column.questdb] for column in COLUMNS)
_DAY = "timestamp_floor('d', dateadd('h', 8, timestamp))"  # in Shanghai


class QuestDbStore:
    """One table on a QuestDB server. A batch is one request and one transaction of the server.

    QuestDB can't tell how many rows were new: ``write`` counts every tick it took. With its default commit mode it
    flushes nothing to disk: a kill of the server loses nothing, a power loss may lose the last ticks, which Kafka still
    has.
    """

    counts_new = False

    def __init__(self, url: QuestDbUrl, *, table: str = TABLE, timeout: float = 20.0, known: int | None = None) -> None:
        """Nothing is sent before ``open``.

        Args:
            timeout: seconds for a whole request.
            known: the ``identity`` of the table that was written before; no other is made or taken.
        """
        self._url = url
        self._table = table
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(5.0, timeout))
        self._session: aiohttp.ClientSession | None = None
        self._encode = encoder(table)
        self._checked = _NEVER
        self._has_beside = False
        self.identity = known  # the table's id, once it was seen

    async def open(self) -> None:
        """Create the table where it is missing and make sure that it is as it must be."""
        if self._session is not None:
            return
        session = aiohttp.ClientSession(timeout=self._timeout, headers=self._url.headers)
        try:
            await self._ready(session)
        except BaseException:
            await session.close()
            raise
        self._session = session

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Keep the batches; see ``TickStore``. One bad line, and QuestDB keeps none."""
        session = self._session
        if session is None:
            raise StoreError(f"the store at {self._url.http} is not open")
        if time.monotonic() - self._checked > _CHECK_EVERY:
            await self._ready(session)
        body = []
        beside = False
        for batch in batches:
            lines, more = self._encode(batch)
            body.append(lines)
            beside = beside or more
            await asyncio.sleep(0)  # a batch of 5,000 takes 10 ms to encode
        if not any(body):
            return 0
        if beside and not self._has_beside:
            columns = await self._sql(session, _COLUMNS.format(self._table))
            await self._add(session, BESIDE, {name: kind for name, kind, _, _ in columns})
            self._has_beside = True
        checked, self._checked = self._checked, _NEVER  # whatever goes wrong, the next write looks at the table first
        status, answer = await self._request(session, "POST", "/write", {"precision": "ms"}, b"".join(body))
        if status == HTTPStatus.NO_CONTENT:
            self._checked = checked
            return sum(len(batch.ticks) for batch in batches)
        found = unstorable(batches) if status in _REFUSED else None
        if found is not None:
            partition, offset, why = found
            raise UnstorableError(f"the tick at {partition}/{offset} can't be stored: {why}", partition, offset)
        raise StoreError(f"QuestDB at {self._url.http} did not take a write: {status} {_message(answer)}")

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def days(self) -> list[str]:
        """See ``TickReader``; a server without the table says so."""
        lines = self._lines(f"SELECT DISTINCT {_DAY} day FROM {self._table} ORDER BY day")  # noqa: S608 - our own names
        return [line[0][:10] for line in lines]

    def rows(self, day: str, topic: str | None = None) -> Iterator[Sequence[Sequence[Any]]]:
        """See ``TickReader``."""
        start = day_start(date.fromisoformat(day))
        there = {line[0] for line in self._lines(f"SELECT \"column\" FROM table_columns('{self._table}')")}  # noqa: S608
        sql = f"SELECT {selected(there)} FROM {self._table}"  # noqa: S608 - our own names
        sql += f" WHERE timestamp >= {start * 1000} AND timestamp < {(start + DAY_MS) * 1000}"
        if topic is not None:
            quoted = topic.replace("'", "''")
            sql += f" AND kafka_topic = '{quoted}' ORDER BY kafka_partition, kafka_offset"
        some: list[list[Any]] = []
        for line in self._lines(sql):
            some.append([None if text == "" else read(text) for read, text in zip(_READERS, line, strict=True)])
            if len(some) == ROWS:
                yield some
                some = []
        if some:
            yield some

    @contextmanager
    def query(self, sql: str, days: Sequence[str] = ()) -> Iterator[Result]:
        """See ``TickReader``."""
        if days:
            raise UsageError("days are chosen in SQLite's files alone; in QuestDB: WHERE timestamp IN '2026-11-20'")
        sql, what = check_reading(sql)
        # The server's parser has the last word: what stands in the place of a table reads. EXPLAIN runs nothing.
        _refused(self._answer(_WRAPPED.format(what)), _WRAPPED.index("{") - (len(sql) - len(what)), len(sql))
        read = self._answer(sql)
        _refused(read, 0, len(sql))
        rows = read.get("dataset", [])
        if len(rows) > MOST_ROWS:
            raise UsageError(
                f"more than {MOST_ROWS:,} rows: add a LIMIT, or take {self._url.http}/exp?query=… which streams CSV"
            )
        yield Result([column["name"] for column in read.get("columns", [])], iter(rows))

    def _answer(self, sql: str) -> dict[str, Any]:
        """What the server says to a reader's statement, which may be an error."""
        with self._asked("/exec", {"query": sql, "limit": MOST_ROWS + 1}) as answer:
            body = answer.read()
        read = _json(body)
        if not isinstance(read, dict) or not {"dataset", "error", "ddl"} & read.keys():
            raise self._stranger()
        return read

    def _lines(self, sql: str) -> Iterator[list[str]]:
        """The rows of a reader's statement as CSV, while they come."""
        with self._asked("/exp", {"query": sql}) as answer:
            if answer.status != HTTPStatus.OK:
                raise UsageError(f"QuestDB: {_message(answer.read(), 'error')}")
            lines = csv.reader(io.TextIOWrapper(answer, "utf-8", newline=""))
            next(lines, None)
            yield from lines

    @contextmanager
    def _asked(self, path: str, asked: dict[str, Any]) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._url.host, self._url.port, timeout=_QUERY_SECONDS)
        try:
            connection.request("GET", f"{path}?{urlencode(asked)}", headers=dict(self._url.headers))
            answer = connection.getresponse()
            if answer.status in _FORBIDDEN:
                raise self._forbidden()
            yield answer
        except (OSError, http.client.HTTPException, csv.Error) as error:
            raise UsageError(
                f"no QuestDB answers at {self._url.http} ({error}): start it, or name another with --store"
            ) from error
        finally:
            connection.close()

    async def _ready(self, session: aiohttp.ClientSession) -> None:
        identity = await self._same(session)
        columns = await self._sql(session, _COLUMNS.format(self._table))
        types = {name: kind for name, kind, _, _ in columns}
        await self._add(session, ADDED, types)
        self._has_beside = all(column.name in types for column in BESIDE)
        for name, kind in _expected(types).items():
            if types.get(name) != kind:
                found = f"is {types[name]}, not {kind}" if name in types else "is missing"
                raise self._unfit(f"column {name} {found}: rename that table, it will be made anew")
        if [name for name, _, designated, _ in columns if designated] != [_TIMESTAMP]:
            raise self._unfit(f"{_TIMESTAMP} is not its designated timestamp: rename that table, it will be made anew")
        if {name for name, _, _, key in columns if key} != {_TIMESTAMP, *KEY}:
            keys = ", ".join((_TIMESTAMP, *KEY))
            raise self._unfit(f"it does not deduplicate: ALTER TABLE {self._table} DEDUP ENABLE UPSERT KEYS({keys})")
        self.identity = identity
        suspended = await self._sql(session, _SUSPENDED.format(self._table))
        if suspended == [[True]]:
            raise StoreError(
                f"QuestDB at {self._url.http} has suspended table {self._table} (a full disk?): mend what its log "
                f"names, then ALTER TABLE {self._table} RESUME WAL"
            )
        self._checked = time.monotonic()

    async def _add(self, session: aiohttp.ClientSession, columns: Sequence[Column], there: dict[str, str]) -> None:
        """Add the columns that the table lacks; ``there`` are the types of those that it has."""
        for column in columns:
            if column.name not in there:
                add = f"ALTER TABLE {self._table} ADD COLUMN IF NOT EXISTS {column.name} {column.questdb}"
                await self._sql(session, add)
                there[column.name] = column.questdb

    async def _same(self, session: aiohttp.ClientSession) -> int:
        """The table's id; it is made at first. Later on, what is written must go where all before it went.

        A table that vanished took its ticks along, and their offsets are committed: whoever makes it again has to know.
        """
        if self.identity is None:
            await self._sql(session, _ddl(self._table))
        found = await self._sql(session, _ID.format(self._table))
        known = self.identity
        if known is not None and found != [[known]]:
            what = "was dropped, and another made" if found else "has vanished"
            raise StoreError(
                f"table {self._table} in QuestDB at {self._url.http} {what} while it was written: bring it back (RENAME"
                " TABLE, a backup), or restart the worker, which goes on in a new one; `ashare store refill --day"
                " YYYY-MM-DD` writes a lost day again, from Kafka or the archive"
            )
        if not found:
            raise StoreError(f"QuestDB at {self._url.http} does not show table {self._table} yet")
        made: int = found[0][0]
        return made

    def _unfit(self, why: str) -> UsageError:
        return UsageError(f"table {self._table} in QuestDB at {self._url.http}: {why}")

    def _forbidden(self) -> UsageError:
        what = "refuses this user and password" if self._url.user else f"wants a password: {PASSWORD}"
        return UsageError(f"QuestDB at {self._url.http} {what}")

    def _stranger(self) -> UsageError:
        return UsageError(f"what answers at {self._url.http} is not QuestDB's HTTP port")

    async def _sql(self, session: aiohttp.ClientSession, query: str) -> list[list[Any]]:
        """The rows of a query, none for a statement."""
        status, answer = await self._request(session, "GET", "/exec", {"query": query}, None)
        read = _json(answer)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise StoreError(f"QuestDB at {self._url.http}: {status} {_message(answer)}")
        if status in _FORBIDDEN:
            raise self._forbidden()
        if not isinstance(read, dict) or not {"ddl", "dataset", "error"} & read.keys():
            raise self._stranger()
        if "error" in read:
            # Our own statements are right: what the server does not take now, busy or short of room, it may take later.
            raise StoreError(f"QuestDB at {self._url.http} refused {query!r}: {read['error']}")
        rows: list[list[Any]] = read.get("dataset", [])
        return rows

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, query: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        data = io.BytesIO(body) if body is not None and len(body) > _BODY_AT_ONCE else body
        try:
            # No redirect is followed: the password is for this server alone.
            async with session.request(
                method, self._url.http + path, params=query, data=data, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except TimeoutError as error:
            raise StoreError(f"QuestDB at {self._url.http} did not answer within {self._timeout.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"QuestDB at {self._url.http} can't be reached: {error}") from error


def _expected(there: Collection[str]) -> dict[str, str]:
    """Name and type of each column that a table must have, which has these; it may lack those of ``BESIDE``."""
    needed = {column.name: column.questdb for column in COLUMNS if column in PLAIN or column.name in there}
    return needed | {_TIMESTAMP: "TIMESTAMP"}


def _ddl(table: str) -> str:
    columns = [f"{_TIMESTAMP} TIMESTAMP"]
    for column in PLAIN:
        capacity = f" CAPACITY {_SYMBOLS[column.name]}" if column.name in _SYMBOLS else ""
        columns.append(f"{column.name} {column.questdb}{capacity}")
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}) TIMESTAMP({_TIMESTAMP}) PARTITION BY DAY WAL "
        f"DEDUP UPSERT KEYS({', '.join((_TIMESTAMP, *KEY))})"
    )


def _json(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _message(answer: bytes, name: str = "message") -> str:
    """What QuestDB says in an error, on one line."""
    read = _json(answer)
    text = read.get(name) if isinstance(read, dict) else None
    return " ".join(str(text or answer[:200].decode("utf-8", "replace")).split())


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

"""The server store: QuestDB 9 or later, written by ILP over HTTP into one deduplicating table, partitioned by day."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from schemas import UsageError
from stores.base import StoreError, TickBatch, UnstorableError
from stores.columns import ADDED, COLUMNS, KEY, TABLE, unstorable
from stores.ilp import encoder
from stores.urls import PASSWORD, QuestDbUrl

_TIMESTAMP = "timestamp"  # dedup needs it in the key; being the tick's `time`, it leaves the key the tick's own
_CHECK_EVERY = 30.0  # s; a server may make a dropped table again for the next ILP line, without deduplication
_NEVER = float("-inf")
_ID = "SELECT id FROM tables() WHERE table_name = '{}'"
_COLUMNS = "SELECT \"column\", type, designated, upsertKey FROM table_columns('{}')"
_SUSPENDED = "SELECT suspended FROM wal_tables() WHERE name = '{}'"
_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR}  # the latter for a time beyond the year 9999
_SYMBOLS = {"code": 8192}  # distinct values that QuestDB prepares for; it grows beyond, at a price


class QuestDbStore:
    """One table on a QuestDB server. A batch is one request and one transaction of the server.

    QuestDB can't tell how many rows were new: ``write`` counts every tick it took. With its default commit mode it
    flushes nothing to disk: a kill of the server loses nothing, a power loss may lose the last ticks, which Kafka still
    has.
    """

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
        for batch in batches:
            body.append(self._encode(batch))
            await asyncio.sleep(0)  # a batch of 5,000 takes 10 ms to encode
        if not any(body):
            return 0
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

    async def _ready(self, session: aiohttp.ClientSession) -> None:
        await self._same(session)
        columns = await self._sql(session, _COLUMNS.format(self._table))
        types = {name: kind for name, kind, _, _ in columns}
        for column in ADDED:
            if column.name not in types:
                await self._sql(session, f"ALTER TABLE {self._table} ADD COLUMN {column.name} {column.questdb}")
                types[column.name] = column.questdb
        for name, kind in _expected().items():
            if types.get(name) != kind:
                found = f"is {types[name]}, not {kind}" if name in types else "is missing"
                raise self._unfit(f"column {name} {found}: rename that table, it will be made anew")
        if [name for name, _, designated, _ in columns if designated] != [_TIMESTAMP]:
            raise self._unfit(f"{_TIMESTAMP} is not its designated timestamp: rename that table, it will be made anew")
        if {name for name, _, _, key in columns if key} != {_TIMESTAMP, *KEY}:
            keys = ", ".join((_TIMESTAMP, *KEY))
            raise self._unfit(f"it does not deduplicate: ALTER TABLE {self._table} DEDUP ENABLE UPSERT KEYS({keys})")
        suspended = await self._sql(session, _SUSPENDED.format(self._table))
        if suspended == [[True]]:
            raise StoreError(
                f"QuestDB at {self._url.http} has suspended table {self._table} (a full disk?): mend what its log "
                f"names, then ALTER TABLE {self._table} RESUME WAL"
            )
        self._checked = time.monotonic()

    async def _same(self, session: aiohttp.ClientSession) -> None:
        """Make the table at first. Later on, what is written must go where all before it went.

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
                f" TABLE, a backup), or restart the worker, which goes on in a new one; `ashare replay` reads again"
                " what the log still has"
            )
        if not found:
            raise StoreError(f"QuestDB at {self._url.http} does not show table {self._table} yet")
        self.identity = found[0][0]

    def _unfit(self, why: str) -> UsageError:
        return UsageError(f"table {self._table} in QuestDB at {self._url.http}: {why}")

    async def _sql(self, session: aiohttp.ClientSession, query: str) -> list[list[Any]]:
        """The rows of a query, none for a statement."""
        status, answer = await self._request(session, "GET", "/exec", {"query": query}, None)
        try:
            read = orjson.loads(answer)
        except orjson.JSONDecodeError:
            read = None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise StoreError(f"QuestDB at {self._url.http}: {status} {_message(answer)}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise UsageError(
                f"QuestDB at {self._url.http} "
                + ("refuses this user and password" if self._url.user else f"wants a password: {PASSWORD}")
            )
        if not isinstance(read, dict) or not {"ddl", "dataset", "error"} & read.keys():
            raise UsageError(f"what answers at {self._url.http} is not QuestDB's HTTP port")
        if "error" in read:
            raise UsageError(f"QuestDB at {self._url.http} refused {query!r}: {read['error']}")
        rows: list[list[Any]] = read.get("dataset", [])
        return rows

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, query: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            # No redirect is followed: the password is for this server alone.
            async with session.request(
                method, self._url.http + path, params=query, data=body, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except TimeoutError as error:
            raise StoreError(f"QuestDB at {self._url.http} did not answer within {self._timeout.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"QuestDB at {self._url.http} can't be reached: {error}") from error


def _expected() -> dict[str, str]:
    return {column.name: column.questdb for column in COLUMNS} | {_TIMESTAMP: "TIMESTAMP"}


def _ddl(table: str) -> str:
    columns = [f"{_TIMESTAMP} TIMESTAMP"]
    for column in COLUMNS:
        capacity = f" CAPACITY {_SYMBOLS[column.name]}" if column.name in _SYMBOLS else ""
        columns.append(f"{column.name} {column.questdb}{capacity}")
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}) TIMESTAMP({_TIMESTAMP}) PARTITION BY DAY WAL "
        f"DEDUP UPSERT KEYS({', '.join((_TIMESTAMP, *KEY))})"
    )


def _message(answer: bytes) -> str:
    """What QuestDB says in an error, on one line."""
    try:
        text = str(orjson.loads(answer)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = answer[:200].decode("utf-8", "replace")
    return " ".join(text.split())

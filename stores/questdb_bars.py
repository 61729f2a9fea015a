"""Bars in QuestDB: one deduplicating table ``bars``, partitioned by day, written and read over HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from contextlib import closing
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import orjson

from schemas import Bar, UsageError
from stores.bars import COLUMNS, QUOTED, TABLE, bar_of, latest, ordered, row
from stores.base import StoreError
from stores.ilp import symbol
from stores.urls import QuestDbUrl

_TIMESTAMP = "timestamp"
_SECONDS = 20.0
_SYMBOLS = {column.name for column in COLUMNS if column.questdb == "SYMBOL"}
_LONGS = {column.name for column in COLUMNS if column.questdb == "LONG"}


class QuestDbBars:
    """One table on a QuestDB server. A write is one request and one transaction of the server."""

    def __init__(self, url: QuestDbUrl, *, table: str = TABLE) -> None:
        """Nothing is sent before ``open``."""
        self._url = url
        self._table = table
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """As ``BarStore.open``."""
        if self._session is not None:
            return
        session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_SECONDS, connect=5.0), headers=self._url.headers
        )
        try:
            await self._make(session)
        except BaseException:
            await session.close()
            raise
        self._session = session

    async def write(self, bars: Sequence[Bar]) -> None:
        """As ``BarStore.write``."""
        session = self._session
        if session is None:
            raise StoreError(f"the store of bars at {self._url.http} is not open")
        body = "".join(self._line(bar) for bar in latest(bars)).encode()
        if not body:
            return
        status, answer = await self._request(session, "POST", "/write", {"precision": "ms"}, body)
        if status != HTTPStatus.NO_CONTENT:
            what = answer[:300].decode("utf-8", "replace")
            raise StoreError(f"QuestDB at {self._url.http} did not take bars: {status} {what}")

    async def close(self) -> None:
        """As ``BarStore.close``."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def days(self) -> list[str]:
        """As ``BarStore.days``."""
        return sorted(day for (day,) in self._asked(f"SELECT DISTINCT session FROM {self._table}"))  # noqa: S608 - our name

    def bars(self, code: str, day: str) -> list[Bar]:
        """As ``BarStore.bars``."""
        which = " AND ".join(
            f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in (("code", code), ("session", day))
        )
        rows = self._asked(f"SELECT {QUOTED} FROM {self._table} WHERE {which}")  # noqa: S608 - our names, and quoted
        try:
            return ordered([bar_of(values) for values in rows])
        except msgspec.MsgspecError as error:
            raise UsageError(f"QuestDB at {self._url.http} has a bar that can't be read: {error}") from error

    async def _make(self, session: aiohttp.ClientSession) -> None:
        status, answer = await self._request(session, "GET", "/exec", {"query": _ddl(self._table)}, None)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise UsageError(f"QuestDB at {self._url.http} refuses this user and password")
        if status != HTTPStatus.OK:
            raise StoreError(f"QuestDB at {self._url.http}: {status} {answer[:200].decode('utf-8', 'replace')}")

    def _line(self, bar: Bar) -> str:
        values = dict(zip((column.name for column in COLUMNS), row(bar), strict=True))
        symbols = "".join(f",{name}={symbol(values[name])}" for name in values if name in _SYMBOLS and values[name])
        fields = ",".join(
            f"{name}={_field(name, value)}"
            for name, value in values.items()
            if name not in _SYMBOLS and value is not None
        )
        return f"{self._table}{symbols} {fields} {bar.start}\n"

    def _asked(self, sql: str) -> list[list[Any]]:
        connection = http.client.HTTPConnection(self._url.host, self._url.port, timeout=_SECONDS)
        try:
            with closing(connection):
                connection.request("GET", f"/exec?{urlencode({'query': sql})}", headers=dict(self._url.headers))
                read = orjson.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            raise UsageError(f"no QuestDB answers at {self._url.http} ({error})") from error
        if "dataset" not in read:
            if "does not exist" in str(read.get("error")):
                return []  # nothing was stored yet
            raise UsageError(f"QuestDB: {read.get('error')}")
        found: list[list[Any]] = read["dataset"]
        return found

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, query: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            async with session.request(
                method, self._url.http + path, params=query, data=body, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise StoreError(f"QuestDB at {self._url.http} can't be reached: {error!r}") from error


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _field(name: str, value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value}i" if name in _LONGS else repr(float(value))


def _ddl(table: str) -> str:
    columns = [f"{_TIMESTAMP} TIMESTAMP", *(f'"{column.name}" {column.questdb}' for column in COLUMNS)]
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}) TIMESTAMP({_TIMESTAMP}) PARTITION BY DAY WAL "
        f"DEDUP UPSERT KEYS({_TIMESTAMP}, code, auction)"
    )

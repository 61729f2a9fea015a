"""The worker's HTTP: snapshots from memory, routed to the worker that owns the code; health and status."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, cast

import aiohttp
import orjson
from aiohttp import web

from jobs.snapshots import SnapshotRow
from market.codes import UnknownCode, instrument
from processors.app import StreamApp
from processors.transport.tables import StateTable
from schemas import encode
from schemas.topics import SNAPSHOTS, partition_of, topics

log = logging.getLogger(__name__)

HOP = "X-Ashare-Hop"
"""Set on a request from another worker: answer from memory or not at all, never route again."""
_ROUTE_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
MAX_CODES = 10_000
_PART = 256


class NotOwnedError(Exception):
    """Nobody is known to own a code's partition: the group is rebalancing or recovering."""


def answer(status: int, body: Any, **headers: str) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)


def unavailable(why: str) -> web.Response:
    """The answer while rows can't be served, with when to ask again."""
    return answer(503, {"error": "unavailable", "message": why}, **{"Retry-After": "1"})


class Routes:
    """The HTTP interface of one worker."""

    def __init__(
        self,
        app: StreamApp,
        table: StateTable | None,
        health: Callable[[], dict[str, Any]],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        """Routes over the snapshot table, where the worker has one."""
        self._app = app
        self._table = table
        self._health = health
        self._status = status
        self._session: aiohttp.ClientSession | None = None

    def install(self, application: web.Application) -> None:
        """Add the routes to the worker's web server."""
        application.router.add_get("/health", self.get_health)
        application.router.add_get("/status", self.get_status)
        application.router.add_get("/snapshots", self.get_many)
        application.router.add_get("/snapshots/{code}", self.get_one)
        application.on_cleanup.append(self._close)

    async def get_health(self, _request: web.Request) -> web.Response:
        """200 while the worker does its work, 503 with the reasons while it does not."""
        health = self._health()
        return answer(200 if health["status"] == "ok" else 503, health)

    async def get_status(self, _request: web.Request) -> web.Response:
        """The worker's counters."""
        return answer(200, self._status())

    async def get_one(self, request: web.Request) -> web.StreamResponse:
        """One code's snapshot: 400 malformed, 404 unknown, 503 not recovered yet."""
        code = request.match_info["code"]
        found = await self._collect([code], routed=HOP in request.headers)
        if isinstance(found, web.Response):
            return found
        if not found:
            return answer(404, {"error": "unknown_code", "message": f"no tick of {code} was seen", "code": code})
        return web.Response(body=found[0], content_type="application/json")

    async def get_many(self, request: web.Request) -> web.StreamResponse:
        """The snapshots of ``?codes=a,b`` (unknown ones left out), or of all codes, streamed."""
        routed = HOP in request.headers
        if "codes" not in request.query:
            return await self._stream_all(request, routed=routed)
        codes = list(dict.fromkeys(filter(None, (code.strip() for code in request.query["codes"].split(",")))))
        if not codes or len(codes) > MAX_CODES:
            return answer(
                400, {"error": "bad_request", "message": f"codes: give 1 to {MAX_CODES} codes, separated by commas"}
            )
        found = await self._collect(codes, routed=routed)
        if isinstance(found, web.Response):
            return found
        return web.Response(body=b'{"snapshots":[' + b",".join(found) + b"]}", content_type="application/json")

    async def _collect(self, codes: list[str], *, routed: bool) -> list[bytes] | web.Response:
        """The records of codes, in their order, from this worker and the others; or the answer that says why not."""
        if self._table is None:
            return answer(404, {"error": "no_snapshots", "message": "this worker runs without the snapshots agent"})
        for code in codes:
            try:
                instrument(code)
            except UnknownCode as error:
                return answer(400, {"error": "malformed_code", "message": str(error), "code": code})
        try:
            return await self._gather(codes, routed=routed)
        except NotOwnedError as error:
            return unavailable(str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            return unavailable(f"the worker that owns the code does not answer: {error!r}")

    async def _gather(self, codes: list[str], *, routed: bool) -> list[bytes]:
        assert self._table is not None
        mine, elsewhere = self._mine(), defaultdict(list)
        found: dict[str, bytes] = {}
        for code in codes:
            partition = partition_of(code, topics()[SNAPSHOTS].partitions)
            if partition in mine:
                row = self._table.partitions_held.get(partition, {}).get(code)
                if row is not None and row.ticks:
                    found[code] = encode(row.record())
            elif routed:
                raise NotOwnedError(f"partition {partition} has just moved")
            else:
                elsewhere[self._owner(partition)].append(code)
        await asyncio.gather(*(self._ask(url, wanted, found) for url, wanted in elsewhere.items()))
        return [found[code] for code in codes if code in found]

    def _mine(self) -> set[int]:
        """Partitions whose rows are recovered and this worker's."""
        app = self._app
        if app.rebalancing or not app.tables.actives_ready:
            raise NotOwnedError("the worker is recovering its table")
        return {tp.partition for tp in app.assignor.assigned_actives() if tp.topic == SNAPSHOTS}

    def _owner(self, partition: int) -> str:
        for url, held in cast("Any", self._app.assignor).changelog_distribution.items():
            if partition in held.get(SNAPSHOTS, ()):
                return str(url)
        raise NotOwnedError(f"no worker owns partition {partition}")

    async def _ask(self, url: str, codes: list[str], found: dict[str, bytes]) -> None:
        session = self._client()
        async with session.get(
            f"{url.rstrip('/')}/snapshots",
            params={"codes": ",".join(codes)},
            headers={HOP: "1"},
            timeout=_ROUTE_TIMEOUT,
        ) as response:
            if response.status != 200:
                raise NotOwnedError(f"the worker at {url} answers {response.status}")
            for snapshot in orjson.loads(await response.read())["snapshots"]:
                found[snapshot["code"]] = orjson.dumps(snapshot)

    async def _stream_all(self, request: web.Request, *, routed: bool) -> web.StreamResponse:
        if self._table is None:
            return answer(404, {"error": "no_snapshots", "message": "this worker runs without the snapshots agent"})
        try:
            mine = self._mine()
            others = [] if routed else self._others(mine)
        except NotOwnedError as error:
            return unavailable(str(error))
        # Ask the others before the first byte: after it, an error could only be told by cutting the answer short.
        try:
            parts = await asyncio.gather(*(self._ask_all(url) for url in others))
        except (aiohttp.ClientError, TimeoutError, NotOwnedError) as error:
            return unavailable(f"another worker does not answer: {error!r}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"snapshots":[')
        rows = [
            row
            for partition in sorted(mine)
            for row in self._table.partitions_held.get(partition, {}).values()
            if row.ticks
        ]
        first = True
        for part in [*_encoded(rows), *parts]:
            if part:
                await response.write(part if first else b"," + part)
                first = False
        await response.write(b"]}")
        await response.write_eof()
        return response

    def _others(self, mine: set[int]) -> list[str]:
        count = topics()[SNAPSHOTS].partitions
        owners = {self._owner(partition) for partition in range(count) if partition not in mine}
        return sorted(owners)

    async def _ask_all(self, url: str) -> bytes:
        async with self._client().get(
            f"{url.rstrip('/')}/snapshots", headers={HOP: "1"}, timeout=_ROUTE_TIMEOUT
        ) as response:
            if response.status != 200:
                raise NotOwnedError(f"the worker at {url} answers {response.status}")
            return (await response.read())[len(b'{"snapshots":[') : -len(b"]}")]

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _close(self, _application: web.Application) -> None:
        if self._session is not None:
            await self._session.close()


def _encoded(rows: list[SnapshotRow]) -> Iterable[bytes]:
    """Rows as comma-joined JSON, a few hundred at a time, so that memory stays bounded and the loop is not held."""
    for start in range(0, len(rows), _PART):
        yield b",".join(encode(row.record()) for row in rows[start : start + _PART])

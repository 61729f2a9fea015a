"""The gateway's plain HTTP: the same rows, price changes and bars, for programs and curl."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from broker.errors import BrokerError
from broker.exposition import Exposition
from broker.http_guard import Rules, answer, guard, host_names, live, refusal
from consumers.gateway import asyncapi
from consumers.gateway.groups import Hub
from consumers.gateway.history import History
from consumers.gateway.openapi import document
from consumers.gateway.rows import Row, named
from consumers.gateway.source import Change, Source
from consumers.gateway.subscription import read_boards, read_codes, read_fields
from consumers.gateway.tokens import ALL, Rights, Tokens
from consumers.gateway.watch import Watch
from market.codes import UnknownCode
from market.kinds import resolve
from schemas import UsageError

_encode = msgspec.json.Encoder().encode

MAX_LIMIT = 5_000
_WAITING = 1_000
"""Price changes that may wait for one reader of the event stream."""
_HISTORY_SECONDS = 10.0
_KEEP_ALIVE = 15.0
_NO_PAGE = (
    "The page is not built: run `make page`, then start the gateway again.\n"
    "The data is at /v1/snapshots and /v1/stream.\n"
)

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Answer = Callable[[web.Request, Rights], Awaitable[web.StreamResponse]]


class Routes:
    """All of it but the WebSocket."""

    def __init__(
        self,
        hub: Hub[Any],
        source: Source,
        watch: Watch,
        exposition: Exposition,
        *,
        tokens: Tokens | None,
        hosts: Iterable[str],
        history: History,
        page: Path | None,
    ) -> None:
        """Over what is read elsewhere.

        Args:
            tokens: those that may ask; ``None``: everybody.
            hosts: names of this server, besides addresses and loopback.
            page: directory of the built page.
        """
        self._hub, self._source, self._watch, self._exposition = hub, source, watch, exposition
        self._tokens, self._page = tokens, page
        self._history = history
        self._rules = Rules(host_names(hosts), addresses=True, setting="--hosts NAME (ASHARE_GATEWAY_HOSTS)")
        self._listeners: set[asyncio.Queue[list[Change] | None]] = set()

    def install(self, application: web.Application, stream: Callable[[web.Request], Awaitable[Any]]) -> None:
        """Add the routes."""
        application.middlewares.append(guard(self._rules))
        router = application.router
        router.add_get("/v1/stream", stream)
        for path, handler in self._paths().items():
            router.add_get(path, self._entitled(handler))
        router.add_get("/health", self.get_health)
        router.add_get("/live", live)
        router.add_get("/ready", self.get_ready)
        router.add_get("/openapi.json", self.get_document)
        router.add_get("/asyncapi.json", self.get_stream_document)
        if self._page is not None and (self._page / "index.html").is_file():
            router.add_get("/", self.get_page)
            router.add_get("/{file:(?!v1/).+}", self.get_page)
        else:
            router.add_get("/", self.get_no_page)

    def _paths(self) -> dict[str, Answer]:
        return {
            "/v1/snapshots": self.get_snapshots,
            "/v1/snapshots/{code}": self.get_snapshot,
            "/v1/changes": self.get_changes,
            "/v1/changes/stream": self.get_change_stream,
            "/v1/ticks/{code}": self.get_ticks,
            "/v1/bars/{code}": self.get_bars,
            "/v1/events": self.get_events,
            "/v1/session": self.get_session,
            "/v1/status": self.get_status,
            "/metrics": self.get_metrics,
        }

    def _entitled(self, handler: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            rights: Rights | None = ALL
            if self._tokens is not None:
                kind, _, given = request.headers.get("Authorization", "").partition(" ")
                rights = self._tokens.of(given.strip()) if kind.lower() == "bearer" else None
            if rights is None:
                message = "this needs a token: Authorization: Bearer TOKEN"
                return refusal(401, "token", message, **{"WWW-Authenticate": "Bearer"})
            try:
                return await handler(request, rights)
            except UsageError as error:
                return refusal(400, "bad_request", str(error))
            except _NotThereError as error:
                return refusal(404, "unknown_code", f"no tick of {error} was seen")

        return handle

    def changed(self, changes: list[Change]) -> None:
        """Pass price changes on to those who listen; one that does not keep up is cut off."""
        for queue in list(self._listeners):
            if queue.qsize() >= _WAITING:
                self._listeners.discard(queue)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(changes)

    async def get_health(self, _request: web.Request) -> web.Response:
        """200 while the gateway has what it serves, 503 with the reasons while it does not."""
        problems = self._watch.status.get("problems", [])
        body = {"status": "failing" if problems else "ok", "problems": problems}
        return answer(503 if problems else 200, body)

    async def get_ready(self, _request: web.Request) -> web.Response:
        """200 once the table was read; a feed that is away is shown, and keeps nobody from asking."""
        loaded = self._source.loaded.is_set()
        return answer(200 if loaded else 503, {"status": "ok" if loaded else "the table is being read"})

    async def get_document(self, _request: web.Request) -> web.Response:
        """This HTTP as an OpenAPI document."""
        return answer(200, document())

    async def get_stream_document(self, _request: web.Request) -> web.Response:
        """The stream as an AsyncAPI document."""
        return answer(200, asyncapi.document())

    async def get_page(self, request: web.Request) -> web.StreamResponse:
        """A file of the page."""
        assert self._page is not None
        root = self._page.resolve()
        path = (root / request.match_info.get("file", "index.html")).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return refusal(404, "not_found", "there is no such path: /openapi.json lists them")
        return web.FileResponse(path, headers=_PAGE_HEADERS)

    async def get_no_page(self, _request: web.Request) -> web.Response:
        """How to have a page."""
        return web.Response(text=_NO_PAGE)

    async def get_status(self, _request: web.Request, _rights: Rights) -> web.Response:
        """The newest status."""
        return answer(200, self._watch.status)

    async def get_metrics(self, request: web.Request, _rights: Rights) -> web.Response:
        """Prometheus' text form."""
        return await self._exposition.answer(request)

    async def get_snapshots(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """Rows of some codes or boards, or all."""
        codes = read_codes(request.query.get("codes", "*"))
        boards, fields = read_boards(request.query.get("boards")), read_fields(request.query.get("fields"))
        if not self._source.loaded.is_set():
            return refusal(503, "unavailable", "the table is being read", **{"Retry-After": "1"})
        table = self._hub.table
        found: Iterable[Row] = table.values() if codes is None else (table[code] for code in codes if code in table)
        rows = [
            row
            for row in found
            if (boards is None or row.board in boards) and rights.allows(row.code, row.board)
        ]  # fmt: skip
        body = b'{"snapshots":[' + b",".join([row.fragment(fields) for row in rows]) + b"]}"
        return web.Response(body=body, content_type="application/json")

    async def get_snapshot(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """One row."""
        code = _code(request)
        fields = read_fields(request.query.get("fields"))
        if not self._source.loaded.is_set():
            return refusal(503, "unavailable", "the table is being read", **{"Retry-After": "1"})
        row = self._hub.table.get(code)
        if row is None or not rights.allows(row.code, row.board):
            raise _NotThereError(code)
        return web.Response(body=row.fragment(fields), content_type="application/json")

    async def get_changes(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """Price changes since a time, the oldest first."""
        since, limit = _number(request, "since", 0, 1 << 53), _number(request, "limit", MAX_LIMIT, MAX_LIMIT)
        codes = read_codes(request.query.get("codes", "*"))
        kept = self._source.changes
        complete = len(kept) < (kept.maxlen or 0) or kept[0].received < since * 1000
        found = [
            change.body
            for change in list(kept)
            if change.received >= since * 1000
            and (codes is None or change.code in codes)
            and rights.allows(change.code, named(change.code)[0])
        ]
        complete = complete and len(found) <= limit
        body = b'{"changes":[' + b",".join(found[-limit:]) + b'],"complete":%s}' % (b"true" if complete else b"false")
        return web.Response(body=body, content_type="application/json")

    async def get_change_stream(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """Price changes as server-sent events."""
        codes = read_codes(request.query.get("codes", "*"))
        least = _amount(request, "min_change")
        queue: asyncio.Queue[list[Change] | None] = asyncio.Queue()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        self._listeners.add(queue)
        try:
            await response.write(b"retry: 1000\n\n")
            while True:
                some: list[Change] | None = []
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_KEEP_ALIVE):
                        some = await queue.get()
                if some is None:
                    await response.write(b": cut off, since it was not read fast enough\n\n")
                    break
                events = [
                    b"data: " + change.body + b"\n\n"
                    for change in some
                    if change.size >= least
                    and (codes is None or change.code in codes)
                    and rights.allows(change.code, named(change.code)[0])
                ]
                await response.write(b"".join(events) if events or some else b": nothing yet\n\n")
        finally:
            self._listeners.discard(queue)
        return response

    async def get_events(self, request: web.Request, _rights: Rights) -> web.StreamResponse:
        """The last feed events, the oldest first."""
        limit = _number(request, "limit", 200, 1_000)
        body = b'{"events":[' + b",".join(list(self._source.events)[-limit:]) + b"]}"
        return web.Response(body=body, content_type="application/json")

    async def get_ticks(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """The last ticks of a code, from the log."""
        code, limit = self._allowed(request, rights), _number(request, "limit", 100, MAX_LIMIT)
        return await _found("ticks", self._history.ticks(code, limit) if limit else _nothing())

    async def get_bars(self, request: web.Request, rights: Rights) -> web.StreamResponse:
        """The bars of a code's latest session."""
        code, minutes = self._allowed(request, rights), _number(request, "minutes", 1, 240)
        if not minutes:
            raise UsageError("minutes: a whole number from 1 to 240")
        return await _found("bars", self._history.bars(code, minutes))

    async def get_session(self, _request: web.Request, _rights: Rights) -> web.Response:
        """Where the market's day stands."""
        return answer(200, self._watch.status.get("session", {}))

    @staticmethod
    def _allowed(request: web.Request, rights: Rights) -> str:
        code = _code(request)
        if not rights.allows(code, named(code)[0]):
            raise _NotThereError(code)
        return code

    def stop(self) -> None:
        """End the event streams: the gateway stops."""
        for queue in list(self._listeners):
            queue.put_nowait(None)


class _NotThereError(Exception):
    """A code of which there is nothing for this client."""


async def _nothing() -> list[Any]:
    return []


async def _found(name: str, reading: Awaitable[list[Any]]) -> web.Response:
    """The answer with what is read of the log, or why it can't be read."""
    try:
        async with asyncio.timeout(_HISTORY_SECONDS):
            found = await reading
    except UsageError as error:
        return answer(200, {name: [], "note": str(error)})
    except (BrokerError, KafkaError, OSError, TimeoutError) as error:
        return refusal(503, "unavailable", str(error) or "reading took too long: ask again", **{"Retry-After": "1"})
    return web.Response(body=_encode({name: found}), content_type="application/json")


def _code(request: web.Request) -> str:
    try:
        return resolve(request.match_info["code"])
    except UnknownCode as error:
        raise UsageError(str(error)) from None


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > most:
        raise UsageError(f"{name}: a whole number from 0 to {most}")
    return int(text)


def _amount(request: web.Request, name: str) -> float:
    text = request.query.get(name, "0")
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < 1e9:
        raise UsageError(f"{name}: yuan, as 0.05")
    return amount

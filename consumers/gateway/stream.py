"""``GET /v1/stream``: one client's WebSocket, from the handshake to its close."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from broker.http_guard import refusal, same_origin
from consumers.gateway.connections import Connection, Connections
from consumers.gateway.frames import framed
from consumers.gateway.rows import FIELDS, named
from consumers.gateway.subscription import Subscribe, read
from consumers.gateway.tokens import ALL, NotEntitledError, Rights, Tokens
from market.codes import Board
from schemas import UsageError
from schemas.outside import printable

PROTOCOL = 1
WRONG, NO_TOKEN, NOT_ENTITLED, SLOW = 4000, 4001, 4003, 4008
MESSAGE_BYTES = 64 << 10
SUBSCRIPTIONS = 8
_MESSAGES = 20
"""A second."""
_AUTH_SECONDS = 5.0
_GRACE_SECONDS = 2.0

_encode = msgspec.json.Encoder().encode


class Auth(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="auth"):
    """Who the client is."""

    token: str


class Unsubscribe(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="unsubscribe"):
    """The end of a subscription."""

    id: str = "main"


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Answered with a ``pong``."""


_decode = msgspec.json.Decoder(Auth | Subscribe | Unsubscribe | Ping).decode


class Stream:
    """Serves the stream to all clients."""

    def __init__(
        self, connections: Connections, status: Callable[[], Mapping[str, Any]], tokens: Tokens | None
    ) -> None:
        """Over the connections that are flushed elsewhere.

        Args:
            status: the newest.
            tokens: those that may ask; ``None``: everybody.
        """
        self._connections = connections
        self._status = status
        self._tokens = tokens
        self._sockets: set[web.WebSocketResponse] = set()

    async def stop(self) -> None:
        """Close every connection: the gateway stops."""
        closing = [socket.close(code=1001, message=b"the gateway stops") for socket in self._sockets]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await asyncio.gather(*closing, return_exceptions=True)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The handshake, and then the client's messages until it is gone."""
        origin = request.headers.get("Origin")
        if origin is not None and not same_origin(origin, request.headers.get("Host", "")):
            return refusal(403, "other_origin", "a page of another origin may not do that: use a program")
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=MESSAGE_BYTES, heartbeat=20.0, timeout=_GRACE_SECONDS, autoping=True
        )
        if not socket.can_prepare(request).ok:
            return refusal(426, "not_a_websocket", "this is a WebSocket: docs/gateway.md", Upgrade="websocket")
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        connection = Connection(transport)
        self._sockets.add(socket)
        try:
            rights = await self._rights(request, socket)
            if rights is not None:
                await self._serve(socket, connection, rights)
        finally:
            self._sockets.discard(socket)
            self._connections.remove(connection)
        return socket

    async def _rights(self, request: web.Request, socket: web.WebSocketResponse) -> Rights | None:
        """What the client may have; ``None`` when it has no token, and is closed."""
        if self._tokens is None:
            return ALL
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = ""
            with contextlib.suppress(TimeoutError, msgspec.MsgspecError, TypeError, ValueError):
                async with asyncio.timeout(_AUTH_SECONDS):
                    message = _decode(await socket.receive_str())
                    given = message.token if isinstance(message, Auth) else ""
        rights = self._tokens.of(given.strip()) if given else None
        if rights is None:
            await socket.close(code=NO_TOKEN, message=b"send a known token first")
        return rights

    async def _serve(self, socket: web.WebSocketResponse, connection: Connection, rights: Rights) -> None:
        connection.write(framed(self._hello(rights)))
        self._connections.add(connection)
        reading = asyncio.create_task(self._read(socket, connection, rights))
        slow = asyncio.create_task(connection.closing.wait())
        try:
            await asyncio.wait({reading, slow}, return_when=asyncio.FIRST_COMPLETED)
            if slow.done():
                self._connections.remove(connection)
                # What waits for it would be before the reason: nothing can be said to a client that reads nothing.
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_GRACE_SECONDS):
                        await socket.close(code=SLOW, message=b"the client does not read")
                connection.transport.abort()
        finally:
            for task in (reading, slow):
                task.cancel()
            await asyncio.gather(reading, slow, return_exceptions=True)

    def _hello(self, rights: Rights) -> bytes:
        return _encode(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "server": "ashare-gateway",
                "time": time.time_ns() // 1_000_000,
                "session": self._status().get("session"),
                "boards": list(Board.__members__),
                "fields": FIELDS,
                "limits": {
                    "max_hz": rights.max_hz,
                    "subscriptions": SUBSCRIPTIONS,
                    "message_bytes": MESSAGE_BYTES,
                },
            }
        )

    async def _read(self, socket: web.WebSocketResponse, connection: Connection, rights: Rights) -> None:
        """Take the client's messages until it is gone, or is closed for what it sent."""
        allowed, at = float(_MESSAGES), time.monotonic()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                await socket.close(code=WRONG, message=b"messages are JSON objects, as text")
                return
            now = time.monotonic()
            allowed = min(float(_MESSAGES), allowed + (now - at) * _MESSAGES) - 1.0
            at = now
            if allowed < 0:
                await socket.close(code=WRONG, message=b"20 messages a second at most")
                return
            try:
                asked = _decode(message.data)
            except msgspec.ValidationError as error:
                connection.write(_error("bad_message", printable(str(error))))
                continue
            except (msgspec.MsgspecError, RecursionError, UnicodeError):
                await socket.close(code=WRONG, message=b"messages are JSON objects, as text")
                return
            try:
                self._do(asked, connection, rights)
            except NotEntitledError as error:
                connection.write(_error("not_entitled", str(error)))
                await socket.close(code=NOT_ENTITLED, message=b"the token does not allow it")
                return

    def _do(self, asked: Any, connection: Connection, rights: Rights) -> None:
        match asked:
            case Subscribe():
                try:
                    wanted = read(asked, max_hz=rights.max_hz)
                except UsageError as error:
                    connection.write(_error("bad_subscription", str(error)))
                    return
                rights.check(wanted, {code: named(code)[0] for code in wanted.codes or ()})
                if wanted.id not in connection.groups and len(connection.groups) >= SUBSCRIPTIONS:
                    connection.write(_error("too_many", f"a connection has {SUBSCRIPTIONS} subscriptions at most"))
                    return
                self._connections.subscribe(connection, wanted, snapshot=asked.snapshot)
            case Unsubscribe():
                if not self._connections.unsubscribe(connection, asked.id):
                    connection.write(_error("unknown_id", "there is no subscription of this id"))
            case Ping():
                connection.write(framed(_encode({"type": "pong", "time": time.time_ns() // 1_000_000})))
            case Auth():
                pass  # it has the rights of the token that it came with


def _error(code: str, message: str) -> bytes:
    return framed(_encode({"type": "error", "code": code, "message": message}))

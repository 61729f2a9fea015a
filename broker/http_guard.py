"""What every HTTP server of ours does against strangers: who may ask, how much, and how a refusal reads.

A page in a user's browser can send requests to any address that the machine reaches, and read the answers where a name
of its own leads there (DNS rebinding). So a request names a host that is ours; one that changes something comes from no
other origin, and has the token where there is one. Connections are bounded and cut when idle, and a body comes as it
is, not compressed.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import hdrs, web

from schemas.secrets import masked_in

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""After which a connection that asks nothing is cut; a request that does not arrive whole, as well."""
MAX_CONNECTIONS = 256
"""Beyond it, the connection that was idle longest makes room; where none is idle, the new one is cut."""
MAX_LINE = 128 << 10
"""Bytes of a request line: 10,000 codes fit."""
BODY_SECONDS = 10.0
_LINGER_SECONDS = 1.0
FREE = frozenset({"/health", "/live", "/ready"})
"""Answered without the token: probes of containers and load balancers have none, and it tells of no stock."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Rules:
    """Who may ask.

    Attributes:
        hosts: names that a request may be addressed to, besides this machine's loopback; in lower case.
        addresses: any IP address may be named as well: no page can have one for its own name.
        token: what changes need, as ``Authorization: Bearer TOKEN``; ``None``: nothing.
        reads: whether everything but ``FREE`` needs it. No page knows it, so that the host is then no matter.
        setting: how a host is added, for those who are refused.
        secret: how the token is given, likewise.
    """

    hosts: frozenset[str] = frozenset()
    addresses: bool = False
    token: str | None = field(default=None, repr=False)
    reads: bool = False
    setting: str = ""
    secret: str = ""

    def knows(self, authority: str) -> bool:
        """Whether ``HOST`` or ``HOST:PORT`` is ours."""
        try:
            parts = urlsplit(f"//{authority}")
            name, _port = parts.hostname, parts.port
        except ValueError:
            return False
        if name is None:
            return False
        name = name.rstrip(".")
        return name in _LOOPBACK or name in self.hosts or (self.addresses and _is_address(name))


def host_names(texts: Iterable[str]) -> frozenset[str]:
    """The names of hosts given as ``HOST``, ``HOST:PORT`` or an address with a scheme."""
    found = set()
    for text in texts:
        stripped = text.strip()
        name = urlsplit(stripped if "://" in stripped else f"//{stripped}").hostname
        if name:
            found.add(name.rstrip("."))
    return frozenset(found)


def answer(status: int, body: Any, **headers: str) -> web.Response:
    """A JSON answer. It quotes what others said, which may be a secret of this process: none goes out."""
    return web.Response(
        status=status, body=orjson.dumps(masked_in(body)), content_type="application/json", headers=headers
    )


def refusal(status: int, error: str, message: str, **headers: str) -> web.Response:
    """An error's answer: a word for programs, a sentence that says what to do."""
    return answer(status, {"error": error, "message": message}, **headers)


async def live(_request: web.Request) -> web.Response:
    """The answer to ``/live``: that there is one says that the event loop runs. A broker that is away is no matter."""
    return answer(200, {"status": "ok"})


def guard(rules: Rules) -> Any:
    """The middleware that lets through what the rules allow, and makes every error small JSON."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = _refused(request, rules)
        if refused is not None:
            refused.force_close()  # what else it sends is not read
            return refused
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _plain(request, error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, (ConnectionError, web.RequestPayloadError)) and _hung_up(request):
                raise ConnectionResetError("who asked has hung up") from error  # `_Quiet` says nothing of it
            log.exception("%s %s failed", request.method, request.path)
            return refusal(500, "failed", "this is a fault of the server: its log says which")

    return guarded


async def body(request: web.Request) -> bytes:
    """The request's body.

    Raises:
        web.HTTPException: it is too large, or does not come in time.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {BODY_SECONDS:g} s: send it again") from None


class _Quiet(logging.Filter):
    """Says nothing of who hangs up while the answer is made or written: that is not a fault of the server's.

    A handler's own connection errors don't come here: ``guard`` answers them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, (ConnectionError, web.RequestPayloadError))


_server_log = logging.getLogger(f"{__name__}.server")
_server_log.addFilter(_Quiet())


class GuardedRunner(web.AppRunner):
    """Runs an application with bounded connections, which are cut when idle."""

    def __init__(
        self, application: web.Application, *, idle: float = IDLE_SECONDS, connections: int = MAX_CONNECTIONS
    ) -> None:
        """Nothing listens yet."""
        super().__init__(
            application,
            access_log=None,
            logger=_server_log,
            handle_signals=False,
            keepalive_timeout=idle,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,
            max_line_size=MAX_LINE,
        )
        self._most = connections

    async def _make_server(self) -> Any:
        server: Any = await super()._make_server()
        made = server.connection_made

        def connection_made(handler: Any, transport: asyncio.Transport) -> None:
            made(handler, transport)
            self._make_room(server._connections, handler)  # noqa: SLF001 - aiohttp counts them, and bounds nothing

        server.connection_made = connection_made
        return server

    def _make_room(self, connections: dict[Any, asyncio.Transport], new: Any) -> None:
        there = [handler for handler, transport in connections.items() if not transport.is_closing()]
        if len(there) <= self._most:
            return
        idle = (handler for handler in there if handler is not new and handler._current_request is None)  # noqa: SLF001 - as above
        connections[next(idle, new)].abort()


def _refused(request: web.Request, rules: Rules) -> web.Response | None:
    hosts = request.headers.getall(hdrs.HOST, [])
    everything = rules.reads and rules.token is not None
    if len(hosts) != 1 or not (everything or rules.knows(hosts[0])):
        how = f", or start it with {rules.setting}" if rules.setting else ""
        return refusal(403, "unknown_host", f"this server is not known by that name: ask for 127.0.0.1{how}")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        return refusal(415, "compressed", "send the body as it is, without Content-Encoding")
    if request.method not in _SAFE:
        return _change_refused(request, hosts[0]) or _token_refused(request, rules)
    return _token_refused(request, rules) if everything and request.path not in FREE else None


def _change_refused(request: web.Request, host: str) -> web.Response | None:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not same_origin(origin, host):
        return refusal(403, "other_origin", "a page of another origin may not do that: use a program")
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return refusal(403, "other_origin", "a page of another origin may not do that: use a program")
    return None


def _token_refused(request: web.Request, rules: Rules) -> web.Response | None:
    if rules.token is None:
        return None
    kind, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), rules.token.encode()):
        return None
    what = "all but /health, /live and /ready needs" if rules.reads else "changes need"
    message = f"{what} the token: Authorization: Bearer TOKEN{rules.secret and f' ({rules.secret})'}"
    return refusal(401, "token", message, **{"WWW-Authenticate": "Bearer"})


def _hung_up(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin was loaded from the host that it asks."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _plain(request: web.Request, error: web.HTTPException) -> web.Response:
    if error.status < 400:
        return refusal(error.status, "moved", error.reason)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return refusal(405, "method", f"{request.path} takes {allowed}", Allow=allowed)
    if isinstance(error, web.HTTPNotFound):
        resources = {resource.canonical for resource in request.app.router.resources()}
        return refusal(404, "not_found", f"there is no such path: {', '.join(sorted(resources))}")
    text = {413: "the body is too large: send less"}.get(error.status, error.text or error.reason)
    return refusal(error.status, error.reason.lower().replace(" ", "_"), text)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

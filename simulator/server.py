"""The WebSocket shell: connections, what each is pushed, and what becomes of one that is too slow or breaks rules."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import math
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from schemas.errors import cant_listen
from simulator import framing
from simulator.client import GOODBYE_SECONDS, Client
from simulator.faults import Faults
from simulator.feed import Batch, Subscription
from simulator.feeds import provider
from simulator.feeds.post import POST
from simulator.feeds.prints import Print, Tape
from simulator.feeds.provider import Handshake, Refusal, Reply, Terms
from simulator.ledger import Ledger
from simulator.market_page import MarketPage
from simulator.misbehaviour import KINDS, chosen
from simulator.misbehaviour.kind import Kind, LineKind, PrintKind
from simulator.misbehaviour.lines import Greeting, HeartbeatWithoutReply, RefusedToken, TooManyCodes

log = logging.getLogger(__name__)

DRAINED_BYTES = 1 << 20
"""Without a pace, the next round waits until no client has more than this unsent."""
_TOO_SLOW = 1013
_CLIENT_MESSAGE_BYTES = 1 << 20
_WATCH_SECONDS = 1.0
_CACHED = 200
"""Codes of which what was last known is pushed before a connection is closed for it."""
_BUSY = Refusal(429, b'{"message":"too many requests"}')


@dataclass(frozen=True)
class Settings:
    """How to serve. ``queue_bytes`` bounds what waits unsent for a client: beyond it the client is closed with 1013.

    Attributes:
        feed: whose protocol is spoken.
        connections: how many a token may have; ``None`` as the provider documents it.
        misbehave: names of kinds, one of which is done every ``misbehave_every`` seconds, from ``misbehave_after`` on;
            ``seed`` chooses.
        kill_line_every: seconds from one connection's reset to the next one's.
        market_page: write the market's own page into the ledger, however it is pushed.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    all_market: bool = True
    ticks_per_frame: int = 50
    paced: bool = True
    wait_for_client: bool = False
    seconds: float | None = None
    queue_bytes: int = 64 << 20
    compression: bool = False
    ledger: Path | None = None
    feed: str = POST.name
    connections: int | None = None
    misbehave: Sequence[str] = ()
    misbehave_every: float = 1.0
    misbehave_after: float = 3.0
    seed: int = 0
    kill_line_every: float | None = None
    market_page: bool = False


@dataclass
class Counts:
    """What has been done so far; ``started`` and ``ended`` in µs since the epoch."""

    ticks: int = 0
    frames: int = 0
    too_slow: int = 0
    refused: int = 0
    started: int | None = None
    ended: int | None = None
    by_connection: dict[str, int] = field(default_factory=dict)


class FeedServer:
    """The server's side of a provider's protocol; somebody else has the ticks, and pushes them."""

    def __init__(self, knows: Callable[[str], bool], settings: Settings) -> None:
        """A server that does not listen yet; ``knows`` says whether a client may subscribe a code.

        Raises:
            UsageError: no such feed or kind of misbehaviour, or the ledger can't be made.
        """
        self.counts = Counts()
        self.provider = provider(settings.feed)
        self.kinds: Sequence[Kind] = chosen(settings.misbehave, self.provider)
        self.tape = Tape()
        self.settings = settings
        self._standing = {type(kind) for kind in self.kinds if kind.standing}
        self._terms = Terms(
            secrets.token_hex() if RefusedToken in self._standing else settings.token,
            knows,
            settings.ticks_per_frame,
            TooManyCodes.limit if TooManyCodes in self._standing else None,
            settings.all_market,
        )
        self.ledger = Ledger(settings.ledger) if settings.ledger else None
        self.faults = Faults(self.ledger)
        self._market = None
        in_turn = settings.kill_line_every is not None and not self.provider.cumulative
        if self.ledger is not None and (settings.market_page or in_turn):
            self._market = MarketPage(self.ledger, self.provider, settings.ticks_per_frame)
        self._tricky = bool(self.kinds) or settings.kill_line_every is not None
        # The post's clients share the very same bytes, which is several times as fast as frames of their own.
        self._shared = self.provider is POST and not self._tricky and self._market is None
        self._draw = random.Random(f"tricks {settings.seed}")
        self.clients: dict[str, Client] = {}
        self._groups: dict[Subscription, list[Client]] = {}
        self._last: dict[str, Print] = {}
        self._late: list[Print] = []
        self._market_tricks: list[Kind] = []
        self._always = [kind for kind in self.kinds if kind.standing and isinstance(kind, PrintKind)]
        self._connections = 0
        self._shut_until = -math.inf
        self._shut_by = _BUSY
        self._wanted = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        """Accept clients, until the block ends; gives the port.

        Raises:
            UsageError: the address can't be had.
        """
        settings = self.settings
        try:
            server: Server = await serve(
                self._serve,
                settings.host,
                settings.port,
                process_request=self._admit,
                compression="deflate" if settings.compression else None,
                max_size=_CLIENT_MESSAGE_BYTES,
                ping_timeout=60,
            )
        except OSError as error:
            raise cant_listen(error, settings.host, settings.port) from error
        watching = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield next(iter(server.sockets)).getsockname()[1]
        finally:
            watching.cancel()
            server.close(close_connections=False)
            farewells = [client.close(1001, "the simulator stops") for client in self.clients.values()]
            await asyncio.gather(*farewells, *self._leaving)
            # Who has connected and never shaken hands would be waited for as long as a handshake may take.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), GOODBYE_SECONDS)

    def push(self, batch: Batch) -> None:
        """Give every client its part of a batch."""
        self.counts.ticks += len(batch.texts)
        if self._shared:
            self._push_shared(batch)
        elif batch.texts:
            self._push_prints(self._tricked(self.tape.read(batch)))

    def finish_pages(self) -> None:
        """Write what is open of the ledger, but for the connections' pages: those end with them."""
        self.faults.finish()
        if self._market is not None:
            self._market.close()
            self._market = None

    def trick(self, kind: Kind) -> None:
        """Change the market's next ticks."""
        self._market_tricks.append(kind)

    def shut(self, seconds: float, refusal: Refusal | None = None) -> None:
        """Refuse handshakes for a while; with HTTP 429, where nothing else is said."""
        self._shut_until = max(self._shut_until, _now() + seconds)
        self._shut_by = refusal or _BUSY

    async def subscribed(self) -> None:
        """Wait until somebody has subscribed to something, for the first time."""
        await self._wanted.wait()

    async def farewell(self, message: bytes, code: int, reason: str) -> None:
        """Send a last message behind all that was pushed, and close every connection."""
        await asyncio.gather(*(client.dismiss(message, code, reason) for client in list(self.clients.values())))

    async def drained(self) -> None:
        """Wait until somebody is there and all have room: a market without a pace is as fast as its clients are."""
        # Looked at in turns: the transport tells nobody but its own protocol when its buffer shrinks.
        while not self._groups or any(client.unsent > DRAINED_BYTES for client in self.clients.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def _push_shared(self, batch: Batch) -> None:
        """Clients with the same subscription share the very same bytes."""
        for subscription, clients in list(self._groups.items()):
            texts = subscription.select(batch)
            if not texts:
                continue
            frames = framing.payloads(texts, self.settings.ticks_per_frame)
            wire = framing.wire(frames)
            for client in clients:
                if client.push(frames, wire):
                    self._count(client, len(frames), len(texts))

    def _push_prints(self, prints: Sequence[Print]) -> None:
        for one in prints:
            self._last[one.code] = one
        now = _now()
        for client in list(self.clients.values()):
            frames, ticks = client.give(prints, now, self._draw)
            if frames:
                self._count(client, frames, ticks)
        self.faults.withhold(prints)
        if self._market is not None:
            self._market.enter(prints)

    def _tricked(self, prints: list[Print]) -> list[Print]:
        """The market's ticks after those that misbehave for all."""
        held, self._late = self._late, []
        tricks, self._market_tricks = [*self._market_tricks, *self._always], []
        for kind in tricks:
            prints, later = kind.prints(prints, self._draw) if isinstance(kind, PrintKind) else (prints, [])
            self._late += later
        return [*prints, *held]

    def _count(self, client: Client, frames: int, ticks: int) -> None:
        self.counts.frames += frames
        self.counts.by_connection[client.name] += ticks
        if client.unsent > self.settings.queue_bytes:
            self._leave_behind(client)

    def _leave_behind(self, client: Client) -> None:
        self.counts.too_slow += 1
        log.warning("%s is too slow: %d bytes unsent, closed with %d", client.name, client.unsent, _TOO_SLOW)
        self._end(client, Reply(close=(_TOO_SLOW, "too slow: send queue full")))

    def _end(self, client: Client, reply: Reply) -> None:
        """Close a connection by the provider's rules, with its last words; it is a fault of the client's making."""
        assert reply.close is not None
        if not self.faults.ongoing(client.name):
            self.faults.begin(client, f"rules: {reply.close[1]}", loses_ticks=True)
        client.muted = True
        self._forget(client)
        task = asyncio.get_running_loop().create_task(client.follow(reply))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        refusal = self._refusal(Handshake(request.path, tuple(request.headers.raw_items())))
        if refusal is None:
            return None
        self.counts.refused += 1
        log.warning("a handshake was refused: HTTP %d", refusal.status)
        length = str(len(refusal.body))
        headers = Headers({"Content-Type": "application/json", "Content-Length": length, "Connection": "close"})
        for name, value in refusal.headers:
            headers[name] = value
        return Response(refusal.status, http.HTTPStatus(refusal.status).phrase, headers, refusal.body)

    def _refusal(self, handshake: Handshake) -> Refusal | None:
        if _now() < self._shut_until:
            return self._shut_by
        return self.provider.admit(self._terms, handshake)

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections += 1
        name = f"connection-{self._connections:04d}"
        request = connection.request
        assert request is not None
        handshake = Handshake(request.path, tuple(request.headers.raw_items()))
        session = self.provider.session(self._terms, handshake, _now())
        client = self.clients[name] = Client(name, connection, session, self.provider, self.ledger)
        if self._tricky:
            client.recent = {}
        self.counts.by_connection[name] = 0
        log.info("%s from %s", name, connection.remote_address)
        try:
            await self._converse(client)
        except ConnectionClosed as error:
            log.info("%s: %s", name, error)
        finally:
            self._forget(client)
            client.leave()

    async def _converse(self, client: Client) -> None:
        session = client.session
        if Greeting in self._standing:
            client.say([Greeting.sentence])
        await self._follow(client, Subscription(), session.greet())
        async for message in client.connection:
            before = session.subscription
            reply = session.receive(message, _now())
            if client.deaf or (reply.beat and HeartbeatWithoutReply in self._standing):
                continue
            await self._follow(client, before, reply)

    async def _follow(self, client: Client, before: Subscription, reply: Reply) -> None:
        """Send a session's reply, and have its subscription take effect behind it."""
        if reply.close is not None:
            if client.session.subscription and not client.muted:
                self._end(client, reply)
            else:
                await client.follow(reply)
            return
        # No await from the session's change to here: not a tick may go out before the answer, or to who is to get none.
        client.say(reply.frames)
        if not client.muted and not await self._counted(client):
            return
        if client.session.subscription == before:
            return
        client.since = _now()
        if self.faults.subscribed(client, client.session.fresh):
            self._leave_empty(client)
        self._regroup()
        fresh = client.session.fresh
        if self.provider.caches and not client.muted and fresh is not None:
            frames, ticks = client.give_again([one for code, one in self._last.items() if code in fresh])
            self._count(client, frames, ticks)

    def _leave_empty(self, client: Client) -> None:
        """A subscription that leads to nothing, or to what is cached and the end."""
        kind = KINDS.get(self.faults.kind_of(client.name) or "")
        fresh = client.session.fresh
        if isinstance(kind, LineKind) and kind.cached_first:
            cached = [one for one in self._last.values() if fresh is None or one.code in fresh]
            frames, ticks = client.give_again(cached[:_CACHED])
            self._count(client, frames, ticks)
            task = asyncio.get_running_loop().create_task(client.close(kind.code, kind.reason))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        client.muted = True

    async def _counted(self, client: Client) -> bool:
        """Hold the provider's limit of connections; whether the client is still there."""
        account = client.session.account
        limit = self.settings.connections or self.provider.connections
        if client.counted or not account or limit is None:
            return True
        client.counted = True
        others = [c for c in self.clients.values() if c is not client and c.counted and c.session.account == account]
        if len(others) < limit:
            return True
        if self.provider.when_full == "refused":
            log.warning("%s: the token has %d connections already", client.name, len(others))
            self._forget(client)
            await client.follow(client.session.says("kicked"))
            return False
        self._end(others[0], others[0].session.says("kicked"))
        return True

    def _forget(self, client: Client) -> None:
        self.clients.pop(client.name, None)
        self._regroup()

    def _regroup(self) -> None:
        groups: dict[Subscription, list[Client]] = {}
        for client in self.clients.values():
            if client.session.subscription:
                groups.setdefault(client.session.subscription, []).append(client)
        self._groups = groups
        if groups:
            self._wanted.set()

    async def _watch(self) -> None:
        """Let sessions count the silence of their clients."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for client in list(self.clients.values()):
                reply = client.session.watch(_now())
                if reply.close is not None:
                    self._end(client, reply)


def _now() -> float:
    return time.monotonic()

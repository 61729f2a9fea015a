"""The WebSocket shell: connections, the push loop, and what becomes of a client that is too slow."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from schemas import UsageError
from simulator import framing
from simulator.feed import Batch, Source, Subscription
from simulator.ledger import Ledger, Page
from simulator.protocol import UNAUTHORISED, Session, authorised

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.004
"""The least time from one push to the next: wide enough for full frames at a high rate, far below a network's delay."""
ROUND_TICKS = 4_000
"""The most ticks of one round: a market that is behind catches up in steps, and the loop stays free for its clients."""
DRAINED_BYTES = 1 << 20
"""Without a pace, the next round waits until no client has more than this unsent."""
_TOO_SLOW = 1013
_GOODBYE_SECONDS = 2.0
_LAST_SECONDS = 60.0
_CLIENT_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True)
class Settings:
    """How to serve. ``queue_bytes`` bounds what waits unsent for a client: beyond it the client is closed with 1013."""

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


class Client:
    """One connection: its session, its page of the ledger, its share of what is pushed."""

    def __init__(self, name: str, connection: ServerConnection, session: Session, ledger: Ledger | None) -> None:
        """A client that has just shaken hands; its page of the ledger is opened with its first ticks."""
        self.name = name
        self.session = session
        self._ledger = ledger
        self._page: Page | None = None
        self._connection = connection
        self._compressed = bool(connection.protocol.extensions)

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self._connection.transport.get_write_buffer_size()

    def push(self, frames: Sequence[bytes], wire: bytes) -> bool:
        """Hand frames to the socket without waiting, and enter them in the ledger; ``False`` when it is closing."""
        if self._connection.state is not State.OPEN or self._connection.transport.is_closing():
            return False
        if self._compressed:
            for frame in frames:
                broadcast([self._connection], frame, text=True)
        else:
            # Straight to the transport: the library's own way costs 10 µs a frame and client, and would make the
            # same bytes. Nothing can come between, since no message of ours is ever fragmented.
            self._connection.transport.write(wire)
        if self._ledger is not None:
            if self._page is None:
                self._page = self._ledger.open(self.name)
            self._page.write(frames)
        return True

    def leave(self) -> None:
        """Close what is kept of it."""
        if self._page is not None:
            self._page.close()

    async def close(self, code: int, reason: str, seconds: float = _GOODBYE_SECONDS) -> None:
        """Say goodbye, and hang up on a client that does not take even that."""
        try:
            async with asyncio.timeout(seconds):
                await self._connection.close(code, reason)
        except TimeoutError:
            self._connection.transport.abort()

    async def dismiss(self, message: bytes, code: int, reason: str) -> None:
        """Send a last message behind all that was pushed, and say goodbye when it is taken."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._connection.send(message, text=True)
                while self.unsent:  # noqa: ASYNC110 - as in ``drained``
                    await asyncio.sleep(0.005)
        await self.close(code, reason)


class FeedServer:
    """The server's side of the protocol; somebody else has the ticks, and pushes them."""

    def __init__(self, knows: Callable[[str], bool], settings: Settings) -> None:
        """A server that does not listen yet; ``knows`` says whether a client may subscribe a code."""
        self.counts = Counts()
        self._knows = knows
        self._settings = settings
        self._ledger = Ledger(settings.ledger) if settings.ledger else None
        self._clients: dict[str, Client] = {}
        self._groups: dict[Subscription, list[Client]] = {}
        self._connections = 0
        self._wanted = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        """Accept clients, until the block ends; gives the port.

        Raises:
            UsageError: the address can't be had.
        """
        settings = self._settings
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
            address = f"{settings.host}:{settings.port}"
            raise UsageError(f"can't listen on {address} ({error.strerror}): choose another --port, or 0") from error
        try:
            yield next(iter(server.sockets)).getsockname()[1]
        finally:
            server.close(close_connections=False)
            farewells = [client.close(1001, "the simulator stops") for client in self._clients.values()]
            await asyncio.gather(*farewells, *self._leaving)
            # Who has connected and never shaken hands would be waited for as long as a handshake may take.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), _GOODBYE_SECONDS)

    def push(self, batch: Batch) -> None:
        """Give every client its part of a batch; clients with the same subscription share the very same bytes."""
        self.counts.ticks += len(batch.texts)
        for subscription, clients in list(self._groups.items()):
            texts = subscription.select(batch)
            if not texts:
                continue
            frames = framing.payloads(texts, self._settings.ticks_per_frame)
            wire = framing.wire(frames)
            for client in clients:
                if not client.push(frames, wire):
                    continue
                self.counts.frames += len(frames)
                self.counts.by_connection[client.name] += len(texts)
                if client.unsent > self._settings.queue_bytes:
                    self._leave_behind(client)

    async def subscribed(self) -> None:
        """Wait until somebody has subscribed to something, for the first time."""
        await self._wanted.wait()

    async def farewell(self, message: bytes, code: int, reason: str) -> None:
        """Send a last message behind all that was pushed, and close every connection.

        Who has not taken all of it after ``_LAST_SECONDS`` is hung up on.
        """
        await asyncio.gather(*(client.dismiss(message, code, reason) for client in list(self._clients.values())))

    async def drained(self) -> None:
        """Wait until somebody is there and all have room: a market without a pace is as fast as its clients are."""
        # Looked at in turns: the transport tells nobody but its own protocol when its buffer shrinks.
        while not self._groups or any(client.unsent > DRAINED_BYTES for client in self._clients.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def _leave_behind(self, client: Client) -> None:
        self.counts.too_slow += 1
        log.warning("%s is too slow: %d bytes unsent, closed with %d", client.name, client.unsent, _TOO_SLOW)
        self._forget(client)
        task = asyncio.get_running_loop().create_task(client.close(_TOO_SLOW, "too slow: send queue full"))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        if authorised(self._settings.token, request.path, request.headers.raw_items()):
            return None
        self.counts.refused += 1
        log.warning("a handshake was refused: wrong or missing token")
        length = str(len(UNAUTHORISED))
        headers = Headers({"Content-Type": "application/json", "Content-Length": length, "Connection": "close"})
        return Response(http.HTTPStatus.UNAUTHORIZED.value, "Unauthorized", headers, UNAUTHORISED)

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections += 1
        name = f"connection-{self._connections:04d}"
        session = Session(self._knows, all_market=self._settings.all_market)
        client = self._clients[name] = Client(name, connection, session, self._ledger)
        self.counts.by_connection[name] = 0
        log.info("%s from %s", name, connection.remote_address)
        try:
            async for message in connection:
                for answer in session.receive(message):
                    await connection.send(answer, text=True)
                self._regroup()
        except ConnectionClosed as error:
            log.info("%s: %s", name, error)
        finally:
            self._forget(client)
            client.leave()

    def _forget(self, client: Client) -> None:
        self._clients.pop(client.name, None)
        self._regroup()

    def _regroup(self) -> None:
        groups: dict[Subscription, list[Client]] = {}
        for client in self._clients.values():
            if client.session.subscription:
                groups.setdefault(client.session.subscription, []).append(client)
        self._groups = groups
        if groups:
            self._wanted.set()


class Simulator(FeedServer):
    """A market on a WebSocket."""

    def __init__(self, source: Source, settings: Settings) -> None:
        """A market that is not open yet."""
        super().__init__(source.knows, settings)
        self._source = source

    async def run(self) -> Counts:
        """Push the source's ticks when they are due, to its end; a cancel is an end too, and the ledger is finished.

        Raises:
            UsageError: the ledger can't be written, or a played file has a bad line.
        """
        try:
            await self._push_all()
        except asyncio.CancelledError:
            self._finish()
            raise
        self._finish()
        return self.counts

    async def _push_all(self) -> None:
        source, paced = self._source, self._settings.paced
        if self._settings.wait_for_client:
            await self.subscribed()
        clock = asyncio.get_running_loop().time
        self.counts.started = time.time_ns() // 1000
        start = clock()
        end = math.inf if self._settings.seconds is None else self._settings.seconds
        last = math.nextafter(end, 0.0)  # a tick that is due at the end itself belongs to the time after it
        while (due := source.next_due) is not None:
            began = clock()
            if paced:
                if due >= end:
                    break
                if due > began - start:
                    await asyncio.sleep(due - (began - start))
                    began = clock()
            else:
                await self.drained()
                if clock() - start >= end:
                    break
            self.push(source.take(min(began - start, last) if paced else math.inf, ROUND_TICKS))
            await asyncio.sleep(max(0.0, began + ROUND_SECONDS - clock()) if paced else 0.0)

    def _finish(self) -> None:
        self.counts.ended = time.time_ns() // 1000
        if self._ledger is not None:
            self._ledger.finish(
                {
                    "ticks": self.counts.ticks,
                    "frames": self.counts.frames,
                    "started": self.counts.started or self.counts.ended,
                    "ended": self.counts.ended,
                    "too_slow": self.counts.too_slow,
                    "by_connection": self.counts.by_connection,
                }
            )

"""One gateway: what it reads, whom it serves, and how it starts and stops."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from broker.exposition import Exposition
from broker.http_access import is_loopback
from broker.http_guard import GuardedRunner
from broker.reader import ChunkReader
from consumers.gateway.connections import Connections
from consumers.gateway.groups import FLUSH_SECONDS
from consumers.gateway.history import History
from consumers.gateway.metrics import METRICS, reading
from consumers.gateway.routes import Routes
from consumers.gateway.source import Source
from consumers.gateway.stream import Stream
from consumers.gateway.tokens import Tokens
from consumers.gateway.watch import Lag, Watch
from instruments.following import Following
from schemas import UsageError
from schemas.topics import SNAPSHOTS

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent.parent / "web" / "dist"
MAX_CONNECTIONS = 2_048
_STATUS_SECONDS = 0.98
"""Between two statuses; looked for five times a second."""
_LOOK_SECONDS = 0.2
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Settings:
    """How a gateway runs.

    Attributes:
        host, port: where it listens; port 0 for any.
        hosts: names by which it may be asked, besides loopback and addresses.
        tokens: who may ask; ``None``: everybody who reaches it.
        page: directory of the built page.
        open_to_all: without tokens, others than this machine may ask too.
    """

    bootstrap: str
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    tokens: Tokens | None = field(default=None, repr=False)
    page: Path = PAGE
    open_to_all: bool = False


def check(settings: Settings) -> None:
    """Refuse to be open to others without tokens.

    Raises:
        UsageError: it would be.
    """
    if settings.tokens is None and not settings.open_to_all and not is_loopback(settings.host):
        raise UsageError(
            f"--host {settings.host}: everybody who reaches it could read all: give --tokens FILE (docs/gateway.md),"
            " or --open-to-all"
        )


class Gateway:
    """A running gateway."""

    def __init__(self, settings: Settings) -> None:
        """Nothing listens or connects yet."""
        check(settings)
        self._settings = settings
        self._connections = Connections()
        self._instruments = Following(settings.bootstrap)
        self._routes: Routes | None = None
        self._source = Source(
            settings.bootstrap,
            self._instruments.known,
            renewed=self._connections.renew,
            changed=lambda changes: self._routes.changed(changes) if self._routes is not None else None,
            happened=lambda body: self._connections.tell(b'{"type":"event","event":' + body + b"}"),
        )
        self._history = History(settings.bootstrap)
        self._lag = Lag(settings.bootstrap)
        self._watch = Watch(self._source.seen, self._lag)
        self._stream = Stream(self._connections, lambda: self._watch.status, settings.tokens)
        self._runner: GuardedRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = settings.port

    async def start(self) -> None:
        """Listen, then read.

        Raises:
            UsageError: the port can't be used.
        """
        settings = self._settings
        self._routes = Routes(
            self._connections.hub,
            self._source,
            self._watch,
            Exposition(METRICS, partial(reading, self._connections, self._watch)),
            tokens=settings.tokens,
            hosts=(settings.host, *settings.hosts),
            history=self._history,
            page=settings.page,
        )
        application = web.Application()
        self._routes.install(application, self._stream.answer)
        self._runner = GuardedRunner(application, connections=MAX_CONNECTIONS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            why = error.strerror or str(error)
            raise UsageError(f"--port {settings.port} on {settings.host} can't be used: {why}; give another") from error
        self.port = self._runner.addresses[0][1]
        await self._instruments.start(wait=0)
        self._source.start()
        self._lag.start()
        self._tasks = [
            asyncio.create_task(self._flushing(), name="flushing"),
            asyncio.create_task(self._telling(), name="telling the status"),
        ]

    async def stop(self) -> None:
        """Close the clients, stop reading and listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._routes is not None:
            self._routes.stop()
        await self._stream.stop()
        await self._source.stop()
        await self._lag.stop()
        await self._history.stop()
        await self._instruments.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def ended(self) -> str | None:
        """Which task has ended that must not, and how; ``None`` while all run."""
        for task in self._tasks:
            if task.done():
                return f"{task.get_name()} ended: {task.exception() if not task.cancelled() else 'cancelled'!r}"
        return None

    async def _flushing(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            at = max(at + FLUSH_SECONDS, loop.time())
            await asyncio.sleep(at - loop.time())
            self._connections.take(self._source.hand_over())
            self._connections.flush()

    async def _telling(self) -> None:
        """Tell the status once a second, and at once when something has gone wrong or is well again."""
        told, problems = 0.0, None
        while True:
            found = bool(self._watch.problems())
            if found != problems or time.monotonic() - told >= _STATUS_SECONDS:
                told, problems = time.monotonic(), found
                status = self._watch.look(self._connections.hub.table, len(self._connections.everyone))
                self._connections.tell(_encode(status))
            await asyncio.sleep(_LOOK_SECONDS)


async def run(settings: Settings, say: Any) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        UsageError: no broker answers, or it can't start.
        RuntimeError: a part of it ended.
    """
    async with ChunkReader(settings.bootstrap, client_id="ashare-gateway") as reader:
        await reader.partitions(SNAPSHOTS)
    gateway = Gateway(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await gateway.start()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(f"http://{host}:{gateway.port}/")
    try:
        while not stop.is_set():
            if (why := gateway.ended()) is not None:
                raise RuntimeError(why)
            try:
                async with asyncio.timeout(1.0):
                    await stop.wait()
            except TimeoutError:
                continue
    finally:
        await gateway.stop()

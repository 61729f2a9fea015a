"""The producer's HTTP: health, counters, and the watchlist to read and to change.

For this machine by default: it listens on 127.0.0.1, and answers no request that names another host, so that a page in
the user's browser can't reach it through a name of its own. A change from a page of another origin is refused, and
where there is a token (``--http-token``), one without it: without a token, whoever has an account on this machine may
change the list. Where other machines can ask, all but ``/health`` needs the token.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from broker.exposition import Exposition
from broker.http_access import LOOPBACK, HttpAccess
from broker.http_guard import GuardedRunner, answer, guard, live
from producer.line.driver import Line
from producer.supervisor import Supervisor
from producer.watchlist.http import WatchlistRoutes
from producer.watchlist.watch import Watch
from schemas.errors import cant_listen

_LARGEST = 8 << 20


class LocalServer:
    """Serves one producer; ``port`` is where, once it is started."""

    def __init__(
        self,
        supervisor: Supervisor,
        watch: Watch,
        exposition: Exposition,
        port: int,
        *,
        access: HttpAccess = LOOPBACK,
    ) -> None:
        """Nothing listens yet.

        Args:
            exposition: answers ``/metrics``.
            port: 0 for any that is free.
            access: where it listens, and who may ask there.

        Raises:
            UsageError: it would serve other machines without TLS and a token, or the certificate can't be read.
        """
        access.check("--http-host")
        self._access, self._tls = access, access.tls()
        self._rules = access.rules(hosts=frozenset(), setting="", reads=False)
        self.port = port
        self._supervisor = supervisor
        self._watchlist = WatchlistRoutes(watch)
        self._exposition = exposition
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """Where it is, once it is started."""
        return f"{self._access.scheme}://{self._access.host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the port is taken.
        """
        application = web.Application(middlewares=[guard(self._rules)], client_max_size=_LARGEST)
        application.router.add_get("/live", live)
        application.router.add_get("/ready", self._health)
        application.router.add_get("/health", self._health)
        application.router.add_get("/metrics", self._exposition.answer)
        self._watchlist.add_to(application)
        self._runner = GuardedRunner(application)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._access.host, self.port, ssl_context=self._tls).start()
        except OSError as error:
            await self.stop()
            raise cant_listen(error, self._access.host, self.port, "--http-port") from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        """200 while every line is subscribed (or has nothing to do) and can be read, 503 with the reasons else."""
        lines = [status(line) for line in self._supervisor.lines]
        well = all(line["state"] in {"subscribed", "idle"} and line["readable"] for line in lines)
        return answer(200 if well else 503, {"status": "ok" if well else "unavailable", "lines": lines})


def status(line: Line) -> dict[str, Any]:
    """What a line is doing."""
    subscription = line.subscription
    return {
        "line": line.name,
        "state": line.state,
        "problem": line.problem or line.unreadable,
        "readable": line.unreadable is None,
        "codes": "all" if subscription.wanted is None else len(subscription.wanted),
        "refused": len(subscription.refused),
        "unseen": len(subscription.unseen),
        "unread": dict(line.guard.unread),
        "beyond": line.guard.beyond,
    }

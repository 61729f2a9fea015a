"""The worker's web server: the first thing that starts, and the last that stops."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web

from broker.http_access import HttpAccess
from broker.http_guard import GuardedRunner
from schemas.errors import cant_listen

log = logging.getLogger(__name__)


class WebServer:
    """Serves one application."""

    def __init__(self, access: HttpAccess, port: int, *install: Callable[[web.Application], None]) -> None:
        """Nothing listens before ``start``.

        Raises:
            UsageError: it would serve other machines without TLS and a token, or the certificate can't be read.
        """
        access.check("--web-host")
        self._host, self._port, self._tls = access.host, port, access.tls()
        self._application = web.Application()
        for one in install:
            one(self._application)
        self._runner = GuardedRunner(self._application)

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the port can't be used.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, reuse_address=True, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise cant_listen(error, self._host, self._port, "--web-port") from error

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

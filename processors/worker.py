"""The life of one worker process: what starts and stops in which order, and its exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import uvloop
from faust import Worker as FaustWorker

from processors.app import Parts
from processors.options import WorkerOptions, parse_agents
from processors.report import Report

__all__ = ["Worker", "WorkerOptions", "parse_agents"]

log = logging.getLogger(__name__)

_LEAVE_SECONDS = 15.0
_STOP_SECONDS = 20.0
"""Longest that a stop takes."""
_STOP_AWAY_SECONDS = 3.0
"""The same while no broker answers: nothing can be confirmed or committed."""
_STOP_LOOK = 0.1


class _Supervisor(FaustWorker):
    """Faust's worker over several apps: one that crashes ends them all."""

    def on_init_dependencies(self) -> Iterable[Any]:
        """As Faust's, which knows of one app alone."""
        for service in self.services:
            service.beacon.reattach(self.beacon)
        return super().on_init_dependencies()

    async def on_start(self) -> None:
        """As Faust's; the apps start at once, not one when the partitions of the one before are taken up."""
        await super().on_start()
        await asyncio.gather(*(app.maybe_start() for app in self._children))

    async def _stop_children(self) -> None:
        """As Faust's, which ends one after the other: each may take its time to finish what it holds."""
        ended = await asyncio.gather(*(asyncio.shield(app.stop()) for app in self._children), return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.error("stopping failed", exc_info=error)

    def _shutdown_loop(self) -> None:
        try:
            self.loop.run_until_complete(self.last())
        except Exception:
            log.exception("stopping failed")
        super()._shutdown_loop()

    def _on_sigterm(self) -> None:
        if self._deadline is None:
            self._deadline = threading.Thread(target=self._end_in_time, name="stop-deadline", daemon=True)
            self._deadline.start()
        if self.begun():
            super()._on_sigterm()
        else:
            self._leaving = self._leaving or asyncio.ensure_future(self._leave())

    _on_sigint = _on_sigterm

    def _end_in_time(self) -> None:
        """End the process where the stop takes too long: what is not committed comes again, as after a kill."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < _STOP_SECONDS:
            if waited >= _STOP_AWAY_SECONDS and self.away():
                break
            time.sleep(_STOP_LOOK)
        why = "no Kafka broker answers" if self.away() else f"the stop has taken {waited:.0f} s"
        log.warning("ended at once, as %s: what was in hand is not committed, and comes again", why)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)

    async def _leave(self) -> None:
        """End before any agent had work in hand: Faust waits for ever where an app is stopped while it starts."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self.last()
        except Exception:
            log.exception("stopping failed")
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(0)

    async def _sentinel_task(self) -> None:
        """Nothing: Faust sleeps a second here, when all has ended and others wait for it."""

    _leaving: asyncio.Future[None] | None = None
    _deadline: threading.Thread | None = None
    away: Callable[[], bool]
    begun: Callable[[], bool]
    last: Callable[[], Awaitable[None]]


async def _all(starting: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait until all are done; when one fails the others are cancelled, and its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in starting]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Worker:
    """Starts and stops the parts."""

    def __init__(self, options: WorkerOptions) -> None:
        """Nothing connects before ``run``.

        Raises:
            UsageError: an agent can't be made.
        """
        self.parts = Parts(options)
        self._looking: asyncio.Task[None] | None = None
        self._report = Report(self.parts.status)
        self._reporting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything but the apps, which join their groups after this.

        Raises:
            UsageError: no broker, missing topics, a store that can't be used, a port in use.
        """
        parts = self.parts
        parts.loop = asyncio.get_running_loop()
        await parts.server.start()
        try:
            await _all(runner.start() for runner in parts.runners)
            await parts.feed_events.start()
            if parts.instruments is not None:
                await parts.instruments.start(wait=0)
        except BaseException:
            await self.stop()
            raise
        self._looking = asyncio.create_task(parts.look(), name="look")
        self._reporting = asyncio.create_task(self._report.run(), name="report")
        parts.logs.start()
        parts.watchdog.start()

    async def stop(self) -> None:
        """Stop what ``start`` started, when the apps have stopped."""
        parts = self.parts
        parts.watchdog.stop()
        parts.logs.stop()
        tasks = [task for task in (self._looking, self._reporting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if parts.instruments is not None:
            await parts.instruments.stop()
        await parts.feed_events.stop()
        await asyncio.gather(*(runner.stop() for runner in parts.runners))
        await parts.server.stop()
        if self._reporting is not None:
            self._report.last()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT.

        Returns:
            The exit code: 0 after a clean stop.

        Raises:
            UsageError: as ``start``.
        """
        # Next to nothing here is garbage in cycles, and what is held of a market is long to look through.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        # The policy, for whatever loop Faust makes by itself.
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        first, *others = (runner.app for runner in self.parts.runners)
        worker = _Supervisor(
            first,
            *others,
            loop=loop,
            loglevel=logging.INFO,
            quiet=True,
            stdout=sys.stderr,
            redirect_stdouts=False,
            override_logging=False,
        )
        worker.spinner = None
        worker.last = self.stop
        worker.away = lambda: self.parts.logs.away
        worker.begun = lambda: any(runner.handled or runner.recovered for runner in self.parts.runners)
        starting = loop.create_task(self.start())

        def asked_to_stop() -> None:
            # Faust's own handlers come when its worker starts; the web server answers before that.
            if starting.done():
                worker._on_sigterm()
            else:
                starting.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked_to_stop)
        try:
            loop.run_until_complete(starting)
        except asyncio.CancelledError:
            return 0
        logging.getLogger("aiokafka").setLevel(logging.WARNING)
        try:
            worker.execute_from_commandline()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

"""One upstream connection and its whole life: dial, subscribe, read, lose, say what was missed, dial again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from producer import symbols as wanted
from producer.address import Address
from producer.backoff import Backoff
from producer.connection import MAX_MESSAGE_BYTES, FrameConnection
from producer.feeds import post
from producer.feeds.decoded import Answer, Frame
from producer.intake import Intake
from producer.retrying import CONNECTION_ERRORS, after_closing, after_dialling
from schemas import FeedEvent, UsageError

log = logging.getLogger(__name__)

T = TypeVar("T")

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 2.0
SILENT_BEATS = 3
"""Heartbeats without a single byte after which a connection counts as dead."""
REFUSAL_SECONDS = 5.0
"""After a refusal, with neither an acknowledgement nor a tick for so long, nothing will come."""
_REFUSALS = 20  # announced per connection; a server that repeats itself must not fill the topic

Happening = Literal[
    "started", "connected", "subscribed", "refused", "disconnected", "resubscribed", "gap", "overflow", "stopped"
]


class Line:
    """Keeps one subscription alive until it is told to stop."""

    def __init__(
        self,
        address: Address,
        symbols: str | list[str],
        intake: Intake,
        *,
        trades_only: bool = False,
        heartbeat: float = 20.0,
        heartbeat_message: str | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """A line to ``address`` that feeds ``intake``.

        Args:
            heartbeat: seconds between protocol pings; 0 sends none, and then silence is no sign of death either.
            heartbeat_message: sent with every heartbeat, for servers that want a message of their own.
        """
        self._address = address
        self._symbols = symbols
        self._intake = intake
        self._trades_only = trades_only
        self._heartbeat = heartbeat
        self._heartbeat_message = heartbeat_message
        self._backoff = backoff or Backoff()
        self._worked = False
        """A handshake succeeded in this run."""
        self._ever_subscribed = False
        self._missing_since: int | None = None
        """Where the gap begins that no subscription has closed yet, µs since the epoch."""
        self._subscribed = False
        self._flowing = False
        self._refusal: str | None = None
        self._refused_until = 0.0
        self._refusals = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop`` is set; then everything that came off the socket has been taken in.

        Raises:
            UsageError: the feed refuses what it is asked in a way that no further attempt changes.
        """
        self._announce("started")
        reason = "told to stop"
        try:
            while not stop.is_set():
                asked = await self._live(stop)
                if not stop.is_set():
                    await self._rest(asked, stop)
        except asyncio.CancelledError:
            reason = "cut short"
            self._announce(
                "overflow", reason="frames that had come were given up, as the stop could not wait for Kafka"
            )
            raise
        except BaseException as error:
            reason = self._address.scrub(str(error) or type(error).__name__)
            raise
        finally:
            self._announce("stopped", reason=reason)

    async def _live(self, stop: asyncio.Event) -> float:
        """One connection from dialling to its end; gives the seconds that the server asked to wait."""
        try:
            connection = await _unless(stop, self._dial())
        except CONNECTION_ERRORS as error:
            asked = after_dialling(error, self._address, worked=self._worked)
            log.warning("no connection to %s: %s", self._address.shown, self._said(error))
            return asked
        if connection is None:
            return 0.0
        if self._worked:
            self._intake.counters.reconnects += 1
        self._worked = True
        self._subscribed = self._flowing = self._intake.filtered = False
        self._refusal, self._refusals = None, 0
        log.info("connected to %s", self._address.shown)
        self._announce("connected", reason=self._address.shown)
        helpers = [asyncio.create_task(self._close_at(stop, connection)), asyncio.create_task(self._beat(connection))]
        try:
            await self._read(connection)
        except ConnectionClosed as closed:
            if not stop.is_set():
                self._lost(connection, closed)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await connection.close()
        return 0.0

    def _dial(self) -> Coroutine[Any, Any, FrameConnection]:
        return _opened(
            connect(
                self._address.url,
                proxy=None,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=self._heartbeat or None,
                ping_timeout=None,  # _beat judges silence: the library would blame the server for our own back-pressure
                create_connection=FrameConnection,
            )
        )

    async def _read(self, connection: FrameConnection) -> None:
        """Subscribe, then take in frames until the connection ends."""
        await connection.send(post.subscribe(self._symbols, trades_only=self._trades_only))
        take, numbering = self._intake.take, self._intake.numbering
        while True:
            for frame in await self._frames(connection):
                before = numbering.n
                decoded = await take(frame)
                for answer in decoded.answers:
                    self._answered(answer)
                if decoded.ticks and not self._flowing:
                    self._flowing = True
                    self._backoff.reset()
                    self._confirm(before, "ticks arrive")

    async def _frames(self, connection: FrameConnection) -> list[Frame]:
        """What came; after a refusal that left nothing subscribed, only for a while."""
        if self._refusal is None or self._ever_subscribed:
            return await connection.frames()
        try:
            async with asyncio.timeout_at(self._refused_until):
                return await connection.frames()
        except TimeoutError:
            raise self._refused() from None

    def _answered(self, answer: Answer) -> None:
        text = self._address.scrub(answer.text)
        if answer.kind == "subscribed":
            self._intake.filtered = answer.trades_only
            self._confirm(self._intake.numbering.n, "acknowledged")
        elif answer.kind == "refused":
            if self._refusal is None:
                self._refused_until = asyncio.get_running_loop().time() + REFUSAL_SECONDS
            self._refusal = text
            self._refusals += 1
            log.error("the feed refuses: %s", text)
            if self._refusals <= _REFUSALS:
                self._announce("refused", reason=text)
        else:
            log.debug("the feed says: %s", text)

    def _refused(self) -> UsageError:
        return UsageError(
            f"the feed at {self._address.shown} refused the subscription: {self._refusal}: check --symbols and --token"
        )

    def _confirm(self, n: int, how: str) -> None:
        """Ticks can be expected from now on; an open gap ends here."""
        if self._subscribed:
            return
        self._subscribed = True
        again, self._ever_subscribed = self._ever_subscribed, True
        codes = wanted.concerned(self._symbols)
        log.info("%s (%s)", "resubscribed" if again else "subscribed", how)
        self._announce("resubscribed" if again else "subscribed", n=n, reason=how, codes=codes)
        if self._missing_since is not None:
            now = _now()
            reason = "ticks between two subscriptions were not received"
            self._announce("gap", n=n, reason=reason, start=self._missing_since, end=now, codes=codes)
            log.warning("gap of %.1f s: ticks in it were not received", (now - self._missing_since) / 1e6)
            self._missing_since = None

    def _lost(self, connection: FrameConnection, closed: ConnectionClosed) -> None:
        """Say that the connection ended, and remember since when nothing is known.

        Raises:
            UsageError: it ended over what was asked.
        """
        silent = asyncio.get_running_loop().time() - connection.heard
        if self._subscribed and self._missing_since is None:
            self._missing_since = _now() - int(silent * 1e6)
        reason = self._said(closed)
        log.warning("connection to %s lost: %s", self._address.shown, reason)
        self._announce("disconnected", reason=reason)
        after_closing(closed, self._address, subscribed=self._subscribed)
        if self._refusal is not None and not self._ever_subscribed:
            raise self._refused()

    async def _beat(self, connection: FrameConnection) -> None:
        """Send the heartbeat's message; end a connection on which nothing is heard, not even a pong."""
        if not self._heartbeat:
            return
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._heartbeat)
            if connection.held_back:
                continue
            if clock() - connection.heard > SILENT_BEATS * self._heartbeat:
                log.warning("nothing heard from %s for %d heartbeats", self._address.shown, SILENT_BEATS)
                await connection.close(reason="silent")
                return
            if self._heartbeat_message is not None:
                with contextlib.suppress(ConnectionClosed):
                    await connection.send(self._heartbeat_message)

    async def _rest(self, asked: float, stop: asyncio.Event) -> None:
        delay = self._backoff.next(asked)
        log.info("next attempt in %.1f s", delay)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)

    def _said(self, error: Exception) -> str:
        return self._address.scrub(str(error) or type(error).__name__)

    def _announce(
        self,
        event: Happening,
        *,
        n: int | None = None,
        reason: str | None = None,
        start: int | None = None,
        end: int | None = None,
        codes: Any = None,
    ) -> None:
        numbering = self._intake.numbering
        number = numbering.n if n is None else n
        self._intake.announce(
            FeedEvent(event, numbering.source, numbering.run, number, _now(), reason, start, end, codes)
        )

    @staticmethod
    async def _close_at(stop: asyncio.Event, connection: FrameConnection) -> None:
        """Begin the closing handshake; what the server sent before it ends is still read."""
        await stop.wait()
        await connection.close()


async def _opened(dialling: connect) -> FrameConnection:
    connection = await dialling
    assert isinstance(connection, FrameConnection)
    return connection


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work, or ``None`` where ``stop`` came first and the work was given up."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
    return None if task.cancelled() else task.result()


def _now() -> int:
    return time.time_ns() // 1000

"""The only asyncio of a line: it makes happen what ``producer.line.protocol`` decides.

It owns the socket and the tasks of a connection, hands the protocol all that comes, carries out its effects in order,
and waits for room after each that goes to Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from websockets.exceptions import ConnectionClosed

from producer.clock import now
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter
from producer.feeds.guard import Guard
from producer.line.connection import MAX_MESSAGE_BYTES, FrameConnection
from producer.line.effects import Close, DeadLetters, Effect, Send, Ticks
from producer.line.endpoint import Endpoint
from producer.line.pacing import PING, Pace
from producer.line.protocol import LineProtocol
from producer.line.redirects import Dial
from producer.line.state import Doing
from producer.line.subscription import Subscription
from producer.line.tasks import ConnectionTasks
from producer.line.watchdog import LOOK_SECONDS
from producer.pipeline.event import TOLD_TO_STOP, Event
from schemas import UsageError

T = TypeVar("T")

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 2.0
YIELD_SECONDS = 0.05
"""Frames that can't be read may come by the hundred thousand: the other tasks have their turn after so long."""
_FRAMES = 1_000
"""Frames that are read before the other tasks may have their turn."""


class Pipeline(Protocol):
    """What a line hands its effects to."""

    @property
    def n(self) -> int:
        """The number of the stream's last tick."""
        ...

    @property
    def full(self) -> bool:
        """Whether ``room`` would wait."""
        ...

    async def ticks(self, ticks: list[FeedTick], received: int, *, filtered: bool) -> None:
        """Take ticks that came at one time, µs since the epoch; ``filtered``: the server leaves out volume 0."""
        ...

    def dead_letters(self, letters: Sequence[Letter], received: int) -> None:
        """Take what could not be read."""
        ...

    def event(self, event: Event) -> None:
        """Take what happened to the line."""
        ...

    async def room(self) -> None:
        """Wait until Kafka has taken enough of what was handed on."""
        ...

    def behind(self) -> float:
        """Seconds for which another line of the same codes has brought ticks and this one none."""
        ...


class Line:
    """Keeps one subscription alive until it is stopped."""

    def __init__(
        self,
        endpoint: Endpoint,
        codes: Sequence[str] | None,
        pipeline: Pipeline,
        pace: Pace,
        *,
        name: str = "",
        own_clock: bool = False,
        decode: Callable[[Frame], Decoded] | None = None,
        wall: Callable[[], int] = now,
    ) -> None:
        """A line that feeds ``pipeline``; the other arguments, and errors, are those of ``LineProtocol``."""
        self.name = name
        self.protocol = LineProtocol(
            endpoint,
            codes,
            pace,
            name=name,
            own_clock=own_clock,
            decode=decode,
            position=lambda: pipeline.n,
            wall=wall,
        )
        self._endpoint = endpoint
        self._tls = endpoint.tls()
        self._pipeline = pipeline
        self._pace = pace
        self._wake = asyncio.Event()
        self._turn = 0.0

    @property
    def state(self) -> Doing:
        """What the line is doing."""
        return self.protocol.state.doing

    @property
    def problem(self) -> str | None:
        """What went wrong last, or ended the line; ``None`` while all is well."""
        return self.protocol.state.problem

    @property
    def subscription(self) -> Subscription:
        """What is asked for, and what became of it."""
        return self.protocol.state.subscription

    @property
    def frames(self) -> int:
        """Frames that have come."""
        return self.protocol.state.readability.frames

    @property
    def unreadable(self) -> str | None:
        """Why most of what came lately could not be read; ``None`` where it could."""
        return self.protocol.state.readability.unreadable

    @property
    def ticked_at(self) -> int | None:
        """When the last tick of the connection came, µs since the epoch; ``None`` before the first."""
        return self.protocol.state.connection.ticked_at or None

    @property
    def event_age(self) -> float | None:
        """How old the last tick was when it came, in seconds, by the exchange's clock; ``None`` before the first."""
        connection = self.protocol.state.connection
        return (connection.ticked_at / 1000 - connection.ticked_of) / 1000 if connection.ticked_at else None

    @property
    def guard(self) -> Guard:
        """What of the line's frames could not be read."""
        return self._endpoint.feed.guard

    def want(self, codes: Sequence[str] | None) -> None:
        """Subscribe these instead, without a new connection where the feed allows it."""
        self.protocol.want(codes)
        self._wake.set()

    def check(self, codes: Sequence[str] | None) -> None:
        """Find out whether the feed can be asked for these codes. Nothing is sent.

        Raises:
            UsageError: it can't; the text names the code.
        """
        self.protocol.check(codes)

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop`` is set; then everything that came off the socket has been taken in.

        Raises:
            UsageError: the feed refuses what it is asked in a way that no further attempt changes.
            Exception: a task of the line failed.
        """
        reason, cut_short = TOLD_TO_STOP, False
        try:
            await self._carry_unless(stop, self.protocol.start())
            while not stop.is_set():
                if self.protocol.idle():
                    self._wake.clear()
                    await _unless(stop, self._wake.wait())
                    continue
                await self._live(stop)
                if not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), self.protocol.pause())
        except asyncio.CancelledError:
            reason, cut_short = "cut short", True
            raise
        except BaseException as error:
            reason = self.protocol.text_of(error)
            raise
        finally:
            self._announce(self.protocol.stop(reason, ending=stop.is_set(), cut_short=cut_short))

    async def _live(self, stop: asyncio.Event) -> None:
        """One connection from dialling to its end."""
        self.protocol.dial()
        await _unless(stop, self._pipeline.room())
        if stop.is_set():
            return
        try:
            connection = await _unless(stop, self._dial())
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a server makes of a handshake, the next may be better
            await self._carry_unless(stop, self.protocol.not_dialled(error))
            return
        if connection is None:
            return
        self._announce(self.protocol.connected())
        beside = {
            "closing": self._close_at(stop, connection),
            "sending": self._send(connection),
            "watching": self._watch(connection),
        }
        tasks = ConnectionTasks(connection, self._read(connection), beside)
        try:
            fault = await tasks.ended(self.protocol.failed)
            self._announce(self.protocol.summaries())
            if tasks.cut_short:
                self._announce(self.protocol.cut_short())
            if fault is not None or not stop.is_set():
                closed = connection.close_exc
                code = None if closed.rcvd is None else closed.rcvd.code
                lost = self.protocol.lost(code, str(closed), connection.fault, connection.silent)
                await self._carry_unless(stop, lost)
        finally:
            await tasks.stop()
            self._announce(self.protocol.summaries())

    async def _dial(self) -> FrameConnection:
        for bucket in self._pace.dials:
            await asyncio.sleep(bucket.book(time.monotonic()))
        url = self.protocol.state.address.url
        connection = await Dial(
            url,
            ssl=(self._tls or True) if url.startswith("wss:") else None,
            additional_headers=self._endpoint.headers(),
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # pings are sent here, since providers count them as well, and judged here
            ping_timeout=None,
            create_connection=FrameConnection,
        )
        assert isinstance(connection, FrameConnection)
        return connection

    # The tasks of a connection.

    async def _read(self, connection: FrameConnection) -> None:
        """Take in frames until the connection ends."""
        protocol = self.protocol
        while True:
            frames = await connection.frames()
            for some in [frames] if len(frames) <= _FRAMES else _slices(frames):
                await self._carry(protocol.receive(some))
                if protocol.state.urgent:
                    self._wake.set()
                if some is not frames:
                    await self._take_turns()

    async def _send(self, connection: FrameConnection) -> None:
        """Send what is due, until the connection ends or has to."""
        protocol = self.protocol
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._wake.clear()
                protocol.state.urgent = False
                effect = protocol.outgoing(None if connection.held_back else connection.silent)
                if isinstance(effect, Close):
                    await connection.close(reason="given up")
                    return
                if effect is None:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), protocol.outgoing_wait())
                elif effect.message == PING:
                    _ = await connection.ping()
                else:
                    await connection.send(effect.message)

    async def _watch(self, connection: FrameConnection) -> None:
        """Look now and then whether the connection waits in vain."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for effect in self.protocol.look(self._pipeline.behind()):
                if isinstance(effect, Close):
                    await connection.close(reason="given up")
                    return
                await self._carry([effect])

    @staticmethod
    async def _close_at(stop: asyncio.Event, connection: FrameConnection) -> None:
        """Begin the closing handshake; what the server sent before it ends is still read."""
        await stop.wait()
        await connection.close()

    # Effects.

    async def _carry(self, effects: Iterable[Effect]) -> None:
        """Carry effects out, one by one and in order, and wait until Kafka has room after each."""
        pipeline = self._pipeline
        for effect in effects:
            if type(effect) is Ticks:
                await pipeline.ticks(effect.ticks, effect.received, filtered=effect.filtered)
            else:
                self._put(effect)
                await self._take_turns()
            if pipeline.full:
                await pipeline.room()

    async def _carry_unless(self, stop: asyncio.Event, effects: Iterable[Effect]) -> None:
        """The same, without waiting from when ``stop`` is set on."""
        for effect in effects:
            self._put(effect)
            if self._pipeline.full:
                await _unless(stop, self._pipeline.room())

    def _announce(self, effects: Iterable[Effect]) -> None:
        """Carry out at once what must not wait: the next connection waits for room."""
        for effect in effects:
            self._put(effect)

    def _put(self, effect: Effect) -> None:
        match effect:
            case Event():
                self._pipeline.event(effect)
            case DeadLetters():
                self._pipeline.dead_letters(effect.letters, effect.received)
            case Ticks() | Send() | Close():
                raise TypeError(f"{type(effect).__name__} is carried out by the task of a connection")

    async def _take_turns(self) -> None:
        """Give the other tasks their turn, where this one has had its for long enough."""
        at = time.monotonic()
        if at - self._turn > YIELD_SECONDS:
            await asyncio.sleep(0)
            self._turn = time.monotonic()


def _slices(frames: list[Frame]) -> Iterator[list[Frame]]:
    for start in range(0, len(frames), _FRAMES):
        yield frames[start : start + _FRAMES]


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

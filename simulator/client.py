"""One connection of a server: its session, its page of the ledger, its share of what is pushed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

import orjson
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from simulator import framing
from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Provider, Reply, Sent, Session
from simulator.ledger import Ledger, Page
from simulator.misbehaviour.kind import FrameKind

GOODBYE_SECONDS = 2.0
_LAST_SECONDS = 60.0
_SETTLING_SECONDS = 5.0
_PLAIN = Form()
FLOOD_BYTES = 16 << 20
"""Of empty fragments, on the wire: eight million of them."""
_FRAGMENTS = 1 << 15
_FLOOD_AHEAD = 1 << 20


class Client:
    """A client that has shaken hands; its page of the ledger is opened with its first ticks.

    Attributes:
        muted: no ticks go out any more, until it is gone.
        deaf: messages are not answered either.
        since: when its subscription last changed, by the monotonic clock.
        counted: it is one of its token's connections.
        tricks: how frames are changed, each up to a time of the loop's clock, or once (0).
        recent: the last tick of each code that went out and can be read, where tricks may be played.
    """

    def __init__(
        self, name: str, connection: ServerConnection, session: Session, provider: Provider, ledger: Ledger | None
    ) -> None:
        """See the class."""
        self.name = name
        self.session = session
        self.connection = connection
        self.muted = False
        self.deaf = False
        self.counted = False
        self.since: float | None = None
        self.tricks: list[tuple[FrameKind, float]] = []
        self.recent: dict[str, Print] | None = None
        self._provider = provider
        self._ledger = ledger
        self._page: Page | None = None
        self._compressed = bool(connection.protocol.extensions)

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self.connection.transport.get_write_buffer_size()

    @property
    def open(self) -> bool:
        """Whether anything can be sent."""
        return self.connection.state is State.OPEN and not self.connection.transport.is_closing()

    def push(self, frames: Sequence[bytes], wire: bytes) -> bool:
        """Hand frames to the socket without waiting, and enter them in the ledger; ``False`` when it is closing."""
        if not self.open or self.muted:
            return False
        if self._compressed:
            for frame in frames:
                broadcast([self.connection], frame, text=True)
        else:
            # Straight to the transport: the library's own way costs 10 µs a frame and client, and would make the
            # same bytes. Nothing can come between, since no message of ours is ever fragmented over two writes.
            self.connection.transport.write(wire)
        self._enter(frames)
        return True

    def give(self, prints: Sequence[Print], now: float, draw: random.Random) -> tuple[int, int]:
        """Push its part of the market's ticks in the provider's frames; how many frames and ticks it was sent."""
        if self.muted or not self.session.subscription or not self.open:
            return 0, 0
        mine = self.session.select(prints)
        if not mine:
            return 0, 0
        sent = self._encoded(mine, now, draw)
        return len(sent), self._send(sent)

    def give_again(self, prints: Sequence[Print]) -> tuple[int, int]:
        """Push what was known of codes before they were subscribed."""
        if self.muted or not prints:
            return 0, 0
        sent = self.session.encode(prints)
        return len(sent), self._send(sent)

    def say(self, frames: Sequence[str | bytes]) -> None:
        """Hand a session's frames to the socket, before anything else can be pushed."""
        if self.open:
            self._write([Sent(f.encode() if isinstance(f, str) else f, isinstance(f, bytes), []) for f in frames])

    async def follow(self, reply: Reply) -> None:
        """Send a session's frames, and close where it says so."""
        self.say(reply.frames)
        if reply.close is not None:
            await self.close(*reply.close)

    async def settle(self) -> None:
        """Wait until the client has read all that went out so far: it answers a ping in its order."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_SETTLING_SECONDS):
                await (await self.connection.ping())

    def abort(self) -> None:
        """Reset the connection."""
        self.connection.transport.abort()

    async def flood(self) -> None:
        """Begin a message, go on with empty fragments until the client hangs up or there were enough, and reset."""
        transport, left = self.connection.transport, FLOOD_BYTES
        # RuntimeError is asyncio's word for writing to who has hung up.
        with contextlib.suppress(RuntimeError):
            transport.write(framing.BEGINNING)
            while left > 0 and not transport.is_closing():
                transport.write(framing.EMPTY_FRAGMENT * _FRAGMENTS)
                left -= _FRAGMENTS * len(framing.EMPTY_FRAGMENT)
                while self.unsent > _FLOOD_AHEAD and not transport.is_closing():  # noqa: ASYNC110 - as in ``dismiss``
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0)
        transport.abort()

    def leave(self) -> None:
        """Close what is kept of it."""
        if self._page is not None:
            self._page.close()

    async def close(self, code: int, reason: str, seconds: float = GOODBYE_SECONDS) -> None:
        """Say goodbye, and hang up on a client that does not take even that."""
        try:
            async with asyncio.timeout(seconds):
                await self.connection.close(code, reason)
        except TimeoutError:
            self.connection.transport.abort()

    async def dismiss(self, message: bytes, code: int, reason: str) -> None:
        """Send a last message behind all that was pushed, and say goodbye when it is taken.

        Who has not taken all of it after ``_LAST_SECONDS`` is hung up on.
        """
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.connection.send(message, text=True)
                while self.unsent:  # noqa: ASYNC110 - the transport tells nobody but its own protocol
                    await asyncio.sleep(0.005)
        await self.close(code, reason)

    def _encoded(self, mine: list[Print], now: float, draw: random.Random) -> list[Sent]:
        session, recent = self.session, self.recent
        if recent is None:
            return session.encode(mine)
        tricks, self.tricks = self.tricks, [trick for trick in self.tricks if trick[1] > now]
        session.form = _PLAIN
        for kind, _ in tricks:
            session.form = kind.form(session.form)
        sent = session.encode(mine)
        for kind, _ in tricks:
            sent = kind.frames(sent, session, recent, self._provider, draw)
        # A round that nobody can read must not come again: its ticks are not in the ledger.
        for one in mine if any(frame.ticks for frame in sent) else ():
            recent.pop(one.code, None)  # so that the dict is in the order of the last ticks
            recent[one.code] = one
        session.form = _PLAIN
        return sent

    def _write(self, sent: Sequence[Sent]) -> None:
        if self._compressed:
            for one in sent:
                broadcast([self.connection], one.payload, text=not one.binary)
        else:
            wire = [framing.message(one.payload, binary=one.binary, pieces=one.pieces) for one in sent]
            self.connection.transport.write(b"".join(wire))

    def _send(self, sent: Sequence[Sent]) -> int:
        self._write(sent)
        self._enter([orjson.dumps({"ticks": one.ticks}) for one in sent if one.ticks])
        return sum(len(one.ticks) for one in sent)

    def _enter(self, lines: Sequence[bytes]) -> None:
        if self._ledger is None or not lines:
            return
        if self._page is None:
            self._page = self._ledger.open(self.name)
        self._page.write(lines)

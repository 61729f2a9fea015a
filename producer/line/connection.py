"""A WebSocket client connection that hands over whole batches of frames: one wake-up a TCP read, not one a frame.

``recv()`` of the library costs a task switch for each message, which is most of the price of a feed that sends one
tick a frame, and it hides whether a message was text or binary. What a frame is, pings, the closing handshake and the
limit on a message's size stay the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Opcode

from producer.clock import now
from producer.feeds.decoded import Frame

MAX_MESSAGE_BYTES = 16 << 20
"""A frame of the whole market is about 1 MB. The server hears close code 1009 for more than this."""
HELD_BYTES = 2 << 20
"""Frames held beyond this stop the reading of the socket, and TCP pushes back on the server."""
MAX_FRAGMENTS = 10_000
"""Fragments of one message; a server that sends whole messages of any size in pieces of 2 KiB stays below."""
MAX_UNREAD_BYTES = 1 << 20
"""Answers to pings, and requests of ours, that the server does not read: beyond, it is not going to."""
MAX_PINGS = 16
"""Pings of ours without an answer that are remembered."""
_PIECE = 64 << 10
_LAST_WORD_SECONDS = 1.0
_FRAME_COST = 256  # bytes of memory that even an empty frame takes here

_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


class FrameConnection(ClientConnection):
    """The library's connection with ``frames()`` instead of ``recv()``; one reader at a time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Made by ``websockets.asyncio.client.connect(..., create_connection=FrameConnection)``."""
        super().__init__(*args, **options)
        self.heard = self.loop.time()
        """The loop's time at which bytes last came, pongs included."""
        self.held_back = False
        """Whether the socket is not read because the reader is behind: then silence is ours, not the server's."""
        self.fault: str | None = None
        """Which bound the server went beyond, where that ended the connection."""
        self._frames: list[Frame] = []
        self._held = 0
        self._received = 0
        """When the last bytes came off the socket, µs since the epoch: all frames that they complete came then."""
        self._message: bytearray | None = None
        """What has come of a message in fragments."""
        self._fragments = 0
        self._binary = False
        self._given_up = False
        self._reader: asyncio.Future[None] | None = None

    @property
    def silent(self) -> float:
        """Seconds since bytes last came."""
        return self.loop.time() - self.heard

    async def frames(self) -> list[Frame]:
        """Every message since the last call, at least one, in order.

        Raises:
            websockets.ConnectionClosed: the connection is closed and every message that came before has been given.
        """
        while not self._frames:
            if self.connection_lost_waiter.done():
                raise self.close_exc
            self._reader = self.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        frames, self._frames, self._held = self._frames, [], 0
        if self.held_back:
            self.held_back = False
            self.transport.resume_reading()
        return frames

    def data_received(self, data: bytes) -> None:
        """Take what one read of the socket gave (for asyncio)."""
        self.heard = self.loop.time()
        self._received = now()
        if len(data) <= _PIECE:
            super().data_received(data)
        else:  # the library makes an object of each frame of what it is given: half a million of empty ones in 1 MiB
            for start in range(0, len(data), _PIECE):
                super().data_received(data[start : start + _PIECE])
        if self._frames:
            self._wake()
            if self._held > HELD_BYTES and not self.held_back:
                self.held_back = True
                self.transport.pause_reading()
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._given_up, self.fault = True, f"the server leaves more than {MAX_UNREAD_BYTES:,} bytes unread"
            self.transport.abort()

    def process_event(self, event: Any) -> None:
        """Keep data frames; leave control frames and the handshake to the library (for the library)."""
        if self.response is None or event.opcode not in _DATA:
            super().process_event(event)
            return
        payload, binary = event.data, event.opcode is Opcode.BINARY
        if self._message is not None or not event.fin:
            if self._given_up:
                return
            if self._message is None:
                self._message, self._fragments, self._binary = bytearray(), 0, binary
            self._message += payload
            self._fragments += 1
            if self._fragments > MAX_FRAGMENTS:
                self._give_up(f"a message of more than {MAX_FRAGMENTS:,} fragments")
                return
            if not event.fin:
                return
            payload, binary, self._message = self._message, self._binary, None
        self._held += len(payload) + _FRAME_COST
        self._frames.append(Frame(bytes(payload), binary, self._received))

    async def ping(self, data: Any = None) -> Awaitable[float]:
        """Send a ping; the answers to earlier ones are not waited for without end."""
        while len(self.pending_pings) >= MAX_PINGS:
            self.pending_pings.pop(next(iter(self.pending_pings)))[0].cancel()
        return await super().ping(data)

    def _give_up(self, reason: str) -> None:
        """End a connection whose server sends what is not held."""
        self._given_up, self._message, self.fault = True, None, reason
        self.protocol.fail(CloseCode.MESSAGE_TOO_BIG, reason)
        self.send_data()
        self.loop.call_later(_LAST_WORD_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader: no more will come (for asyncio)."""
        super().connection_lost(exc)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

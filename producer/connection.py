"""A WebSocket client connection that hands over whole batches of frames: one wake-up a TCP read, not one a frame.

``recv()`` of the library costs a task switch for each message, which is most of the price of a feed that sends one
tick a frame, and it hides whether a message was text or binary. What a frame is, pings, the closing handshake and the
limit on a message's size stay the library's.
"""

from __future__ import annotations

import asyncio

from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from producer.clock import now
from producer.feeds.decoded import Frame

MAX_MESSAGE_BYTES = 16 << 20
"""A frame of the whole market is about 1 MB. The server hears close code 1009 for more than this."""
HELD_BYTES = 2 << 20
"""Frames held beyond this stop the reading of the socket, and TCP pushes back on the server."""
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
        self._frames: list[Frame] = []
        self._held = 0
        self._received = 0
        """When the last bytes came off the socket, µs since the epoch: all frames that they complete came then."""
        self._fragments: list[WireFrame] = []
        self._reader: asyncio.Future[None] | None = None

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
        super().data_received(data)
        if self._frames:
            self._wake()
            if self._held > HELD_BYTES and not self.held_back:
                self.held_back = True
                self.transport.pause_reading()

    def process_event(self, event: Any) -> None:
        """Keep data frames; leave control frames and the handshake to the library (for the library)."""
        if self.response is None or event.opcode not in _DATA:
            super().process_event(event)
            return
        payload, opcode = event.data, event.opcode
        if self._fragments or not event.fin:
            self._fragments.append(event)
            if not event.fin:
                return
            opcode = self._fragments[0].opcode
            payload = b"".join(fragment.data for fragment in self._fragments)
            self._fragments = []
        self._held += len(payload) + _FRAME_COST
        self._frames.append(Frame(bytes(payload), opcode is Opcode.BINARY, self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader that no more will come (for asyncio)."""
        super().connection_lost(exc)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

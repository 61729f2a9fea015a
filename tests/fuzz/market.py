"""A hostile server of the post's feed for a live producer: good ticks, and beside them frames that should break it.

Frames that a client may live through are sent among the ticks; what ends a connection comes when all before was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from producer.feeds.decoded import Frame
from tests.fuzz.frames import floods, spoilt
from tests.fuzz.values import MIB
from tests.producer.feeds.genuine import RECEIVED, feed

LIVE = ("601318", "000858", "300059")
"""Codes that are pushed over the socket."""
_ROUND = 0.05
_ENDING_EVERY = 6.0
_EMPTY = b"\x00\x00"
"""A continuation frame without anything, which is not the last (RFC 6455, 5.4)."""
_ATTACK_BYTES = 48 * MIB


class HostileMarket:
    """Serves every connection.

    Attributes:
        sent: the good ticks that went out, by code, in order: price and time.
        attacks: what was done, for a report.
        quiet: nothing is pushed any more.
    """

    def __init__(self, seed: int) -> None:
        """Nobody is connected."""
        self.sent: dict[str, list[tuple[float, int]]] = {code: [] for code in LIVE}
        self.attacks: list[str] = []
        self.quiet = False
        self.url = ""
        self._draw = random.Random(f"market {seed}")
        self._bad = (one for one in spoilt("post", random.Random(f"socket {seed}")) if _harmless(*one))
        self._floods = list(floods())
        self._endings: Iterator[Callable[[ServerConnection], object]] = self._cycle()
        self._price = dict.fromkeys(LIVE, 5_000)

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[None]:
        """Accept connections until the block ends."""
        async with serve(self._serve, "127.0.0.1", 0, compression=None, max_size=MIB, ping_interval=None) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield

    async def _serve(self, connection: ServerConnection) -> None:
        # asyncio's own words for writing to who has hung up.
        with contextlib.suppress(ConnectionClosed, OSError, RuntimeError):
            async for message in connection:
                with contextlib.suppress(ValueError):
                    if json.loads(message).get("action") == "subscribe":
                        await connection.send('{"type":"subscribed","symbols":"*","trades_only":false}')
                        await self._push(connection)

    async def _push(self, connection: ServerConnection) -> None:
        begun = time.monotonic()
        while not self.quiet:
            await connection.send(self._tick())
            for _ in range(6):
                payload, binary = next(self._bad)
                await self._bytes(connection, payload, text=not binary)
            if self._floods:
                flood = self._floods.pop()
                self.attacks.append(f"a frame of {len(flood):,} bytes: {flood[:20]!r}")
                await self._bytes(connection, flood, text=True)
            elif time.monotonic() - begun > _ENDING_EVERY:
                # Whoever has answered this has read all that came before it.
                await asyncio.wait_for(await connection.ping(), 120.0)
                await asyncio.sleep(0.5)
                await next(self._endings)(connection)  # type: ignore[misc]
                return
            await asyncio.sleep(_ROUND)
        await connection.wait_closed()

    async def _bytes(self, connection: ServerConnection, payload: bytes, *, text: bool) -> None:
        """As text only where it is UTF-8: what is none ends a connection, by the protocol."""
        with contextlib.suppress(UnicodeDecodeError):
            if text:
                payload.decode("utf-8")
                await connection.send(payload, text=True)
                return
        await connection.send(payload, text=False)

    def _tick(self) -> str:
        code = self._draw.choice(LIVE)
        self._price[code] += self._draw.randint(-3, 3)
        price, at = self._price[code] / 100, time.time_ns() // 1_000_000
        sent = self.sent[code]
        if sent:
            at = max(at, sent[-1][1] + 1)
        sent.append((price, at))
        return json.dumps({"ticks": [{"code": code, "price": price, "time": at, "volume": 100}]})

    def _cycle(self) -> Iterator[Callable[[ServerConnection], object]]:
        endings = [
            self._empty_fragments, self._escapes, self._too_long, self._not_utf8, self._reset, self._nonsense,
            self._words, self._long_fragments,
        ]  # fmt: skip
        while True:
            yield from self._draw.sample(endings, len(endings))

    async def _empty_fragments(self, connection: ServerConnection) -> None:
        self.attacks.append("empty fragments without end")
        await self._raw(connection, b"\x01\x00", _EMPTY * (MIB // 2))

    async def _long_fragments(self, connection: ServerConnection) -> None:
        self.attacks.append("fragments without end")
        await self._raw(connection, b"\x01\x00", (b"\x00\x7e\xff\xff" + b" " * 65_535) * 16)

    async def _raw(self, connection: ServerConnection, head: bytes, block: bytes) -> None:
        """Write to the socket past the library, until the client has enough, or this has."""
        transport, sent = connection.transport, 0
        transport.write(head)
        while not transport.is_closing() and sent < _ATTACK_BYTES:
            transport.write(block)
            sent += len(block)
            while transport.get_write_buffer_size() > 4 * MIB and not transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        transport.abort()

    async def _escapes(self, connection: ServerConnection) -> None:
        self.attacks.append("escape sequences in a close reason")
        await connection.close(4000, "\x1b[2J\x1b]0;owned\x07\r\nINFO all is well \u202e")

    async def _too_long(self, connection: ServerConnection) -> None:
        self.attacks.append("a frame of 40 MiB")
        await connection.send(b" " * (40 * MIB), text=True)
        await connection.wait_closed()

    async def _not_utf8(self, connection: ServerConnection) -> None:
        self.attacks.append("a text frame that is not UTF-8")
        await connection.send(b'{"ticks":[{"code":"\xff\xfe"}]}', text=True)
        await connection.wait_closed()

    async def _reset(self, connection: ServerConnection) -> None:
        self.attacks.append("a reset")
        connection.transport.abort()

    async def _nonsense(self, connection: ServerConnection) -> None:
        self.attacks.append("bytes that are not a WebSocket frame")
        connection.transport.write(self._draw.randbytes(4_096))
        await asyncio.sleep(0.2)
        connection.transport.abort()

    async def _words(self, connection: ServerConnection) -> None:
        self.attacks.append("an error in the server's words")
        words: dict[str, object] = {
            "type": "error",
            "code": "\x1b[31m",
            "message": "\u0000" + "A" * 100_000,
            "symbols": [None, {}],
        }
        await connection.send(json.dumps(words))
        connection.transport.abort()


def _harmless(payload: bytes, binary: bool) -> bool:
    """Whether it is not a word on which a right client stops: a refused token, a second login."""
    try:
        answers = feed("post").decode(Frame(payload, binary, RECEIVED)).answers
    except Exception:  # noqa: BLE001 - that is for the decoders' part to find, and for the producer to survive
        return True
    return all(answer.kind in {"other", "pong", "subscribed"} for answer in answers)

"""A feed that is faster than anything that reads it: frames made beforehand, pushed as fast as one client takes them.

``python -m benchmarks.blaster --ticks 1000000 --ticks-per-frame 50``: prints its port; says ``subscribed`` when the
client has asked for ticks, and pushes when it reads a line. The ticks are the simulator's own; only drawing and framing
them is done before anybody waits, so that what is measured is who reads.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from datetime import date

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.load import START
from simulator.market import Market
from simulator.universe import universe

_BLOCK = 256 << 10
_UNSENT = 1 << 20
_DAY = date(2026, 11, 20)
_TEXT = 0x81
"""A whole text message in one frame (RFC 6455, 5.2); a server does not mask."""


def texts(ticks: int, codes: int) -> Iterator[list[str]]:
    """The ticks' JSON, some thousand at a time."""
    market = Market(universe(codes, 1), 1, _DAY)
    for at in range(0, ticks, 5_000):
        yield market.take([START + n // 100 for n in range(at, min(ticks, at + 5_000))])[1]


def frames(ticks: int, per_frame: int, codes: int = 5_400) -> list[bytes]:
    """The frames' JSON."""
    return [
        ('{"ticks":[' + ",".join(some[at : at + per_frame]) + "]}").encode()
        for some in texts(ticks, codes)
        for at in range(0, len(some), per_frame)
    ]


def _blocks(ticks: int, per_frame: int, codes: int) -> list[bytes]:
    """The bytes of all frames, in pieces."""
    whole = b"".join(part for frame in frames(ticks, per_frame, codes) for part in (_head(len(frame)), frame))
    return [whole[at : at + _BLOCK] for at in range(0, len(whole), _BLOCK)]


def _head(length: int) -> bytes:
    if length <= 125:
        return bytes((_TEXT, length))
    if length < 1 << 16:
        return bytes((_TEXT, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT, 127)) + length.to_bytes(8, "big")


async def blast(blocks: list[bytes]) -> None:
    """Serve one client, until killed."""

    async def push(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type":"subscribed","symbols":"*","trades_only":false}')
        _say("subscribed")
        await asyncio.to_thread(sys.stdin.readline)
        transport = connection.transport
        for block in blocks:
            if transport.is_closing():
                return
            transport.write(block)
            while transport.get_write_buffer_size() > _UNSENT:  # noqa: ASYNC110 - nobody tells when it shrinks
                await asyncio.sleep(0.0005)
        await connection.wait_closed()

    async with serve(push, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        _say(str(next(iter(server.sockets)).getsockname()[1]))
        await server.serve_forever()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, required=True)
    parser.add_argument("--ticks-per-frame", type=int, default=50)
    parser.add_argument("--codes", type=int, default=5_400)
    given = parser.parse_args()
    uvloop.run(blast(_blocks(given.ticks, given.ticks_per_frame, given.codes)))

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

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from simulator import framing
from simulator.run import generated

_BLOCK = 256 << 10
_UNSENT = 1 << 20
_FAR = 1e6  # seconds of the market's own time: everything is due


def texts(ticks: int, codes: int) -> Iterator[list[str]]:
    """The ticks' JSON, some thousand at a time."""
    source = generated(rate="flat", codes=codes, seed=1)
    left = ticks
    while left:
        batch = source.take(_FAR, min(left, 5_000)).texts
        left -= len(batch)
        yield batch


def frames(ticks: int, per_frame: int, codes: int = 5_400) -> list[bytes]:
    """The frames' JSON."""
    return [frame for some in texts(ticks, codes) for frame in framing.payloads(some, per_frame)]


def _blocks(ticks: int, per_frame: int, codes: int) -> list[bytes]:
    """The bytes of all frames, in pieces."""
    whole = b"".join(framing.wire(framing.payloads(some, per_frame)) for some in texts(ticks, codes))
    return [whole[at : at + _BLOCK] for at in range(0, len(whole), _BLOCK)]


async def blast(blocks: list[bytes]) -> None:
    """Serve one client, until killed."""

    async def push(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type":"subscribed","symbols":"*","trades_only":false}')
        _say("subscribed")
        await asyncio.to_thread(sys.stdin.readline)
        transport = connection.transport
        for block in blocks:
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

"""The gateway under many clients: how old a row is when it comes, memory and CPU, against the number of clients.

    python -m benchmarks.gateway

Ticks are published at a steady pace; a fifth of the clients takes all codes, the others take 50 each; then 100 that
never read come beside them. Row ages are from the receipt of the tick to the client. As a peer, every tick to every
client by ``websockets.broadcast``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psutil

from benchmarks.kafka import own_kafka
from benchmarks.load import Load
from benchmarks.results import Result, begin, finish, options
from broker.publisher import Publisher
from schemas import encode
from schemas.topics import TICKS, partition_of, topics

_STEP = 0.01
_STARTING = 60.0
_EXTRA_SECONDS = 180.0
NAIVE = "websockets.broadcast of every tick"


class Published:
    """How many ticks there are."""

    def __init__(self) -> None:
        """None."""
        self.ticks = 0


async def feed(bootstrap: str, rate: float, codes: int, published: Published) -> None:
    """Publish ticks at a pace, each received now, until cancelled."""
    publisher = Publisher(bootstrap, client_id="bench-load", limit_bytes=32 << 20)
    await publisher.start(TICKS)
    count = topics()[TICKS].partitions
    queues = [publisher.queue(TICKS, partition) for partition in range(count)]
    begun, n = time.monotonic(), 0
    try:
        while True:
            for tick in Load(1_000_000, codes).draw():
                if n >= (time.monotonic() - begun) * rate:
                    await asyncio.sleep(_STEP)
                published.ticks = n = n + 1
                now = time.time_ns() // 1000
                one = msgspec.structs.replace(tick, received=now, time=now // 1000, n=n)
                queues[partition_of(one.code, count)].add(one.code.encode(), encode(one), now // 1000)
    finally:
        await publisher.stop()


@asynccontextmanager
async def served(*command: str, **environment: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    """A server as a process; gives its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=dict(os.environ) | environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_STARTING):
            said = (await process.stdout.readline()).decode()
        if "serving" not in said:
            raise SystemExit(f"{' '.join(command)} did not start: {said}")
        yield int(said.rstrip().rstrip("/").rpartition(":")[2]), psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def measured(
    given: Namespace, port: int, server: psutil.Process, clients: int, *, silent: int = 0, subscribe: bool = True
) -> dict[str, Any]:
    """What so many clients get, and what the server uses meanwhile."""
    wild = max(1, clients // 5)
    asked = {
        "port": port, "wild": wild, "narrow": clients - wild, "silent": silent, "max_hz": given.max_hz,
        "seconds": given.seconds, "codes": given.codes, "subscribe": subscribe,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.gateway_clients",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    answered = asyncio.ensure_future(process.stdout.readline())
    begun, rss = time.monotonic(), 0.0
    before = server.cpu_times()
    try:
        while not answered.done() and time.monotonic() - begun < given.seconds + _EXTRA_SECONDS:
            rss = max(rss, server.memory_info().rss / 1e6)
            await asyncio.wait({answered}, timeout=0.2)
        after, passed = server.cpu_times(), time.monotonic() - begun
        found = json.loads(answered.result()) if answered.done() and answered.result() else {}
    finally:
        answered.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
    cpu = 100 * (after.user + after.system - before.user - before.system) / passed
    return found | {"MB": rss, "% CPU": cpu}


def _read_ticks(port: int) -> float | None:
    """Ticks that the gateway has read so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("ashare_gateway_ticks_total "):
                return float(line.split()[1])
    return None


async def measure(given: Namespace, result: Result) -> None:
    """All of it, against one broker."""
    async with own_kafka() as bootstrap:
        published = Published()
        feeding = asyncio.create_task(feed(bootstrap, given.rate, given.codes, published))
        try:
            await asyncio.sleep(2)
            gateway = ("-m", "cli", "gateway", "--bootstrap", bootstrap, "--port", "0")
            for _ in range(given.repeats):
                for clients in given.clients:
                    async with served(*gateway) as (port, server):
                        values = await measured(given, port, server, clients)
                        read = await asyncio.to_thread(_read_ticks, port)
                        values["ticks behind"] = None if read is None else published.ticks - read
                        result.add(f"{clients} clients", values)
                most = max(given.clients)
                async with served(*gateway) as (port, server):
                    values = await measured(given, port, server, most, silent=given.silent)
                    result.add(f"{most} clients and {given.silent} that never read", values)
                for clients in given.naive:
                    peer = ("-m", "benchmarks.peers.naive_broadcast")
                    async with served(*peer, BENCH_BOOTSTRAP=bootstrap, BENCH_INPUT=TICKS) as (port, server):
                        values = await measured(given, port, server, clients, subscribe=False)
                        result.add(f"{clients} clients, {NAIVE}", values)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, repeats=1, seconds=20.0)
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 10, 100, 1000, 2000])
    parser.add_argument("--naive", nargs="*", type=int, default=[1, 10, 100], help="clients of the peer")
    parser.add_argument("--silent", type=int, default=100, help="clients that never read")
    parser.add_argument("--rate", type=float, default=5_000.0, help="ticks a second")
    parser.add_argument("--codes", type=int, default=3_000)
    parser.add_argument("--max-hz", type=float, default=10.0, dest="max_hz")
    given = parser.parse_args()
    result = begin(given, "gateway")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

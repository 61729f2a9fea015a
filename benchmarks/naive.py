"""The whole pipeline against the first version that anyone writes: one acknowledged send, event and INSERT a tick.

``python -m benchmarks.naive``: the same feed, faster than both; rows/s in the store, from the first to the last, for
as long as ``--seconds`` says. Both stores are SQLite, WAL, synchronous=FULL.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from argparse import Namespace
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.kafka import make, own_kafka, renew
from benchmarks.load import THRESHOLD
from benchmarks.measured import Filled, ended, used
from benchmarks.producing import feed, go, line
from benchmarks.results import Result, Value, begin, finish, options
from benchmarks.working import EFFECTS, status
from deploy.embedded import free_port
from schemas.topics import TICKS, topics

Stored = Callable[[], Awaitable[int]]
PARTITIONS = topics()[TICKS].partitions
GROUPS = ["ashare-snapshots", "ashare-storage", "ashare-changes"]
_ROOT = Path(__file__).parents[1]
_LOOK = 0.1


async def _start(bootstrap: str, address: str, directory: Path, module: str, *arguments: str) -> Process:
    with (directory / f"{module}-{arguments[0] if arguments else ''}.log".replace("/", "-")).open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env=os.environ
            | {
                "BENCH_BOOTSTRAP": bootstrap,
                "BENCH_FEED": address,
                "BENCH_GROUP": directory.name,
                "PYTHONPATH": str(_ROOT),
            },
            cwd=directory,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


async def ours(bootstrap: str, address: str, directory: Path) -> tuple[list[Process], Stored]:
    """``ashare process`` with every agent, and ``ashare produce``."""
    port = free_port()
    worker = await _start(
        bootstrap, address, directory, "cli",
        *("process", "--bootstrap", bootstrap, "--store", f"sqlite:///{directory}/ticks"),
        *("--threshold", THRESHOLD, "--web-port", str(port)),
    )  # fmt: skip
    async with asyncio.timeout(60):
        while not (said := await status(port)) or not said["recovered"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_LOOK)
    told = ("--bootstrap", bootstrap, "--url", address, "--symbols", "*", "--own-clock")
    producer = await _start(bootstrap, address, directory, "cli", "produce", *told)

    async def stored() -> int:
        said = await status(port)
        return int(said["stored"]) if said else 0

    return [producer, worker], stored


async def first_version(bootstrap: str, address: str, directory: Path) -> tuple[list[Process], Stored]:
    """The naive ones."""
    # A changelog that Faust makes itself is unknown to it for a while, and its agent then fails.
    for table in ("last", "snapshots"):
        await make(bootstrap, f"{directory.name}-{table}-changelog", PARTITIONS)
    worker = await _start(bootstrap, address, directory, "benchmarks.peers.naive_worker", str(directory))
    await asyncio.sleep(8)
    producer = await _start(bootstrap, address, directory, "benchmarks.peers.wait_recorder")

    async def stored() -> int:
        try:
            with sqlite3.connect(f"file:{directory / 'ticks.sqlite'}?mode=ro", uri=True) as connection:
                return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM ticks").fetchone()[0])
        except sqlite3.Error:
            return 0

    return [producer, worker], stored


PIPELINES = {"ashare-stream": ours, "one send, event and INSERT a tick": first_version}


async def run(name: str, bootstrap: str, given: Namespace) -> dict[str, Value]:
    """One pipeline, from an empty topic."""
    await renew(bootstrap, [TICKS, *EFFECTS], GROUPS)
    with tempfile.TemporaryDirectory(prefix="ashare-bench-", ignore_cleanup_errors=True) as directory:
        async with feed(given.ticks, given.ticks_per_frame) as (address, pushing):
            processes, stored = await PIPELINES[name](bootstrap, address, Path(directory))
            try:
                await line(pushing)
                go(pushing)
                filled = await _fill(stored, given.ticks, given.seconds)
                spent = [used(process.pid) for process in processes]
            finally:
                for process in processes:
                    await ended(process, grace=5)
    cpu = sum(one.cpu for one in spent)
    return {
        "stored ticks/s": filled.rate,
        "µs CPU a tick": cpu / max(1, filled.records) * 1e6,
        "MB": sum(one.rss for one in spent),
        "done": filled.records / given.ticks,
    }


async def _fill(stored: Stored, ticks: int, seconds: float) -> Filled:
    looks: list[tuple[float, int]] = []
    begun = time.monotonic()
    while True:
        rows, now = await stored(), time.monotonic()
        looks.append((now, rows))
        if rows >= ticks or now - begun > seconds:
            return Filled(looks)
        await asyncio.sleep(_LOOK)


async def measure(given: Namespace, result: Result) -> None:
    """Both in turn."""
    async with own_kafka() as bootstrap:
        await make(bootstrap, "bench.naive-changes", PARTITIONS)
        for _ in range(given.repeats):
            for name in PIPELINES:
                result.add(name, await run(name, bootstrap, given))


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=1_500_000, repeats=3, seconds=20.0)
    parser.add_argument("--ticks-per-frame", type=int, default=50)
    given = parser.parse_args()
    result = begin(given, "naive")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

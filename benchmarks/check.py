"""Whether what was fast still is: ratios measured now against ``bench_bounds.json``, in less than a minute.

``python -m benchmarks.check``: both sides of a ratio are measured one right after the other, three times, so that a
busy machine slows both. Where waiting for Kafka is the same on both sides, CPU time is compared, not the clock.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import decoding, limits, publishing, storing
from benchmarks.blaster import frames
from benchmarks.bounds import judge, load
from benchmarks.kafka import make, own_kafka
from benchmarks.load import Load
from benchmarks.results import hush, options
from benchmarks.working import work

Measured = defaultdict[str, list[float]]
REPEATS = 3
FRAMES, STORED, PUBLISHED = 100_000, 60_000, 60_000


def decode(measured: Measured) -> None:
    """The producer's decoder, wide frames and narrow."""
    for per in (1, 100):
        some = frames(FRAMES, per)
        for _ in range(REPEATS):
            ours, orjson = decoding.decoded(some), decoding.parsed(some)
            measured[f"decode, {per} a frame / orjson.loads"].append(orjson / ours)


async def store(measured: Measured) -> None:
    """SQLite, as the storage agent writes it."""
    load = storing.batches(STORED, 1_000)
    with tempfile.TemporaryDirectory(prefix="ashare-bench-") as directory:
        for turn in range(REPEATS):
            ours = await storing.inside(f"sqlite:///{directory}/ours-{turn}", load)
            raw = storing.raw(Path(directory) / f"raw-{turn}", load)
            measured["SQLite store / executemany alone"].append(ours / raw)


async def kafka(measured: Measured, ticks: int) -> None:
    """Reading, publishing, and a worker, against one broker."""
    async with own_kafka() as bootstrap:
        await Load(ticks).publish(bootstrap)
        await make(bootstrap, publishing.TOPIC, publishing.PARTITIONS)
        ready = publishing.records(PUBLISHED)
        for _ in range(REPEATS):
            # µs of CPU a tick: less is better, so a ratio has the other's on top.
            _, getmany = await limits.rate(limits.getmany, bootstrap, ticks)
            _, chunks = await limits.rate(limits.chunks, bootstrap, ticks)
            _, decoded = await limits.rate(limits.decoded_chunks, bootstrap, ticks)
            measured["chunks / aiokafka getmany"].append(getmany / chunks)
            measured["chunks, decoded / chunks"].append(chunks / decoded)
            ours = await publishing.publish(publishing.publisher, bootstrap, ready)
            send = await publishing.publish(publishing.send, bootstrap, ready)
            librdkafka = await publishing.publish(publishing.librdkafka, bootstrap, ready)
            measured["publisher / aiokafka send"].append(send.cpu / ours.cpu)
            measured["publisher / librdkafka"].append(librdkafka.cpu / ours.cpu)
            worked = await work(bootstrap, "changes", ticks, seconds=20)
            if not worked.done:
                raise SystemExit("bench-check: a worker with the changes agent was not done after 20 s")
            measured["changes worker / chunks"].append(chunks / worked.cpu)


async def measure(ticks: int) -> Measured:
    """Every ratio."""
    measured: Measured = defaultdict(list)
    decode(measured)
    await store(measured)
    await kafka(measured, ticks)
    return measured


def main() -> None:
    """Measure, print, and exit with 1 where a bound does not hold."""
    given = options(__doc__, ticks=200_000).parse_args()
    hush()
    begun = time.monotonic()
    bounds = load()
    lines = judge(asyncio.run(measure(given.ticks)), bounds)
    for line in lines:
        sys.stdout.write(f"{'ok  ' if line.holds else 'FAIL'} {line.name:<36} {line.text}\n")
    failed = [line.name for line in lines if not line.holds]
    took = time.monotonic() - begun
    if failed:
        sys.stderr.write(f"bench-check: slower than it was: {'; '.join(failed)} ({took:.0f} s)\n")
        sys.exit(1)
    sys.stdout.write(f"bench-check: {len(lines)} ratios hold ({took:.0f} s)\n")


if __name__ == "__main__":
    main()

"""From the socket to a reader of price changes, in a pipeline that runs, against two raw hops through the same Kafka.

``python -m benchmarks.latency``: for each rate a stack that has run warm; then in turns the pipeline, and, with its
producer ended, ``benchmarks.hops`` at the same rate through the same broker: produce, consume and send on, consume.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace

from benchmarks.hops import latency
from benchmarks.hops import measure as raw_hops
from benchmarks.results import Result, begin, finish, options
from benchmarks.running import end_producer, stack
from deploy.local.stack import Stack
from schemas.topics import PRICE_CHANGES, topics
from selfcheck.latency import LatencyWatch, watched

RATES = (400, 5_000, 30_000)
_WARM, _AGAIN = 15.0, 5.0
"""Seconds that do not count: after the start, and after the producer's."""


async def ages(running: Stack, rate: int, seconds: float, warm: float) -> list[float]:
    """Of every price change that comes in so many seconds, ms since its tick came off the socket."""
    partitions = watched(range(topics()[PRICE_CHANGES].partitions), rate)
    watch = LatencyWatch(running.bootstrap, PRICE_CHANGES, partitions)
    await watch.start()
    looking = asyncio.create_task(watch.run())
    try:
        running.feed()
        await asyncio.sleep(warm)
        watch.take()
        await asyncio.sleep(seconds)
        for part in running.parts:
            if part.name != "producer" or part is running.parts[-1]:  # those of earlier turns have ended
                part.check()
        if not (seen := watch.take()):
            raise SystemExit(f"no price change came at {rate:,} ticks/s: see whether `ashare verify` is ok")
        return [age / 1000 for age in seen]
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await watch.stop()
        await end_producer(running)


async def measure(given: Namespace, result: Result) -> None:
    """Every rate, in turns."""
    for rate in given.rates:
        per_frame = given.ticks_per_frame or (1 if rate <= 10_000 else 50)
        async with stack("--rate", str(rate), "--ticks-per-frame", str(per_frame)) as running:
            for turn in range(given.repeats):
                ours = latency(await ages(running, rate, given.seconds, _AGAIN if turn else _WARM))
                hops = await raw_hops(running.bootstrap, rate, given.seconds)
                for name, seen in ((f"{rate:,} ticks/s", ours), (f"two raw hops at {rate:,}/s", hops)):
                    result.add(
                        name,
                        {
                            "p50 ms": seen.p50,
                            "p99 ms": seen.p99,
                            "p99.9 ms": seen.p999,
                            "samples": seen.samples,
                            **({"p50, × the hops": seen.p50 / hops.p50} if seen is ours else {}),
                            **({"p99, × the hops": seen.p99 / hops.p99} if seen is ours else {}),
                        },
                    )


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, repeats=3, seconds=15.0)
    parser.add_argument("--rates", nargs="+", type=int, default=list(RATES))
    parser.add_argument("--ticks-per-frame", type=int, default=0, help="default: 1 up to 10,000/s, then 50")
    given = parser.parse_args()
    result = begin(given, "latency")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""What a tick costs by how many codes there are, how many partitions, and how many ticks a frame carries.

``python -m benchmarks.sweeps``: one worker with every agent over a full topic, for each number of codes (partitions as
declared) and of partitions (5,400 codes); the producer process, for each number of ticks a frame.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace

from benchmarks.kafka import own_kafka, renew
from benchmarks.load import Load
from benchmarks.producing import OURS, produce
from benchmarks.results import Result, Value, begin, finish, options
from benchmarks.working import EFFECTS, Worked, work
from cli import wide
from schemas.topics import TICKS, topics

ALL = "snapshots,storage,changes"
DECLARED = topics()[TICKS].partitions


def _values(got: Worked) -> dict[str, Value]:
    return {"ticks/s": got.rate, "µs CPU a tick": got.cpu, "MB": got.rss, "all there": got.done}


async def codes_and_partitions(given: Namespace, result: Result) -> None:
    """The worker's two sweeps; a topic is filled once for all turns."""
    points = [(f"{codes:,} codes", codes, DECLARED) for codes in given.codes]
    points += [(f"{count} partitions", 5_400, count) for count in given.partitions]
    for name, codes, partitions in points:
        wide.declare(partitions)
        try:
            # A broker for each point: only an empty one takes topics with another number of partitions.
            async with own_kafka() as bootstrap:
                await Load(given.ticks, codes=codes).publish(bootstrap)
                for _ in range(given.repeats):
                    result.add(name, _values(await work(bootstrap, ALL, given.ticks)))
        finally:
            wide.declare(DECLARED)


async def frames(given: Namespace, result: Result) -> None:
    """The producer's."""
    if not given.ticks_per_frame:
        return
    async with own_kafka() as bootstrap:
        for _ in range(given.repeats):
            for per in given.ticks_per_frame:
                got = await produce(OURS, bootstrap, given.ticks, per)
                result.add(
                    f"producer, {per:,} a frame",
                    {
                        "ticks/s": got.rate,
                        "µs CPU a tick": got.cpu,
                        "MB": got.rss,
                        "all there": got.records >= given.ticks,
                    },
                )
            await renew(bootstrap, [TICKS, *EFFECTS])


async def measure(given: Namespace, result: Result) -> None:
    """All three."""
    await codes_and_partitions(given, result)
    await frames(given, result)


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=600_000, repeats=2)
    parser.add_argument("--codes", nargs="*", type=int, default=[10, 100, 1_000, 5_400, 20_000, 50_000])
    parser.add_argument("--partitions", nargs="*", type=int, default=[1, 4, 12, 32, 64])
    parser.add_argument("--ticks-per-frame", nargs="*", type=int, default=[1, 5, 20, 50, 100, 500])
    given = parser.parse_args()
    result = begin(given, "sweeps")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""What a tick costs by how many codes there are, how many partitions, and how many ticks a frame carries.

``python -m benchmarks.sweeps``: one worker with every agent over a full topic, for each number of codes (partitions as
declared) and of partitions (5,400 codes); the producer process, for each number of ticks a frame; and the whole
pipeline at one rate, one tick a frame, for each number of partitions: there the ticks come as they do live, and more
partitions make narrower chunks. Nothing else should run meanwhile.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace

from benchmarks.kafka import own_kafka, renew
from benchmarks.load import Load
from benchmarks.pipeline import step
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


async def end_to_end(given: Namespace, result: Result) -> None:
    """The whole pipeline's, by ``ashare verify``: CPU of a tick is that of all processes but the simulated market."""
    for _ in range(given.repeats):
        for count in given.end_to_end:
            asked = Namespace(seconds=given.seconds, codes=0, more=["--partitions", str(count)])
            got = await step(given.rate, 1, asked)
            spent = sum(
                share
                for name, share in got.items()
                if name.startswith("CPU % ") and "simulator" not in name and isinstance(share, float | int)
            )
            result.add(
                f"{count} partitions, end to end",
                {
                    "ticks/s": got["stored/s"],
                    "µs CPU a tick": round(spent / 100 / given.rate * 1e6, 1) if spent else None,
                    "all there": got["ok"],
                    "ticks a chunk": got.get("ticks a chunk"),
                    "p50 ms": got["p50 ms"],
                    "p99 ms": got["p99 ms"],
                },
            )


async def measure(given: Namespace, result: Result) -> None:
    """All of them."""
    await codes_and_partitions(given, result)
    await frames(given, result)
    await end_to_end(given, result)


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=600_000, repeats=2, seconds=12.0)
    parser.add_argument("--codes", nargs="*", type=int, default=[10, 100, 1_000, 5_400, 20_000, 50_000])
    parser.add_argument("--partitions", nargs="*", type=int, default=[1, 4, 12, 32, 64])
    parser.add_argument("--ticks-per-frame", nargs="*", type=int, default=[1, 5, 20, 50, 100, 500])
    parser.add_argument("--end-to-end", nargs="*", type=int, default=[1, 12, 64], help="partitions")
    parser.add_argument("--rate", type=int, default=5_000, help="ticks/s, end to end")
    given = parser.parse_args()
    result = begin(given, "sweeps")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""From the socket into Kafka, ours and as others do it: the same feed, the same records, acks=all, idempotent.

``python -m benchmarks.produce_job``: every program in turn, again and again, with 1 and 50 ticks a frame; what counts
is what the topic holds. Then records that are ready, without a socket: the publisher against librdkafka and aiokafka.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace

from benchmarks import publishing
from benchmarks.kafka import make, own_kafka, renew
from benchmarks.producing import RECORDERS, produce
from benchmarks.results import Result, begin, finish, options
from schemas.topics import TICKS


async def measure(given: Namespace, result: Result) -> None:
    """All of it, against one broker."""
    async with own_kafka() as bootstrap:
        for _ in range(given.repeats):
            for per in given.ticks_per_frame:
                ticks = given.ticks // 2 if per == 1 else given.ticks
                for recorder in RECORDERS:
                    got = await produce(recorder, bootstrap, ticks, per, seconds=given.seconds)
                    result.add(
                        f"{recorder.name}; {per} a frame",
                        {"ticks/s": got.rate, "µs CPU a tick": got.cpu, "MB": got.rss, "done": got.records / ticks},
                    )
                await renew(bootstrap, [TICKS])
        await make(bootstrap, publishing.TOPIC, publishing.PARTITIONS)
        ready = publishing.records(given.ticks // 2)
        for _ in range(given.repeats):
            for name, way in publishing.WAYS.items():
                done = await publishing.publish(way, bootstrap, ready)
                result.add(f"{name}, records that are ready", {"ticks/s": done.rate, "µs CPU a tick": done.cpu})


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=1_000_000, repeats=3, seconds=12.0)
    parser.add_argument("--ticks-per-frame", nargs="*", type=int, default=[1, 50])
    given = parser.parse_args()
    result = begin(given, "produce_job")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""Every stage alone, against a real broker and real stores: where a tick's time goes.

``python -m benchmarks.stages``: decoding frames, socket to topic, a worker with each agent and with all, each store.
``--only decode store`` takes some of them.
"""

from __future__ import annotations

import asyncio
import tempfile
from argparse import Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import decoding, storing
from benchmarks.blaster import frames
from benchmarks.kafka import own_kafka, renew
from benchmarks.load import Load
from benchmarks.producing import OURS, produce
from benchmarks.results import Result, begin, finish, options
from benchmarks.working import work
from deploy.embedded import QuestDB
from schemas.topics import TICKS

PER_FRAME = (1, 10, 100)
AGENTS = ("changes", "snapshots", "storage", "snapshots,storage,changes")
DECODERS = {
    "decode and check every tick": decoding.decoded,
    "orjson.loads, nothing checked": decoding.parsed,
    "orjson.loads, and each tick written again": decoding.rewritten,
}
WIDTHS = (100, 1_000, 20_000)


async def decode(given: Namespace, result: Result) -> None:
    """Frames to checked ticks, beside orjson alone."""
    ticks = min(given.ticks, 500_000)
    load = {per: frames(ticks, per) for per in PER_FRAME}
    for _ in range(given.repeats):
        for per, some in load.items():
            for name, way in DECODERS.items():
                seconds = way(some)
                result.add(
                    f"{name}; {per} a frame", {"ticks/s": ticks / seconds, "µs CPU a tick": seconds / ticks * 1e6}
                )


async def socket(given: Namespace, result: Result) -> None:
    """The producer process, from a feed that is always faster."""
    async with own_kafka() as bootstrap:
        for _ in range(given.repeats):
            for per in (1, 10, 50):
                ticks = given.ticks // 2 if per == 1 else given.ticks
                got = await produce(OURS, bootstrap, ticks, per)
                result.add(
                    f"producer, socket to topic; {per} a frame",
                    {
                        "ticks/s": got.rate,
                        "ticks/s a core": 1e6 / got.cpu if got.cpu else None,
                        "µs CPU a tick": got.cpu,
                        "MB": got.rss,
                        "all there": got.records >= ticks,
                    },
                )
            await renew(bootstrap, [TICKS])


async def agents(given: Namespace, result: Result) -> None:
    """One worker process over a full topic, with each agent and with all."""
    async with own_kafka() as bootstrap:
        load = Load(given.ticks)
        await load.publish(bootstrap)
        for _ in range(given.repeats):
            for some in AGENTS:
                got = await work(bootstrap, some, given.ticks)
                result.add(
                    "worker: " + ("all three agents" if "," in some else some),
                    {
                        "ticks/s": got.rate,
                        "µs CPU a tick": got.cpu,
                        "MB": got.rss,
                        "all there": got.done,
                    },
                )


async def stores(given: Namespace, result: Result) -> None:
    """Each store alone, by the width of what it is given at once."""
    ticks = min(given.ticks, 300_000)
    with tempfile.TemporaryDirectory(prefix="ashare-bench-") as name:
        directory = Path(name)
        for width in WIDTHS:
            load = storing.batches(ticks if width > 100 else ticks // 4, width)
            for turn in range(given.repeats):
                place = f"{width}-{turn}"
                inside = await storing.inside(f"sqlite:///{directory}/in-{place}", load)
                result.add(f"SQLite, in the process; {width:,} a write", {"ticks/s": inside})
                apart = await storing.apart(f"sqlite:///{directory}/apart-{place}", load)
                result.add(f"SQLite, in its own process; {width:,} a write", {"ticks/s": apart})
                raw = storing.raw(directory / f"raw-{place}", load)
                result.add(f"sqlite3 executemany alone; {width:,} a write", {"ticks/s": raw})
        with QuestDB(directory / "questdb") as questdb:
            for width in WIDTHS:
                load = storing.batches(ticks if width > 100 else ticks // 8, width)
                for _ in range(given.repeats):
                    # The same ticks again are deduplicated, as the first time they are looked for.
                    got = await storing.apart(questdb.url, load)
                    result.add(f"QuestDB; {width:,} a write", {"ticks/s": got})


STAGES: dict[str, Callable[[Namespace, Result], Awaitable[None]]] = {
    "decode": decode,
    "socket": socket,
    "agents": agents,
    "store": stores,
}


async def measure(given: Namespace, result: Result) -> None:
    """The stages asked for."""
    for name in given.only or STAGES:
        await STAGES[name](given, result)


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=1_000_000, repeats=3)
    parser.add_argument("--only", nargs="*", choices=list(STAGES), default=[])
    given = parser.parse_args()
    result = begin(given, "stages")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

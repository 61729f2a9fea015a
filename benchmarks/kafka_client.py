"""What packing Kafka's requests by ourselves gains over aiokafka's own, and what sharing decoded batches gains.

``python -m benchmarks.kafka_client``: the publisher, and the fetching of a worker, each with ``ASHARE_KAFKA_CLIENT``
``direct`` and ``plain``, at even rates of one tick at a time and at full speed, in turns, on one broker. Then three
readers of one topic in one process, which decode every tick each for itself, or share what one of them has decoded.
CPU is that of the measured process, per tick of the topic; who feeds a reader is another process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import publishing
from benchmarks.kafka import FETCH_BYTES, make, own_kafka
from benchmarks.load import Load
from benchmarks.results import Result, Value, begin, finish, options
from broker.chunk import drain
from broker.fetching import Fetching
from broker.mode import DIRECT, PLAIN, VARIABLE
from broker.publisher import Publisher
from broker.shared import SharedBatches
from schemas.topics import TICKS, topics

PARTITIONS = topics()[TICKS].partitions
_GATHER_SECONDS, _GATHER_TICKS, _HELD_WAIT_MS, _IDLE_WAIT_MS = 0.003, 500, 20, 250
"""As in ``processors.transport.client``."""
_BEHIND = "full speed"


@contextmanager
def client(mode: str) -> Iterator[None]:
    """Clients that are made meanwhile are of a mode."""
    os.environ[VARIABLE] = mode
    try:
        yield
    finally:
        del os.environ[VARIABLE]


@dataclass
class Used:
    """CPU and time from a first tick on."""

    cpu: float = 0.0
    began: float = 0.0

    def begin(self) -> None:
        """It begins now."""
        self.cpu, self.began = time.process_time(), time.perf_counter()

    def values(self, ticks: int) -> dict[str, Value]:
        """It ends now, after so many ticks."""
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        return {"ticks/s": ticks / seconds, "µs CPU a tick": cpu / ticks * 1e6}


# -- producing ---------------------------------------------------------------------------------------------------------


async def paced(rate: int, seconds: float, give: Callable[[publishing.Record], None]) -> int:
    """Give one record at a time, evenly; how many."""
    ready = publishing.records(min(20_000, int(rate * seconds)))
    loop = asyncio.get_running_loop()
    count, done, first = int(rate * seconds), loop.create_future(), loop.time()

    def step(n: int) -> None:
        give(ready[n % len(ready)])
        if n + 1 < count:
            loop.call_at(first + (n + 1) / rate, step, n + 1)
        else:
            done.set_result(None)

    step(0)
    await done
    return count


async def produced(bootstrap: str, rate: int, seconds: float) -> dict[str, Value]:
    """One tick at a time through the publisher."""
    out = Publisher(bootstrap, client_id="bench-publisher")
    await out.start()
    queues = [out.queue(publishing.TOPIC, partition) for partition in range(publishing.PARTITIONS)]
    try:
        for queue in queues:
            queue.add(None, b"", 1)
        await out.flush()
        used = Used()
        used.begin()
        count = await paced(rate, seconds, lambda record: queues[record[0]].add(*record[1:]))
        await out.flush()
        return used.values(count)
    finally:
        await out.stop()


async def unproduced(rate: int, seconds: float) -> dict[str, Value]:
    """The loop that gives them, and nobody who takes them."""
    used = Used()
    used.begin()
    return used.values(await paced(rate, seconds, lambda _: None))


# -- fetching ----------------------------------------------------------------------------------------------------------


class Reader:
    """Reads all ticks as a worker's transport does, and decodes them."""

    def __init__(self, bootstrap: str, shared: SharedBatches | None) -> None:
        """Nothing connects yet."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=FETCH_BYTES
        )
        self._shared = shared
        self._seen = 0

    async def start(self, *, at_end: bool) -> None:
        """Connect, and assign every partition from its beginning or end."""
        partitions = [TopicPartition(TICKS, partition) for partition in range(PARTITIONS)]
        await self._consumer.start()
        self._consumer.assign(partitions)
        await (self._consumer.seek_to_end if at_end else self._consumer.seek_to_beginning)(*partitions)
        fetcher = self._consumer._fetcher
        self._fetching = Fetching(fetcher, lambda: _HELD_WAIT_MS if fetcher._records else _IDLE_WAIT_MS)

    async def read(self, count: int) -> None:
        """Read until so many ticks were seen since the start."""
        fetcher, loop = self._consumer._fetcher, asyncio.get_running_loop()
        with fetcher._subscriptions.fetch_context():
            while self._seen < count:
                chunks = drain(fetcher, None, shared=self._shared)
                if not chunks:
                    await fetcher._create_fetch_waiter()
                    continue
                came = sum(map(len, chunks))
                if came < _GATHER_TICKS:
                    loop.call_later(_GATHER_SECONDS, self._fetching.ask)
                else:
                    self._fetching.ask()
                self._seen += sum([len(chunk.ticks) for chunk in chunks])

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()


async def fetched(bootstrap: str, rate: int | None, ticks: int, readers: int = 1, *, share: bool) -> dict[str, Value]:
    """Some readers in this process; at a rate the ticks come from another, else all are there already."""
    shared = SharedBatches(readers) if share else None
    reading = [Reader(bootstrap, shared) for _ in range(readers)]
    used = Used()
    try:
        await asyncio.gather(*(reader.start(at_end=rate is not None) for reader in reading))
        feeding = None
        if rate is not None:
            command = (sys.executable, "-m", "benchmarks.kafka_client", "--feed", bootstrap, str(rate), str(ticks + 1))
            feeding = await asyncio.create_subprocess_exec(*command)
            await asyncio.gather(*(reader.read(1) for reader in reading))
        used.begin()
        async with asyncio.timeout(60 + 3 * ticks / (rate or 20_000)):
            await asyncio.gather(*(reader.read(ticks) for reader in reading))
        values = used.values(ticks)
        if feeding is not None:
            await feeding.wait()
    finally:
        await asyncio.gather(*(reader.stop() for reader in reading))
    return values


async def feed(bootstrap: str, rate: int, ticks: int) -> None:
    """Publish so many ticks evenly (in a process of its own)."""
    out = Publisher(bootstrap, client_id="bench-feed")
    await out.start()
    queues = [out.queue(TICKS, partition) for partition in range(PARTITIONS)]
    await paced(rate, ticks / rate, lambda record: queues[record[0]].add(*record[1:]))
    await out.stop()


# -- in turns ----------------------------------------------------------------------------------------------------------


def in_turn(turn: int) -> tuple[str, str]:
    """The modes, the other one first in every second turn."""
    return (PLAIN, DIRECT) if turn % 2 else (DIRECT, PLAIN)


async def measure(given: Namespace, result: Result) -> None:
    """Every row, again and again."""
    rates = [int(rate) for rate in given.rates]
    async with own_kafka() as bootstrap:
        await make(bootstrap, publishing.TOPIC, publishing.PARTITIONS)
        await Load(given.ticks).publish(bootstrap)
        ready = publishing.records(given.ticks)
        for turn in range(given.repeats):
            for mode in in_turn(turn):
                with client(mode):
                    # A topic that only grows at its end: all at once comes first, of the part that was there.
                    await add(result, f"fetching, {mode}", _BEHIND, fetched(bootstrap, None, given.ticks, share=False))
                    done = await publishing.publish(publishing.publisher, bootstrap, ready)
                    result.add(f"producing, {mode}, {_BEHIND}", {"ticks/s": done.rate, "µs CPU a tick": done.cpu})
            for readers, share in ((3, False), (3, True)):
                how = "shared" if share else "each for itself"
                await add(
                    result, f"{readers} readers, {how}", _BEHIND,
                    fetched(bootstrap, None, given.ticks, readers, share=share),
                )  # fmt: skip
        for turn in range(given.repeats):
            for rate in rates:
                ticks, told = int(rate * given.seconds), f"{rate:,}/s"
                await add(result, "pacing alone", told, unproduced(rate, given.seconds))
                for mode in in_turn(turn):
                    with client(mode):
                        await add(result, f"producing, {mode}", told, produced(bootstrap, rate, given.seconds))
                        await add(result, f"fetching, {mode}", told, fetched(bootstrap, rate, ticks, share=False))
                for readers, share in ((3, False), (3, True)):
                    how = "shared" if share else "each for itself"
                    await add(
                        result, f"{readers} readers, {how}", told, fetched(bootstrap, rate, ticks, readers, share=share)
                    )


async def add(result: Result, what: str, how: str, measuring: Awaitable[dict[str, Value]]) -> None:
    """Measure one row once."""
    result.add(f"{what}, {how}", await measuring)


def main() -> None:
    """Measure, and print."""
    if sys.argv[1:2] == ["--feed"]:
        uvloop.run(feed(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
        return
    parser = options(__doc__, ticks=400_000, repeats=5, seconds=8.0)
    parser.add_argument("--rates", nargs="*", default=[400, 5_000], help="of one tick at a time")
    given = parser.parse_args()
    result = begin(given, "kafka_client")
    uvloop.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

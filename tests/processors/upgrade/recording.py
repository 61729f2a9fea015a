"""What a version before had left on a broker when its worker was killed: topics, committed offsets, the store's file.

``python -m tests.processors.upgrade.recording ASHARE`` makes ``recording.json.xz`` anew, by a broker of its own and
the given ``ashare`` command of the older version. The one that is here was made by commit 0330be9, one of the last
whose agents shared a consumer group.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import lzma
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from broker import admin, groups
from broker.probe import Probe
from broker.publisher import Publisher
from cli.thresholds import write
from deploy.embedded import KafkaBroker, free_port
from schemas import FeedEvent, Tick, encode
from schemas.topics import (
    DEAD_LETTERS,
    FEED_EVENTS,
    PRICE_CHANGES,
    PRICE_CHANGES_STATE,
    SNAPSHOTS,
    THRESHOLD_MARKS,
    THRESHOLDS,
    TICKS,
    Topic,
    partition_of,
    topics,
)
from selfcheck.log import LogReader
from tests.jobs.chunks import NINE_THIRTY

FILE = Path(__file__).with_name("recording.json.xz")
GROUP = "ashare-snapshots-storage-changes"
TOPICS = (
    *(TICKS, SNAPSHOTS, PRICE_CHANGES, PRICE_CHANGES_STATE, THRESHOLDS, THRESHOLD_MARKS, FEED_EVENTS, DEAD_LETTERS),
)
CODES = [*(f"{n}" for n in range(600_000, 600_030)), *(f"{n}" for n in range(688_000, 688_015))]
GAPPED = CODES[:5]
THRESHOLD = "2ticks"
PARTITIONS = topics()[TICKS].partitions
SPOILT = b"hello"

Entry = tuple[int, int, str | None, str | None, list[tuple[str, str]]]
"""Partition, timestamp, key, value and headers of a record; in the order of its partition."""


@dataclass
class Recording:
    """What was left.

    Attributes:
        topics: their records.
        committed: by partition of the ticks.
        rest: ticks that were to come next, with keys and timestamps.
        store: the file's name and, in base64, its content.
    """

    topics: dict[str, list[Entry]]
    committed: dict[str, int]
    rest: list[tuple[str, str]]
    store: tuple[str, str]
    sent: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def read(cls) -> Recording:
        """The one that is here."""
        return cls(**json.loads(lzma.decompress(FILE.read_bytes())))

    def write(self) -> None:
        """Replace the one that is here."""
        FILE.write_bytes(lzma.compress(json.dumps(self.__dict__, ensure_ascii=False).encode(), preset=9))

    async def play(self, bootstrap: str, directory: Path) -> None:
        """Put everything where it was: records at the same offsets, the group's commits, the store's file."""
        await admin.apply(bootstrap, {name: _kept(topic) for name, topic in topics().items()})
        publisher = Publisher(bootstrap, client_id="recording")
        await publisher.start(*self.topics)
        for name, entries in self.topics.items():
            for partition, timestamp, key, value, headers in entries:
                publisher.queue(name, partition).add(
                    _bytes(key), _bytes(value), timestamp, [(title, text.encode()) for title, text in headers]
                )
        await publisher.stop()
        with Probe(bootstrap) as probe:
            log = probe.find([TICKS]).logs[TICKS].topic
        places = {
            TopicPartition(TICKS, int(partition)): OffsetAndMetadata(offset, log)
            for partition, offset in self.committed.items()
        }
        assert await groups.commit(bootstrap, GROUP, places)
        name, content = self.store
        (directory / "store").mkdir()
        (directory / "store" / name).write_bytes(lzma.decompress(base64.b64decode(content)))

    async def go_on(self, bootstrap: str, beside: Mapping[str, Any]) -> None:
        """Push the rest, of a producer of this version: its ticks have fields ``beside`` those of the recording."""
        publisher = Publisher(bootstrap, client_id="recording")
        await publisher.start(TICKS)
        for code, value in self.rest:
            tick = json.loads(value)
            queue = publisher.queue(TICKS, partition_of(code, PARTITIONS))
            queue.add(code.encode(), json.dumps(tick | beside).encode(), tick["received"] // 1000)
        await publisher.stop()


def _kept(topic: Topic) -> Topic:
    """A topic of records of a past day, which no broker is to delete."""
    return replace(topic, config=dict(topic.config) | {"retention.ms": "-1"})


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


class Market:
    """Walks prices; its clock is its own."""

    def __init__(self) -> None:
        """In the morning of a trading day."""
        self.rng = random.Random(20_261_130)
        self.prices = {code: self.rng.randrange(900, 1_100) for code in CODES}
        self.run = NINE_THIRTY + 1_800_000
        self.now = self.run * 1000
        self.sent: list[Tick] = []

    def ticks(self, count: int) -> list[Tick]:
        """Some more; one in fifty is sent twice."""
        made: list[Tick] = []
        for _ in range(count):
            code = self.rng.choice(CODES)
            self.prices[code] = cents = max(100, self.prices[code] + self.rng.choice((-3, -1, 0, 0, 1, 2)))
            self.now += self.rng.randrange(500, 2_500)
            tick = Tick(
                code=code, exchange="SSE", price=cents / 100, time=self.now // 1000, received=self.now, source="load",
                run=self.run, n=len(self.sent) + 1, volume=100,
            )  # fmt: skip
            self.sent.append(tick)
            made += [tick] * (2 if self.rng.random() < 0.02 else 1)
        return made


async def record(ashare: str) -> None:
    """Make the recording."""
    market = Market()
    with tempfile.TemporaryDirectory() as folder, KafkaBroker(Path(folder) / "kafka") as broker:
        directory, bootstrap = Path(folder), broker.bootstrap
        await admin.apply(bootstrap, {name: _kept(topic) for name, topic in topics().items()})
        await write(bootstrap, "board:STAR", "20bp")
        publisher = Publisher(bootstrap, client_id="recording")
        await publisher.start(*topics())

        def push(ticks: Sequence[Tick]) -> None:
            for tick in ticks:
                queue = publisher.queue(TICKS, partition_of(tick.code, PARTITIONS))
                queue.add(tick.code.encode(), encode(tick), tick.received // 1000)

        worker = started(ashare, bootstrap, directory)
        while not await committed(bootstrap):
            push(market.ticks(1))
            await asyncio.sleep(0.05)
        publisher.queue(TICKS, 0).add(b"600519", SPOILT, market.now // 1000)
        gap = FeedEvent(
            "gap", "load", market.run, 1, market.now, start=market.now - 5, end=market.now, codes=GAPPED, id="1"
        )
        publisher.queue(FEED_EVENTS, 0).add(b"load", encode(gap), market.now // 1000)
        for step in range(200):
            push(market.ticks(8))
            if step == 60:
                await write(bootstrap, "default", "3ticks")
            if step == 120:
                await write(bootstrap, f"code:{CODES[0]}", "0")
            await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        push(market.ticks(300))
        publisher.queue(TICKS, 0).add(b"600519", SPOILT, market.now // 1000)
        await publisher.stop()
        async with LogReader(bootstrap) as reader:
            found = {topic: await entries(reader, topic) for topic in TOPICS}
        rest = [(tick.code, encode(tick).decode()) for tick in market.ticks(800)]
        made = Recording(
            found, await committed(bootstrap), rest, stored(directory), [(tick.n, tick.price) for tick in market.sent]
        )
    made.write()
    counts = ", ".join(f"{len(some):,} of {topic}" for topic, some in found.items())
    sys.stdout.write(f"{FILE.stat().st_size:,} bytes: {sum(made.committed.values()):,} committed; {counts}\n")


def started(ashare: str, bootstrap: str, directory: Path) -> subprocess.Popen[bytes]:
    """A worker of the older version, with all agents."""
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [
                *(ashare, "process", "--bootstrap", bootstrap, "--threshold", THRESHOLD),
                *("--store", f"sqlite:///{directory}/store", "--web-port", str(free_port())),
            ],
            cwd=directory,
            stdout=log,
            stderr=log,
        )


async def committed(bootstrap: str) -> dict[str, int]:
    """What the group has committed, by partition of the ticks."""
    found = (await groups.committed(bootstrap, GROUP)).get(GROUP, {})
    return {str(place.partition): at.offset for place, at in sorted(found.items()) if place.topic == TICKS}


async def entries(reader: LogReader, topic: str) -> list[Entry]:
    """All records of a topic."""
    found: list[Entry] = []
    for partition in await reader.partitions(topic):
        expected = 0
        async for some in reader.read(topic, partition):
            for one in some:
                assert one.offset == expected, "a gap, which could not be played"
                expected += 1
                headers = [(name, content.decode()) for name, content in one.headers]
                key, value = (None if text is None else text.decode() for text in (one.key, one.value))
                found.append((partition, one.timestamp, key, value, headers))
    return found


def stored(directory: Path) -> tuple[str, str]:
    """The store's file, with what lies in its write-ahead log."""
    (path,) = (directory / "store").glob("ticks-*.sqlite")
    copy = directory / "copy.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return path.name, base64.b64encode(lzma.compress(copy.read_bytes(), preset=9)).decode()


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))

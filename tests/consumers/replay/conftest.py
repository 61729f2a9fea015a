"""Topics of ticks on the shared broker, and replays of them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from broker import admin
from broker.publisher import Publisher
from consumers.replay.controls import Controls
from consumers.replay.outputs.base import Output
from consumers.replay.run import Request, Summary, replay
from consumers.replay.through import Through
from schemas import Level, Tick, encode
from schemas.topics import Topic, partition_of

NINE_THIRTY = 1_795_138_200_000
"""2026-11-20 09:30 in Shanghai, ms since the epoch."""
PARTITIONS = 4
CODES = ("600519", "688001", "300750", "000001", "600000", "601318", "688981", "301000")


@dataclass(frozen=True)
class Written:
    """A tick where it lies."""

    tick: Tick
    partition: int
    offset: int


@dataclass(frozen=True)
class Recorded:
    """A topic of ticks, and what is in it in the order of a replay: by time, partition and offset."""

    bootstrap: str
    topic: str
    ticks: Sequence[Written]

    def request(self, **options: object) -> Request:
        """A replay of it."""
        return Request(self.bootstrap, self.topic, "tick", **options)  # type: ignore[arg-type]


def drawn(count: int, *, seed: int = 5) -> list[Tick]:
    """Ticks of one line, several in a ms; one in three has a book and figures of the day."""
    rng = random.Random(seed)
    ticks = [
        Tick(
            code=rng.choice(CODES), exchange="SSE", price=rng.randrange(900, 960) / 100, time=NINE_THIRTY + n // 3 * 10,
            received=(NINE_THIRTY + n // 3 * 10 + 7) * 1000, source="line", run=1, n=n + 1,
            volume=rng.choice((None, 0, 100, 250)), turnover=rng.choice((None, 1234.5)), seq=rng.choice((None, n)),
            side=rng.choice((None, "buy", "sell")), previous_close=rng.choice((None, 9.11)),
        )
        for n in range(count)
    ]  # fmt: skip
    return [_with_book(tick) if tick.n % 3 == 0 else tick for tick in ticks]


def _with_book(tick: Tick) -> Tick:
    bids = [Level(round(tick.price - level / 100, 2), 100 + tick.n + level) for level in range(tick.n % 6)]
    asks = [Level(tick.price, 0.5)] if tick.n % 2 else None
    return msgspec.structs.replace(tick, bids=bids, asks=asks, day_high=9.6, day_volume=tick.n, average=9.3)


async def make_topic(bootstrap: str, *, partitions: int = PARTITIONS, policy: str = "delete") -> str:
    """A topic of the test's own."""
    name = f"test.replay.{uuid.uuid4().hex}"
    config = {"cleanup.policy": policy, "max.message.bytes": "1048588"}
    await admin.apply(bootstrap, {name: Topic(name, "code", "tick", "", partitions, 1, config)})
    return name


async def record(bootstrap: str, ticks: Sequence[Tick]) -> Recorded:
    """Ticks in a topic of their own, as the producer writes them."""
    name = await make_topic(bootstrap)
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(name)
    written, ends = [], dict.fromkeys(range(PARTITIONS), 0)
    for tick in ticks:
        partition = partition_of(tick.code, PARTITIONS)
        publisher.queue(name, partition).add(tick.code.encode(), encode(tick), tick.received // 1000)
        written.append(Written(tick, partition, ends[partition]))
        ends[partition] += 1
    await publisher.stop()
    written.sort(key=lambda one: (one.tick.time, one.partition, one.offset))
    return Recorded(bootstrap, name, written)


@pytest.fixture
async def recorded(bootstrap: str) -> Recorded:
    """Some hundred ticks."""
    return await record(bootstrap, drawn(900))


Play = Callable[..., Awaitable[Summary]]


@pytest.fixture
def said() -> list[str]:
    """What replays have told their user."""
    return []


@pytest.fixture
def play(said: list[str]) -> Play:
    """Runs a replay."""

    async def run(request: Request, output: Output, through: Through | None = None) -> Summary:
        return await replay(request, output, controls=Controls(seekable=False), say=said.append, through=through)

    return run

"""Ticks to measure with: drawn from a seed, as the producer writes them, and what the changes job makes of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.publisher import Publisher
from market.times import DAY_MS, day_start, shanghai_date
from schemas import BareTick, encode
from schemas.topics import TICKS, partition_of, topics


def start(now: int) -> int:
    """09:30 of the day before in Shanghai, ms since the epoch: a day that is over, and no broker forgets yet.

    Records are stamped with it. A date that is written down is past the topics' retention one day, and then a broker
    deletes what is being read.
    """
    return day_start(shanghai_date(now - DAY_MS)) + _OPENING_MS


_OPENING_MS = 9 * 3_600_000 + 30 * 60_000
START = start(time.time_ns() // 1_000_000)
THRESHOLD = "0.05"
THRESHOLD_E4 = 500
"""The threshold of every changes job here, in 1/10,000 yuan."""

Emitted = tuple[int, int | None]
"""Price and previously emitted price of one change, in 1/10,000 yuan."""


@dataclass
class Load:
    """So many ticks over so many codes, the same for the same seed."""

    ticks: int
    codes: int = 5_400
    seed: int = 20_261_120
    expected: dict[str, list[Emitted]] = field(default_factory=dict)
    """By code, the changes that a right changes job emits, in order; known once the ticks were drawn."""

    def draw(self) -> Iterator[BareTick]:
        """The ticks, in order, as the producer writes those of a feed without a book."""
        rng = random.Random(self.seed)
        names = [f"{600_000 + number}" for number in range(self.codes)]
        prices = [rng.randrange(500, 20_000) for _ in names]
        expected: dict[str, list[Emitted]] = defaultdict(list)
        last: list[int | None] = [None] * self.codes
        draw, steps = rng.random, (-4, -2, -1, -1, 0, 0, 0, 1, 1, 2, 3)
        for n in range(self.ticks):
            index = int(draw() * self.codes)
            price = prices[index] = max(100, prices[index] + steps[int(draw() * 11)])
            e4, before = price * 100, last[index]
            if before is None or abs(e4 - before) > THRESHOLD_E4:
                expected[names[index]].append((e4, before))
                last[index] = e4
            shares = 100 * (1 + n % 50)
            received = (START + n // 10) * 1000
            yield BareTick(
                code=names[index], exchange="SSE", price=price / 100, time=START + n // 10, received=received,
                source="bench", run=1, n=n + 1, volume=shares, turnover=shares * price / 100,
            )  # fmt: skip
        self.expected = dict(expected)

    @property
    def changes(self) -> int:
        """How many changes a right job emits."""
        return sum(map(len, self.expected.values()))

    async def publish(self, bootstrap: str) -> None:
        """Write all ticks into the tick topic, stamped with their ``received``."""
        publisher = Publisher(bootstrap, client_id="bench-load", limit_bytes=32 << 20)
        await publisher.start(TICKS)
        count = topics()[TICKS].partitions
        queues = [publisher.queue(TICKS, partition) for partition in range(count)]
        try:
            for n, tick in enumerate(self.draw()):
                queues[partition_of(tick.code, count)].add(tick.code.encode(), encode(tick), tick.received // 1000)
                if not n % 1000 and publisher.full:
                    await publisher.room()
                elif not n % 1000:
                    await asyncio.sleep(0)
            await publisher.flush()
        finally:
            await publisher.stop()

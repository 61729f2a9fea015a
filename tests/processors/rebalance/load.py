"""Ticks at a steady rate straight into the ticks' topic, as a producer writes them, and what they were."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from aiokafka import AIOKafkaProducer

from schemas import Tick, encode
from schemas.topics import TICKS, partition_of, topics
from selfcheck.ledger import Ledger, fingerprint

RATE = 5_000
_PARTITIONS = topics()[TICKS].partitions
_BEAT = 0.02
_AGAIN = 0.01
"""Share of ticks that are sent twice, as after an unknown outcome."""
_loads = count()


def fresh_codes() -> list[str]:
    """Codes that no other load of this process has: tests share a broker."""
    first = next(_loads) * 100
    return [*(f"{600_000 + first + n}" for n in range(80)), *(f"{300_000 + first + n}" for n in range(40))]


class Load:
    """A market of a few codes."""

    def __init__(self, bootstrap: str, seed: int = 14) -> None:
        """Nothing connects before ``async with``."""
        self.codes = fresh_codes()
        self.sent = 0
        self._rng = random.Random(seed)
        self._prices = {code: self._rng.randrange(900, 1_100) for code in self.codes}
        self._homes = {code: partition_of(code, _PARTITIONS) for code in self.codes}
        self._marks = {code: array("q") for code in self.codes}
        self._one_at_a_time = asyncio.Lock()
        self._run = time.time_ns() // 1_000_000
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    def ledger(self) -> Ledger:
        """What was sent, as the self-check takes it."""
        return Ledger(Path(), {code: marks for code, marks in self._marks.items() if marks}, self.sent)

    @contextlib.asynccontextmanager
    async def running(self, rate: float = RATE) -> AsyncIterator[None]:
        """Ticks come at this rate; the last of them is acknowledged at the end."""
        ended = asyncio.Event()
        task = asyncio.create_task(self._run_until(ended, rate))
        try:
            yield
        finally:
            ended.set()
            await task

    async def _run_until(self, ended: asyncio.Event, rate: float) -> None:
        begun, before = time.monotonic(), self.sent
        while not ended.is_set():
            due = int((time.monotonic() - begun) * rate) - (self.sent - before)
            if due > 0:
                await self.push(due)
            await asyncio.sleep(_BEAT)

    async def push(self, ticks: int, codes: Sequence[str] = ()) -> None:
        """Send so many at once, each partition's in one batch or a few, and wait until all are acknowledged.

        Args:
            codes: which of them; all by default.
        """
        async with self._one_at_a_time:
            by_partition: dict[int, list[Tick]] = {}
            for _ in range(ticks):
                tick = self._tick(self._rng.choice(codes or self.codes))
                by_partition.setdefault(self._homes[tick.code], []).append(tick)
            await asyncio.gather(*(self._send(partition, some) for partition, some in by_partition.items()))

    async def _send(self, partition: int, some: Sequence[Tick]) -> None:
        batch = self._producer.create_batch()
        for tick in some:
            value = encode(tick)
            for _ in range(2 if self._rng.random() < _AGAIN else 1):
                key, timestamp = tick.code.encode(), tick.received // 1000
                if batch.append(key=key, value=value, timestamp=timestamp) is None:
                    # One after the other: two of a partition might change places.
                    await (await self._producer.send_batch(batch, TICKS, partition=partition))
                    batch = self._producer.create_batch()
                    batch.append(key=key, value=value, timestamp=timestamp)
        await (await self._producer.send_batch(batch, TICKS, partition=partition))

    def neighbours(self) -> list[str]:
        """The codes whose ticks lie in one partition: that of the first code."""
        return [code for code in self.codes if self._homes[code] == self._homes[self.codes[0]]]

    def _tick(self, code: str) -> Tick:
        self._prices[code] = price = max(100, self._prices[code] + self._rng.choice((-3, -1, 0, 0, 1, 2)))
        now = time.time_ns() // 1000
        self.sent += 1
        tick = Tick(
            code=code, exchange="SSE" if code.startswith("6") else "SZSE", price=price / 100, time=now // 1000,
            received=now, source="load", run=self._run, n=self.sent, volume=100, turnover=float(price),
        )  # fmt: skip
        self._marks[code].append(fingerprint(orjson.loads(encode(tick))))
        return tick

"""From the socket to the reader: how old a price change is when a consumer of the public topic sees it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

_FIELD = b'"received":'
_LARGEST_SAMPLE = 1 << 22
_COMFORTABLE = 10_000
"""Ticks/s up to which every partition is watched; at more, fewer are, since the watcher shares the machine's cores."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from ``received`` (the frame came off the socket) to a consumer's hands; ``None`` without any."""

    p50: float | None
    p99: float | None
    max: float | None
    samples: int


def summary(micros: Collection[int]) -> Latency:
    """The summary of ages in µs."""
    ages = sorted(micros)
    if not ages:
        return Latency(None, None, None, 0)
    at = [ages[min(len(ages) - 1, int(len(ages) * share))] / 1000 for share in (0.5, 0.99)]
    return Latency(round(at[0], 1), round(at[1], 1), round(ages[-1] / 1000, 1), len(ages))


def watched(partitions: Collection[int], rate: float) -> list[int]:
    """The partitions to watch at a rate of ticks/s: codes are spread over them by hash, so a few stand for all."""
    ordered = sorted(partitions)
    wanted = len(ordered) if rate <= _COMFORTABLE else max(2, round(len(ordered) * _COMFORTABLE / rate))
    return ordered[:wanted]


class LatencyWatch:
    """Consumes price changes as they come, outside of any group, and notes how old they are.

    Ages are kept in ``ages``, µs, up to four million of them; ``seen`` counts all.
    """

    def __init__(
        self, bootstrap: str, topic: str, partitions: Collection[int], options: Mapping[str, Any] | None = None
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            options: of aiokafka's consumer: how to log in.
        """
        self.ages = array("q")
        self.seen = 0
        self._places = [TopicPartition(topic, number) for number in partitions]
        self._consumer = AIOKafkaConsumer(
            **(options or {}),
            bootstrap_servers=bootstrap.split(","),
            client_id="ashare-latency",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            # A partition whose records were just taken waits for the fetch under way: it must be short.
            fetch_max_wait_ms=5,
            check_crcs=False,
        )

    async def start(self) -> None:
        """Connect, and stand at the end of the topic: what comes from now on counts."""
        await self._consumer.start()
        self._consumer.assign(self._places)
        await self._consumer.seek_to_end(*self._places)
        for place in self._places:
            await self._consumer.position(place)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look(timeout_ms=500)

    async def look(self, timeout_ms: int) -> None:
        """Take what has come, waiting at most ``timeout_ms`` for a first record."""
        fetched = await self._consumer.getmany(timeout_ms=timeout_ms)
        now = time.time_ns() // 1000
        ages = self.ages
        for records in fetched.values():
            self.seen += len(records)
            for record in records:
                value = record.value or b""
                at = value.find(_FIELD)
                if at >= 0 and len(ages) < _LARGEST_SAMPLE:
                    digits = value[at + len(_FIELD) : at + len(_FIELD) + 24].split(b",", 1)[0]
                    ages.append(now - int(digits.rstrip(b"} ")))

    def take(self) -> list[int]:
        """The ages noted since the last call, µs; they are forgotten here."""
        taken = self.ages.tolist()
        del self.ages[:]
        return taken

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

"""What is measured of a running process and of a topic that it fills."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

_LOOK = 0.02


@dataclass(frozen=True)
class Used:
    """CPU seconds and the largest resident memory (MB) of a process and its children so far."""

    cpu: float
    rss: float


def used(pid: int) -> Used:
    """What a process and its children use; zeros when it is gone."""
    cpu = rss = 0.0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with process.oneshot():
                times = process.cpu_times()
                cpu += times.user + times.system
                rss += process.memory_info().rss / 1e6
    except psutil.NoSuchProcess:
        pass
    return Used(cpu, rss)


async def ended(process: Process, *, grace: float = 0.0) -> None:
    """Kill what was started, with all of its session where it leads one.

    Args:
        grace: seconds that it first has to end by itself after SIGTERM, and to leave its consumer group.
    """
    if grace:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            await asyncio.wait_for(process.wait(), grace)
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await process.wait()


@dataclass(frozen=True)
class Filled:
    """How a topic filled: the records of each look, and when (monotonic seconds)."""

    looks: Sequence[tuple[float, int]]

    @property
    def records(self) -> int:
        """Records in the end."""
        return self.looks[-1][1] if self.looks else 0

    @property
    def rate(self) -> float:
        """Records/s from the first that was seen to the last that came, start-up and idling at the end left out."""
        moving = [look for before, look in zip(self.looks, self.looks[1:], strict=False) if look[1] > before[1]]
        if len(moving) < 2:
            return 0.0
        (begun, first), (ended, last) = moving[0], moving[-1]
        return (last - first) / (ended - begun)


class EndWatch:
    """Looks at a topic's ends again and again, outside of any group."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        """Nothing connects before ``async with``."""
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def total(self) -> int:
        """Records that the topic has had."""
        return sum((await self._consumer.end_offsets(self._places)).values())

    async def fill(self, wanted: int, *, seconds: float, quiet: float) -> Filled:
        """Watch until so many records are there, the time is up, or nothing came for ``quiet`` seconds after some."""
        looks: list[tuple[float, int]] = []
        begun = moved = time.monotonic()
        while True:
            total, now = await self.total(), time.monotonic()
            if not looks or total > looks[-1][1]:
                moved = now
            looks.append((now, total))
            if total >= wanted or now - begun > seconds or (total and now - moved > quiet):
                return Filled(looks)
            await asyncio.sleep(_LOOK)

"""A whole pipeline that runs for as long as it is looked at: its parts as processes, and what each of them uses."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil

from deploy.local.stack import Plan, Stack

ROLES = {
    "kafka.Kafka": "kafka",
    "stores.apart": "store",
    " simulate ": "simulator",
    " produce ": "producer",
    " process ": "worker",
}
Use = Mapping[str, tuple[float, float]]
"""By role, CPU seconds so far and MB."""


def uses(root: int) -> Use:
    """What the processes below one use; the leashes that hold them do not count."""
    found: dict[str, tuple[float, float]] = {}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(root).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                text = " ".join(process.cmdline()) + " "
                role = next((role for mark, role in ROLES.items() if mark in text and "leash" not in text), None)
                if role is not None:
                    times, megabytes = process.cpu_times(), process.memory_info().rss / 1e6
                    cpu, before = found.get(role, (0.0, 0.0))
                    found[role] = (cpu + times.user + times.system, before + megabytes)
    return found


def shares(first: Use, second: Use, seconds: float) -> dict[str, float]:
    """By role, percent of one core between two looks."""
    return {
        role: round(100 * (second[role][0] - first[role][0]) / seconds, 1) for role in sorted(second) if role in first
    }


@contextlib.asynccontextmanager
async def stack(*market: str, threshold: str = "0.01") -> AsyncIterator[Stack]:
    """A pipeline with every agent in one worker and SQLite, ready but for the producer, of a market with these options.

    Raises:
        PartError: a part did not come up.
    """
    with tempfile.TemporaryDirectory(prefix="ashare-bench-", ignore_cleanup_errors=True) as directory:
        running = Stack(Plan(Path(directory), market, threshold=threshold))
        try:
            await asyncio.to_thread(running.start)
            yield running
        finally:
            await asyncio.to_thread(running.stop)


async def end_producer(running: Stack) -> None:
    """End the producer alone; ``feed`` starts another."""
    for part in running.parts:
        if part.name == "producer" and part.code is None:
            part.ask_to_end()
            await asyncio.to_thread(part.end, 10.0)

"""One worker process over a topic that is full already: how fast it comes to the end, and what that costs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kafka import renew
from benchmarks.load import THRESHOLD
from benchmarks.measured import Filled, ended, used
from deploy.embedded import free_port
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, SNAPSHOTS, TICKS, topics

EFFECTS = (SNAPSHOTS, PRICE_CHANGES, PRICE_CHANGES_STATE)
_LOOK = 0.05
_STARTING = 60.0


@dataclass(frozen=True)
class Worked:
    """What one run gave.

    Attributes:
        rate: committed ticks/s, from the first commit to the last; a commit follows every effect of its ticks.
        cpu: µs of CPU per tick over that time, the store's process included.
        rss: MB at the end, the store's process included.
        done: whether all came through in time.
    """

    rate: float
    cpu: float
    rss: float
    done: bool


async def status(port: int) -> dict[str, Any] | None:
    """What a worker says of itself; ``None`` while it does not."""
    try:
        answer: dict[str, Any] = await asyncio.to_thread(_get, port)
    except (OSError, ValueError):
        return None
    return answer


def _get(port: int) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5.0) as answer:
        return json.load(answer)


async def work(bootstrap: str, agents: str, ticks: int, *, seconds: float = 60.0, store: str = "") -> Worked:
    """Let a worker with these agents handle the tick topic from its beginning, into effect topics that are empty.

    Args:
        ticks: that the topic holds.
        store: an address; default: SQLite in a directory of its own.

    Raises:
        RuntimeError: it ended, or handled nothing; the text is the end of its log.
    """
    port = free_port()
    partitions = topics()[SNAPSHOTS].partitions
    await renew(bootstrap, EFFECTS, [f"ashare-{agent}" for agent in agents.split(",")])
    with tempfile.TemporaryDirectory(prefix="ashare-bench-") as directory:
        log = Path(directory) / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli.wide", str(partitions), "process", "--bootstrap", bootstrap),
                *("--agents", agents, "--store", store or f"sqlite:///{directory}/ticks", "--threshold", THRESHOLD),
                *("--web-port", str(port)),
                # Faust makes a directory of its own where it stands.
                cwd=directory,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            return await _watched(process.pid, port, ticks, seconds)
        except TimeoutError as error:
            said = log.read_text("utf-8", "replace")[-1500:]
            raise RuntimeError(f"the worker with {agents} handled nothing: {said}") from error
        finally:
            await ended(process, grace=10)


async def _watched(pid: int, port: int, ticks: int, seconds: float) -> Worked:
    async with asyncio.timeout(_STARTING):
        while not (first := await status(port)) or not first["ticks"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_LOOK)
    begun, start = time.monotonic(), used(pid)
    looks = [(begun, 0)]
    handled = first["ticks"]
    while True:
        now, at, spent = await status(port), time.monotonic(), used(pid)
        if now is not None:
            handled = now["ticks"]
            # The lag counts from the commits, and a partition without a commit yet is not in it.
            known = len(now["lag"]) == topics()[TICKS].partitions
            looks.append((at, ticks - now["lag_total"] if known else looks[-1][1]))
        done = looks[-1][1] >= ticks
        if done or at - begun > seconds:
            break
        await asyncio.sleep(_LOOK)
    # Of a run with a single commit only the whole is known.
    rate = Filled(looks).rate or looks[-1][1] / (at - begun)
    cpu = (spent.cpu - start.cpu) / max(1, handled - first["ticks"]) * 1e6
    return Worked(rate, cpu, spent.rss, done)

"""A broker that is killed again and again under load: commits go on each time, and the log stays readable."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from deploy.embedded import KafkaBroker
from tests.processors.test_faults import load
from tests.processors.test_kill import WorkerProcess

KILLS = 2
AWAY_SECONDS = 8.0
LINES_A_SECOND = 12.0
"""Most that a worker may write on average while its broker is away; aiokafka alone would write hundreds."""


@pytest.mark.timeout(300)
async def test_commits_go_on_after_each_kill(broker: KafkaBroker, tmp_path: Path) -> None:
    """Without an end of the worker, and within the patience of its watchdog."""
    worker, said = WorkerProcess(broker.bootstrap, tmp_path, "worker"), tmp_path / "worker.log"
    began = time.monotonic()

    async def caught_up(more_than: int) -> int:
        while True:
            assert worker.process.poll() is None, said.read_text("utf-8")[-3000:]
            status = await worker.status()
            if status and status["recovered"] and status["ticks"] > more_than and status["lag_total"] < 300:
                return int(status["ticks"])
            await asyncio.sleep(0.5)

    try:
        async with asyncio.timeout(280), load(broker.bootstrap):
            ticks = await caught_up(0)
            for _ in range(KILLS):
                broker.kill()
                await asyncio.sleep(AWAY_SECONDS)
                await asyncio.to_thread(broker.start)
                ticks = await caught_up(ticks + 300)
        lines = said.read_text("utf-8").count("\n")
        assert lines < LINES_A_SECOND * (time.monotonic() - began)
    finally:
        worker.kill()

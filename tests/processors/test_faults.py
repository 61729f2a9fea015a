"""Each of the worker's real checks sees its real fault, and a client that lost a task is made anew within seconds."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, free_port
from processors.agents import AGENTS
from processors.watchdog import EXIT_STUCK
from schemas import Tick, encode
from schemas.topics import TICKS, partition_of, topics

SEEN = ("event loop", "starved", "coordinator", "rebalance", "progress", "commit", "fetch")
CURED = ("end metadata", "end fetcher", "end coordination", "end heartbeat", "fetch once")
GROUPS = [",".join(some) for size in (1, 2, 3) for some in itertools.combinations(AGENTS, size)]
"""One for each worker of a test: each set of agents is a group of its own."""
CODES = [f"{n}" for n in range(600_000, 600_030)]


class Faulty:
    """A worker in a directory of its own, which fails when it has begun to work."""

    def __init__(self, fault: str, bootstrap: str, agents: str, directory: Path) -> None:
        """Started at once."""
        self.fault, self.port = fault, free_port()
        self.here = directory / fault.replace(" ", "-")
        self.here.mkdir()
        self._log = self.here.with_suffix(".log")
        store = f"sqlite:///{directory / 'stores' / self.here.name}"
        script = Path(__file__).with_name("faulty.py")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), fault, bootstrap, agents, str(self.port), store],
                stdout=log, stderr=log, cwd=self.here,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """Its log."""
        return self._log.read_text("utf-8", "replace")

    async def until(self, what: str) -> None:
        """Wait until it says so, or has ended."""
        while what not in self.said and self.process.poll() is None:  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.2)
        assert what in self.said, self.said[-3000:]

    async def ended(self) -> int:
        """Its exit code."""
        return await asyncio.to_thread(self.process.wait)

    async def status(self) -> dict[str, Any]:
        """What it says of itself."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://127.0.0.1:{self.port}/status") as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def load(bootstrap: str) -> AsyncIterator[Publisher]:
    """Some ticks a second, without end."""
    publisher = Publisher(bootstrap, client_id="load")
    await publisher.start(TICKS)

    async def push() -> None:
        run, partitions = int(time.time() * 1000), topics()[TICKS].partitions
        for n in itertools.count(1):
            code, now = CODES[n % len(CODES)], time.time_ns() // 1000
            tick = Tick(
                code=code, exchange="SSE", price=10 + n % 7 / 100, time=now // 1000, received=now, source="load",
                run=run, n=n, volume=100, turnover=1000.0,
            )  # fmt: skip
            publisher.queue(TICKS, partition_of(code, partitions)).add(code.encode(), encode(tick), now // 1000)
            await asyncio.sleep(0.01)

    pushing = asyncio.create_task(push())
    try:
        yield publisher
    finally:
        pushing.cancel()
        await publisher.stop()


@asynccontextmanager
async def workers(faults: tuple[str, ...], bootstrap: str, directory: Path) -> AsyncIterator[list[Faulty]]:
    """One for each fault, each in a group of its own."""
    started = [Faulty(fault, bootstrap, agents, directory) for fault, agents in zip(faults, GROUPS, strict=False)]
    try:
        async with load(bootstrap):
            yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.wait()


@pytest.mark.timeout(300)
async def test_each_real_check_sees_its_real_fault(broker: KafkaBroker, tmp_path: Path) -> None:
    """A worker that is stuck, in whichever way, ends with the reason; nothing was made where it stood."""

    async def seen(worker: Faulty) -> None:
        code = await worker.ended()
        said = worker.said
        assert "struck" in said, said[-3000:]
        if worker.fault == "starved":
            assert code not in {0, EXIT_STUCK}
            assert "Timeout" in said
        else:
            assert code == EXIT_STUCK, said[-3000:]
            assert f"ending the process: {worker.fault}: " in said
        assert list(worker.here.iterdir()) == []

    async with asyncio.timeout(240), workers(SEEN, broker.bootstrap, tmp_path) as started:
        await asyncio.gather(*map(seen, started))


@pytest.mark.timeout(300)
async def test_a_client_that_lost_a_task_is_made_anew_and_goes_on(broker: KafkaBroker, tmp_path: Path) -> None:
    """Each of aiokafka's tasks in turn, and a fetch that only stands still: the worker reads and commits on."""

    async def cured(worker: Faulty) -> None:
        await worker.until("struck")
        struck = time.monotonic()
        while not (await worker.status())["clients_rebuilt"]:
            assert worker.process.poll() is None, worker.said[-3000:]
            await asyncio.sleep(0.3)
        ticks = None
        while True:
            status = await worker.status()
            if status["recovered"]:
                ticks = status["ticks"] if ticks is None else ticks
                if status["ticks"] > ticks + 100 and status["lag_total"] < 500:
                    break
            await asyncio.sleep(0.3)
        assert status["clients_rebuilt"] == 1
        assert time.monotonic() - struck < 120

    async with asyncio.timeout(240), workers(CURED, broker.bootstrap, tmp_path) as started:
        await asyncio.gather(*map(cured, started))

"""A whole market of every kind through a producer, on a real Kafka, judged by instruments that change meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from ashare_client import Tick, Ticks
from broker import admin
from deploy.embedded import KafkaBroker, free_port
from instruments.topic import write
from market.codes import Kind, instrument
from schemas import Instrument

SECONDS = 60
DAY = "2026-11-20"


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One of the test's own, since producers of other tests would follow what is written here."""
    with KafkaBroker(tmp_path_factory.mktemp("kinds")) as broker:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        yield broker.bootstrap


@asynccontextmanager
async def running(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command as a process of its own, which ends cleanly."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words),
        env={name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(*words: str) -> str:
    """What a command prints that ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    return out.decode()


async def until(bootstrap: str, enough: Callable[[list[Tick]], bool]) -> list[Tick]:
    """All ticks so far, once there are enough."""
    async with asyncio.timeout(SECONDS):
        while True:
            async with Ticks(bootstrap, start="earliest", end="now") as reader:
                ticks = [tick async for tick in reader]
            if enough(ticks):
                return ticks
            await asyncio.sleep(0.3)


def limits(up: float, down: float) -> Instrument:
    return Instrument("600519", "SSE", name="贵州茅台", day=DAY, limit_up=up, limit_down=down)


async def test_every_kind_goes_through_and_limits_that_are_applied_are_judged_by(own_broker: str) -> None:
    """The market is subscribed as a whole; a band that no price is in marks a code until it is mended."""
    await write(own_broker, [limits(1.1, 0.9)])
    simulate = ("simulate", "--port", "0", "--codes", "20", "--rate", "400", "--start", f"{DAY} 09:40:00")
    kinds = ("--kinds", "a-share,fund,convertible,index")
    async with running(*simulate, *kinds) as market:
        assert market.stdout is not None
        url = (await asyncio.wait_for(market.stdout.readline(), SECONDS)).decode().split()[-1]
        async with running("produce", "--bootstrap", own_broker, "--url", url, "--own-clock", *kinds):
            marked = await until(own_broker, lambda ticks: sum(tick.code == "600519" for tick in ticks) > 5)
            await write(own_broker, [limits(1859.0, 1521.0)])

            def mended(ticks: list[Tick]) -> bool:
                return sum(tick.code == "600519" and tick.quality is None for tick in ticks) > 5

            ticks = await until(own_broker, mended)
    assert {tick.quality for tick in marked if tick.code == "600519"} == {"outside_limits"}
    assert {tick.quality for tick in ticks if tick.code != "600519"} == {None}
    assert {instrument(tick.code).kind for tick in ticks} == {
        Kind.A_SHARE,
        Kind.FUND,
        Kind.CONVERTIBLE,
        Kind.INDEX,
    }
    assert {"510300.SSE", "000001.SSE", "000001"} <= {tick.code for tick in ticks}


async def test_a_worker_and_the_reading_commands_show_the_name(own_broker: str) -> None:
    """A worker answers with what is applied while it runs; limits of no day are not shown."""
    port = free_port()
    simulate = ("simulate", "--port", "0", "--codes", "20", "--rate", "400", "--start", f"{DAY} 09:40:00")
    kinds = ("--kinds", "a-share,fund")
    async with running(*simulate, *kinds) as market:
        assert market.stdout is not None
        url = (await asyncio.wait_for(market.stdout.readline(), SECONDS)).decode().split()[-1]
        worker = ("process", "--bootstrap", own_broker, "--agents", "snapshots", "--web-port", str(port))
        async with (
            running("produce", "--bootstrap", own_broker, "--url", url, "--own-clock", *kinds),
            running(*worker),
        ):
            await write(own_broker, [limits(1859.0, 1521.0), Instrument("510300.SSE", "SSE", name="沪深300ETF")])
            asked = ("snapshot", "600519", "510300", "--json", "--worker", f"http://127.0.0.1:{port}")
            async with asyncio.timeout(SECONDS):
                rows: list[dict[str, Any]] = []
                while len(rows) < 2 or "name" not in rows[1]:
                    rows = [orjson.loads(line) for line in (await said(*asked)).splitlines()]
            assert [(row["name"], row.get("limit_up")) for row in rows] == [
                ("贵州茅台", 1859.0),
                ("沪深300ETF", None),
            ]
            lines = (await said("snapshot", "510300", "--worker", f"http://127.0.0.1:{port}")).splitlines()
            assert lines[1].endswith("  沪深300ETF")
            tail = ("tail", "ticks", "--bootstrap", own_broker, "--codes", "510300", "--limit", "2")
            lines = (await said(*tail)).splitlines()
            assert [line.partition("510300.SSE")[2][-8:] for line in lines[1:]] == ["沪深300ETF"] * 2

"""The example agents: what they emit, in a worker that is killed, equals what one uninterrupted run gives."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import admin
from broker.publisher import Publisher
from deploy.embedded import free_port
from schemas import Tick, encode
from schemas.topics import TICKS, Topic, partition_of, topics

HERE = Path(__file__).parents[2] / "examples" / "agent"
AGENTS = "limit_alerts:LimitAlerts,large_trades:LargeTrades"
CODES = [f"{n}" for n in range(605_500, 605_540)]
SOURCE = "examples-agents"
"""The broker is shared: records of other ticks are left aside."""
CLOSE = 10.0
LIMIT = 11.0
COUNT = 4_000
PARTITIONS = topics()[TICKS].partitions


def loaded(name: str) -> ModuleType:
    """An example's module."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of_code(name: str) -> int:
    """The lines of an example that are not empty."""
    return sum(1 for line in (HERE / f"{name}.py").read_text("utf-8").splitlines() if line.strip())


def drawn(run: int) -> list[Tick]:
    """Stocks that reach their limit, leave it and reach it again, each at its own times; some trades are large."""
    ticks = []
    for n in range(COUNT):
        code = CODES[n % len(CODES)]
        step = n // len(CODES) + int(code) % 7
        price = LIMIT if step % 9 < 4 else LIMIT - 0.01 * (1 + step % 3)
        at = run + n
        turnover = 2_000_000.0 if n % 11 == 0 else 5_000.0
        ticks.append(
            Tick(
                code=code,
                exchange="SSE",
                price=price,
                time=at,
                received=at * 1000,
                source=SOURCE,
                run=run,
                n=n + 1,
                volume=100,
                turnover=turnover,
                previous_close=CLOSE,
            )
        )
    return ticks


def expected(ticks: list[Tick]) -> tuple[dict[str, list[tuple[str, float, int]]], list[int]]:
    """By code the alerts, and the numbers of the large trades; worked out without the agents."""
    alerts: dict[str, list[tuple[str, float, int]]] = {code: [] for code in CODES}
    sealed, seals = dict.fromkeys(CODES, False), dict.fromkeys(CODES, 0)
    for tick in ticks:
        at_limit = tick.price == LIMIT
        if at_limit != sealed[tick.code]:
            sealed[tick.code] = at_limit
            seals[tick.code] += at_limit
            alerts[tick.code].append(("sealed" if at_limit else "opened", tick.price, seals[tick.code]))
    return alerts, [tick.n for tick in ticks if (tick.turnover or 0) >= 1_000_000]


async def everything(bootstrap: str, topic: str) -> dict[bytes, tuple[bytes, Any]]:
    """A topic's records of ticks of this test, in order, by ``ce_id``; what comes twice is the same twice."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[bytes, tuple[bytes, Any]] = {}
    try:
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        async with asyncio.timeout(60):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        name, one = dict(record.headers)["ce_id"], (record.key, json.loads(record.value))
                        if name.startswith(SOURCE.encode()):
                            assert found.setdefault(name, one) == one
    finally:
        await consumer.stop()
    return found


class Process:
    """A worker of the example agents."""

    def __init__(self, bootstrap: str, log: Path) -> None:
        """Started at once."""
        self.port = free_port()
        self._log = log.open("ab")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli", "process", "--bootstrap", bootstrap, "--agents", AGENTS,
             "--web-port", str(self.port)],
            cwd=HERE, stdout=self._log, stderr=self._log, env=environment | {"PYTHONPATH": str(HERE.parents[1])},
        )  # fmt: skip

    async def lag(self) -> int | None:
        """The sum of what is not committed, ``None`` while that is not known of every partition."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self.port}/status") as answer,
            ):
                agents = (await answer.json())["agents"].values()
        except (aiohttp.ClientError, TimeoutError):
            return None
        known = all(agent["recovered"] and len(agent["lag"]) == PARTITIONS for agent in agents)
        return sum(agent["lag_total"] for agent in agents) if known else None

    def kill(self) -> None:
        """As by ``kill -9``."""
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.mark.timeout(240)
async def test_agents_of_another_team_lose_and_double_nothing_under_kills(bootstrap: str, tmp_path: Path) -> None:
    """Their records and their order by code are those of an uninterrupted run; what comes again is the same again."""
    alerts, trades = loaded("limit_alerts"), loaded("large_trades")
    declared: dict[str, Topic] = dict(topics())
    for agent in (alerts.LimitAlerts(), trades.LargeTrades()):
        declared |= {topic.name: topic for topic in agent.declares}
    await admin.apply(bootstrap, declared)
    run = int(time.time() * 1000) // 86_400_000 * 86_400_000 - 86_400_000 + 2 * 3_600_000  # 10:00 of yesterday
    ticks = drawn(run)
    publisher = Publisher(bootstrap, client_id="load")
    await publisher.start(TICKS)
    log = tmp_path / "log"
    worker = Process(bootstrap, log)
    try:
        for part in range(4):
            for tick in ticks[part * COUNT // 4 : (part + 1) * COUNT // 4]:
                publisher.queue(TICKS, partition_of(tick.code, PARTITIONS)).add(
                    tick.code.encode(), encode(tick), tick.received // 1000
                )
            await publisher.flush()
            async with asyncio.timeout(100):
                while await worker.lag() is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
            if part < 3:
                worker.kill()
                worker = Process(bootstrap, log)
        async with asyncio.timeout(100):
            while await worker.lag() != 0:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        got_alerts = await everything(bootstrap, alerts.ALERTS)
        got_trades = await everything(bootstrap, trades.LARGE_TRADES)
    except TimeoutError:
        raise AssertionError(log.read_text("utf-8", "replace")[-3000:]) from None
    finally:
        worker.kill()
        await publisher.stop()
    want_alerts, want_trades = expected(ticks)
    by_code: dict[str, list[tuple[str, float, int]]] = {code: [] for code in CODES}
    for key, alert in got_alerts.values():
        assert key.decode() == alert["code"]
        by_code[alert["code"]].append((alert["event"], alert["price"], alert["seals"]))
    assert by_code == want_alerts
    assert sorted(int(name.rpartition(b"/")[2]) for name in got_trades) == want_trades


@pytest.mark.parametrize(("name", "most"), [("large_trades", 30), ("limit_alerts", 60)])
def test_an_agent_is_short(name: str, most: int) -> None:
    """The rest is the framework's."""
    assert lines_of_code(name) < most

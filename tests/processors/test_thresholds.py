"""Thresholds set at run time, in real workers: applied in order with the ticks, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker import admin
from broker.publisher import Publisher
from cli.thresholds import write
from deploy.embedded import KafkaBroker
from schemas import Tick, encode
from schemas.topics import PRICE_CHANGES, THRESHOLD_MARKS, THRESHOLDS, TICKS, partition_of
from selfcheck.changes import change_id
from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.log import Entry, LogReader
from selfcheck.reference import ChangeReference
from selfcheck.thresholds import Rules
from tests.processors.test_kill import PARTITIONS, THRESHOLD, WorkerProcess, done, settled

CODES = [*(f"{n}" for n in range(600_000, 600_060)), *(f"{n}" for n in range(688_000, 688_030))]
RATE = 1_000
SECONDS = 16.0


@pytest.fixture
async def publisher(broker: KafkaBroker) -> AsyncIterator[Publisher]:
    """Takes the ticks."""
    made = Publisher(broker.bootstrap, client_id="load")
    await made.start(TICKS)
    yield made
    await made.stop()


@contextmanager
def workers(broker: KafkaBroker, directory: Path, *names: str) -> Iterator[list[WorkerProcess]]:
    """Running ones."""
    started = [WorkerProcess(broker.bootstrap, directory, name) for name in names]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()


class Market:
    """Walks the prices of some codes, tick by tick."""

    def __init__(self, publisher: Publisher, rng: random.Random) -> None:
        """Nothing was sent."""
        self._publisher, self._rng = publisher, rng
        self._prices = {code: rng.randrange(900, 1_100) for code in CODES}
        self._run = int(time.time() * 1000)
        self.sent = 0

    def push(self, count: int) -> None:
        """Some more ticks."""
        for _ in range(count):
            code = self._rng.choice(CODES)
            cents = self._prices[code] = max(100, self._prices[code] + self._rng.choice((-3, -1, 0, 0, 1, 2)))
            now, self.sent = time.time_ns() // 1000, self.sent + 1
            tick = Tick(
                code=code, exchange="SSE", price=cents / 100, time=now // 1000, received=now, source="load",
                run=self._run, n=self.sent, volume=100,
            )  # fmt: skip
            self._publisher.queue(TICKS, partition_of(code, PARTITIONS)).add(code.encode(), encode(tick), now // 1000)

    async def run(self, seconds: float) -> None:
        """Push at a steady pace."""
        begun, before = time.monotonic(), self.sent
        while (passed := time.monotonic() - begun) < seconds:
            self.push(int(passed * RATE) - (self.sent - before))
            await asyncio.sleep(0.005)
        await self._publisher.flush()


async def everything(reader: LogReader, topic: str) -> dict[int, list[Entry]]:
    """All records of a topic, by partition."""
    return {
        partition: [entry async for entries in reader.read(topic, partition) for entry in entries]
        for partition in await reader.partitions(topic)
    }


async def check(broker: KafkaBroker) -> Rules:
    """Compare the changes with what an independent reference makes of ticks and marks; gives what was set."""
    async with LogReader(broker.bootstrap) as reader:
        ticks, changes = await everything(reader, TICKS), await everything(reader, PRICE_CHANGES)
        findings = Findings()
        rules = Rules(Rule.parse(THRESHOLD), findings, (await everything(reader, THRESHOLDS))[0])
        for entries in (await everything(reader, THRESHOLD_MARKS)).values():
            for entry in entries:
                rules.mark(entry)
    for partition, entries in ticks.items():
        emitted: dict[bytes, bytes] = {}
        for entry in changes[partition]:
            name, value = dict(entry.headers)["ce_id"], entry.value or b""
            assert emitted.setdefault(name, value) == value, "a change that was emitted again differs"
        reference, expected = ChangeReference(Rule.parse(THRESHOLD)), {}
        for entry in entries:
            if not (entry.value or b"").startswith(b"{"):
                continue  # a dead letter
            tick = json.loads(entry.value or b"")
            change = reference.apply(tick, rules.of(partition, entry.offset, tick))
            if change is not None:
                cause = {name: tick[name] for name in ("source", "run", "n")} | {"received": None}
                place = {"partition": partition, "offset": entry.offset}
                name = change_id(tick["source"], tick["run"], tick["n"]).encode()
                expected[name] = change._asdict() | {"origin": place, "cause": cause}
        got = {name: json.loads(value) for name, value in emitted.items()}
        assert got == expected, f"partition {partition}"
    # How late a threshold came is no matter here: killed workers take their time.
    assert [found for found in findings.examples.get("threshold_mismatches", ()) if "nobody" in found["why"]] == []
    return rules


async def drained(broker: KafkaBroker, worker: WorkerProcess) -> dict[str, Any]:
    """The status of the only worker, when everything is committed."""
    async with asyncio.timeout(60):
        while True:
            status = await worker.status()
            if status and done([status]):
                ends = (await admin.describe(broker.bootstrap, [TICKS]))[TICKS].records
                if status["ticks"] or not ends:
                    return status
            await asyncio.sleep(0.1)


async def shared(pair: list[WorkerProcess]) -> None:
    """Wait until the workers share the partitions."""
    async with asyncio.timeout(60):
        while not all([(status := await worker.status()) and status["recovered"] for worker in pair]):  # noqa: ASYNC110 - looked at
            await asyncio.sleep(0.2)


@pytest.mark.timeout(240)
async def test_workers_killed_while_thresholds_change_emit_what_the_reference_does(
    broker: KafkaBroker, publisher: Publisher, tmp_path: Path
) -> None:
    """Every change is that of one pass over the ticks by the marks, and what was emitted again is byte-identical.

    Thresholds are set, changed and unset at short intervals, partly while a worker is down, and partitions move.
    """
    rng = random.Random(20_261_125)
    market = Market(publisher, rng)
    wishes = [
        *(("default", text) for text in ("0.01", "3ticks", "0.05", "15bp")),
        *(("board:STAR", text) for text in ("20bp", "0", None)),
        *((f"code:{CODES[0]}", text) for text in ("0.1", None)),
    ]

    async def wish() -> None:
        for _ in range(14):
            await asyncio.sleep(rng.uniform(0.2, 1.6))
            await write(broker.bootstrap, *rng.choice(wishes))

    async def kill(pair: list[WorkerProcess]) -> None:
        for victim in pair:
            await asyncio.sleep(rng.uniform(3, 5))
            await asyncio.to_thread(victim.kill)
            await write(broker.bootstrap, "default", rng.choice(("2ticks", "0.03")))
            victim.start()

    with workers(broker, tmp_path, "first", "second") as pair:
        await shared(pair)
        await asyncio.gather(market.run(SECONDS), wish(), kill(pair))
        await settled(broker.bootstrap, pair)
    rules = await check(broker)
    assert len(rules.settings) == 16
    assert sum(setting.partitions > 0 for setting in rules.settings) > 8, "most of them were judged by"


@pytest.mark.timeout(180)
async def test_what_was_set_is_in_force_for_a_worker_that_starts_and_stays_after_a_restart(
    broker: KafkaBroker, publisher: Publisher, tmp_path: Path
) -> None:
    """Before the first worker it holds from the first tick; set and unset later, from the end of what was judged.

    The worker says what is in force; settings and what is not a threshold stay out of it.
    """
    await write(broker.bootstrap, "board:STAR", "20bp")
    market = Market(publisher, random.Random(1))
    market.push(2_000)
    await publisher.flush()
    with workers(broker, tmp_path, "only") as (worker,):
        status = await drained(broker, worker)
        assert status["thresholds"] == {"default": THRESHOLD, "board:STAR": "20bp"}
        assert status["thresholds_run_time"] == ["board:STAR"]
        worker.kill()
        await write(broker.bootstrap, "board:STAR", None)
        await write(broker.bootstrap, "default", "5ticks")
        queue = publisher.queue(THRESHOLDS, 0)
        queue.add(b"code:600000", b'{"scope":"code:600000","threshold":"5%"}', 1)
        market.push(2_000)
        await publisher.flush()
        worker.start()
        status = await drained(broker, worker)
        assert status["thresholds"] == {"default": "5ticks"}
        market.push(2_000)
        await publisher.flush()
        await drained(broker, worker)
    log = (tmp_path / "only.log").read_text("utf-8")
    assert f"thresholds in force: default {THRESHOLD}, board:STAR 20bp (run time)" in log
    assert "a record is not a threshold, what was set stays in force: offset 3: threshold '5%'" in log

    async with LogReader(broker.bootstrap) as reader:
        marks = await everything(reader, THRESHOLD_MARKS)
        ends = await reader.ends(TICKS)
    for partition, entries in marks.items():
        steps = [json.loads(entry.value or b"") for entry in entries]
        assert steps[0]["scope"] == "board:STAR", f"partition {partition}"
        assert steps[0]["start"] == 0, "nobody had judged a tick"
        assert {step["scope"]: step["threshold"] for step in steps} == {"board:STAR": None, "default": "5ticks"}
        assert len({step["start"] for step in steps[1:]}) == 1
        assert 0 < steps[1]["start"] < ends[partition], "behind what may have been judged, before what came later"
    assert (await check(broker)).settings[0].partitions > 0

"""Partitions that change hands under 5,000 ticks a second, agents together and apart, on a real broker.

Whatever happens to a member, nothing that a reader gets is lost, doubled or different, by the self-check's reference;
and a partition goes on again within ``PAUSE`` seconds, without a wait that has its end from a clock alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from broker import admin
from broker.publisher import Publisher
from schemas.topics import SNAPSHOTS, topics
from selfcheck.comparison import CHANGES, TICKS
from selfcheck.findings import Findings
from selfcheck.log import LogReader
from selfcheck.pauses import Pause, PauseWatch
from selfcheck.served import ServedCheck, ask
from tests.processors.rebalance.gate import GatedBroker, Kind
from tests.processors.rebalance.judge import judged
from tests.processors.rebalance.load import Load
from tests.processors.rebalance.members import ALL, Member, begun, members, stopped, up

AGENTS = tuple(ALL.split(","))
TOGETHER, APART = (ALL, ALL), (*AGENTS, *AGENTS)
BESIDE = (ALL, "changes")
"""Workers, by their agents. Each half of the first two is a member of every group."""
PAUSE = 15.0
"""Most seconds that a partition may stand still beyond what was done to it. The session of a member that is gone ends
after 10 s; a drain that waits for what can't come gives up after 20 s."""
SESSION = 10.0


layouts = pytest.mark.parametrize("agents", [TOGETHER, APART], ids=["together", "apart"])
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedBroker]:
    """One for all tests here: each has codes, and so rows, of its own."""
    made = GatedBroker(tmp_path_factory.mktemp("kafka"))
    try:
        made.start()
        asyncio.run(admin.apply(made.bootstrap))
        yield made
    finally:
        made.gate.close()
        made.stop()


@contextlib.asynccontextmanager
async def watched(bootstrap: str, groups: Sequence[str]) -> AsyncIterator[PauseWatch]:
    """Pauses from here to the end."""
    watch = PauseWatch(bootstrap, TICKS, groups)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def longer_than(seconds: float, watch: PauseWatch) -> list[Pause]:
    """The pauses that lasted longer, by group."""
    return [pause for pause in watch.pauses.by_group.values() if pause.seconds > seconds]


@pytest.mark.parametrize("agents", [TOGETHER, APART, BESIDE], ids=["together", "apart", "beside"])
async def test_a_member_that_is_asked_to_end_hands_over_what_it_has(
    broker: GatedBroker, tmp_path: Path, agents: Sequence[str]
) -> None:
    """SIGTERM under load: it ends cleanly and soon; the others go on, and share with it again when it is back."""
    async with Load(broker.bootstrap) as load:
        with members(broker.bootstrap, tmp_path, agents) as group:
            leaving = group[len(group) // 2 :]
            groups = await up(group)
            async with watched(broker.bootstrap, groups) as watch:
                async with load.running():
                    await asyncio.sleep(3.0)
                    await stopped(leaving)
                    await asyncio.sleep(2.0)
                    for member in leaving:
                        member.start()
                    await up(group)
                    await asyncio.sleep(2.0)
                found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples
            assert not longer_than(PAUSE, watch)
            # What two have made, each by itself, comes twice.
            assert found.repeated < found.changes / 2


@layouts
async def test_a_member_that_stood_still_past_its_session_publishes_and_serves_nothing_old(
    broker: GatedBroker, tmp_path: Path, agents: Sequence[str]
) -> None:
    """SIGSTOP, the others take over, SIGCONT: it joins again first. No row goes back, and no answer is an old one."""
    served = ServedCheck(Findings())
    async with Load(broker.bootstrap) as load:
        with members(broker.bootstrap, tmp_path, agents) as group:
            frozen = group[: len(group) // 2]
            groups = await up(group)
            async with watched(broker.bootstrap, groups) as watch:
                async with load.running():
                    await asyncio.sleep(2.0)
                    for member in frozen:
                        member.part.freeze()
                    await asyncio.sleep(SESSION + 4.0)

                    def go_on() -> None:
                        for member in frozen:
                            member.part.resume()

                    await ask(frozen[0].url, load.codes[::8], watch.lowest, served, go_on)
                await up(group)
                found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store", served=served)
            assert not longer_than(SESSION + PAUSE, watch)
            assert not found.wrong, found.examples


@layouts
async def test_a_member_joins_one_that_is_far_behind(
    broker: GatedBroker, tmp_path: Path, agents: Sequence[str]
) -> None:
    """Every buffer of the first is full when it has to let go of half of its partitions."""
    async with Load(broker.bootstrap) as load:
        for _ in range(25):
            await load.push(10_000)
        with members(broker.bootstrap, tmp_path, agents[: len(agents) // 2]) as group:
            groups = await begun(broker.bootstrap, group)
            async with watched(broker.bootstrap, groups) as watch, load.running():
                group += [Member(broker.bootstrap, tmp_path, some) for some in agents[len(agents) // 2 :]]
                await up(group)
                await asyncio.sleep(1.0)
            found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples
            assert not longer_than(PAUSE, watch)


@pytest.mark.parametrize("agents", [(ALL,), AGENTS], ids=["together", "apart"])
async def test_a_broker_that_is_half_ill_costs_time_and_nothing_else(
    broker: GatedBroker, tmp_path: Path, agents: Sequence[str]
) -> None:
    """It takes fetches and no produces, then produces and no fetches, for 6 s each; the workers stay alive."""
    kinds: tuple[Kind, ...] = ("produces", "fetches")
    async with Load(broker.bootstrap) as load:
        with members(broker.gated, tmp_path, agents) as group:
            groups = await up(group)
            async with watched(broker.bootstrap, groups) as watch:
                async with load.running():
                    for kind in kinds:
                        await asyncio.sleep(2.0)
                        broker.gate.hold(kind)
                        try:
                            await asyncio.sleep(6.0)
                        finally:
                            broker.gate.hold()
                    await asyncio.sleep(2.0)
                found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples
            assert not longer_than(6.0 + PAUSE, watch)


async def test_a_member_joins_while_no_produce_is_taken(broker: GatedBroker, tmp_path: Path) -> None:
    """With as many ticks of a partition in hand as may wait, all of them unconfirmed.

    What can't be confirmed in time is given up, rows and all: it comes again, on rows that do not know of it.
    """
    async with Load(broker.bootstrap) as load:
        with members(broker.gated, tmp_path, TOGETHER) as group:
            groups = await up(group)
            async with load.running(1_000):
                broker.gate.hold("produces")
                try:
                    await load.push(60_000, load.neighbours())
                    await asyncio.sleep(2.0)
                    group.append(Member(broker.gated, tmp_path))
                    await asyncio.sleep(28.0)
                finally:
                    broker.gate.hold()
                await up(group)
                await asyncio.sleep(1.0)
            found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples


async def test_an_owner_that_was_fenced_by_mistake_takes_its_partitions_over_again(
    broker: GatedBroker, tmp_path: Path
) -> None:
    """A process that lost them stood still before it took them over. Its request comes late, and nobody else tells."""
    async with Load(broker.bootstrap) as load:
        with members(broker.bootstrap, tmp_path, (ALL,)) as group:
            groups = await up(group)
            intruder = Publisher(broker.bootstrap, client_id="intruder")
            await intruder.start()
            async with load.running():
                await asyncio.sleep(2.0)
                rows = [intruder.queue(SNAPSHOTS, number) for number in range(topics()[SNAPSHOTS].partitions)]
                await intruder.fences.take_over(rows, "ashare-snapshots", lambda: True)
                await asyncio.sleep(12.0)
            await intruder.stop()
            await up(group)
            found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples


async def test_a_store_that_takes_nothing_holds_back_its_own_agent_alone(broker: GatedBroker, tmp_path: Path) -> None:
    """Another program keeps the day's file locked for 16 s: price changes come all the while, rows come afterwards."""
    async with Load(broker.bootstrap) as load:
        with members(broker.bootstrap, tmp_path, (ALL,)) as group:
            groups = await up(group)
            async with load.running(), LogReader(broker.bootstrap) as reader:
                await asyncio.sleep(2.0)
                with locked(tmp_path / "store"):
                    silent = await longest_silence(reader, 16.0)
                await asyncio.sleep(2.0)
            found = await judged(broker.bootstrap, load, groups, group, store=tmp_path / "store")
            assert not found.wrong, found.examples
            assert silent < 5.0


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Every file of a store is locked for writing."""
    with contextlib.ExitStack() as held:
        for file in store.glob("ticks-*.sqlite"):
            connection = held.enter_context(contextlib.closing(sqlite3.connect(file, timeout=20.0)))
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            held.callback(connection.execute, "ROLLBACK")
        yield


async def longest_silence(reader: LogReader, seconds: float) -> float:
    """The longest time, of so many seconds from now, in which no price change came."""
    end, since, longest = -1, time.monotonic(), 0.0
    until = since + seconds
    while (now := time.monotonic()) < until:
        found = sum((await reader.ends(CHANGES)).values())
        longest = max(longest, now - since)
        if found != end:
            end, since = found, now
        await asyncio.sleep(0.1)
    return longest

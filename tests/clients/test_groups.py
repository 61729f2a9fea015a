"""Groups: a batch is committed when the caller is done with it, never before; after a kill nothing is missing."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import signal
import sys
import textwrap
import uuid
from collections.abc import Iterable, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from ashare_client import ArgumentError, NoBrokerError, PriceChanges, RangeError
from ashare_client.log import Log
from tests.clients.test_reading import delete_before, of
from tests.clients.topics import PARTITIONS, RECEIVED, Written, change, written

CODES = ("600519", "000001", "688000", "300750", "600010")  # on every partition
SECONDS = 60
FAST = {"session_timeout_ms": 2_000, "heartbeat_interval_ms": 300}


def group() -> str:
    return f"client-{uuid.uuid4().hex}"


async def committed(topic: Written, name: str) -> int:
    """How many offsets the group has behind it, over all partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap, group_id=name, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [await consumer.committed(TopicPartition(topic.name, p)) for p in range(PARTITIONS)]
        return sum(place or 0 for place in places)
    finally:
        await consumer.stop()


async def test_a_batch_is_committed_when_the_next_is_asked_for(topic: Written) -> None:
    """Not when it is handed out; without an error, leaving commits what was handed out."""
    await topic.put([change("600519", n) for n in range(10)])
    name = group()
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=name, batch_size=4) as changes:
        read = aiter(changes)
        async with asyncio.timeout(SECONDS):
            for _ in range(4):
                await anext(read)
            assert await committed(topic, name) == 0
            await anext(read)
            while await committed(topic, name) == 0:  # noqa: ASYNC110 - the broker has no event to wait for
                await asyncio.sleep(0.05)
            assert await committed(topic, name) == 4
    assert await committed(topic, name) == 5
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="latest", group=name) as changes:
        assert (await anext(aiter(changes))).origin.offset == 5


async def test_an_error_leaves_the_batch_in_hand_uncommitted(topic: Written) -> None:
    """It comes again, whole."""
    await topic.put([change("600519", n) for n in range(3)])
    name = group()

    async def fails() -> None:
        async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=name) as changes:
            async for one in changes:
                raise RuntimeError(str(one.origin.offset))

    for _ in range(2):
        with pytest.raises(RuntimeError, match="0"):
            await fails()
    assert await committed(topic, name) == 0


async def test_a_caller_may_commit_by_itself(topic: Written) -> None:
    """Then nothing else does."""
    await topic.put([change("600519", n) for n in range(6)])
    name = group()
    reader = PriceChanges(
        topic.bootstrap, topic=topic.name, start="earliest", group=name, commit="manual", batch_size=2
    )
    async with reader as changes:
        read = aiter(changes)
        async with asyncio.timeout(SECONDS):
            for _ in range(3):
                await anext(read)
            await changes.commit()
            for _ in range(3):
                await anext(read)
    assert await committed(topic, name) == 3


async def test_a_group_begins_where_it_was_told_only_once(topic: Written) -> None:
    """`latest` is when its first member opened: one that dies before its first batch loses nothing."""
    await topic.put([change("600519", 0)])
    name = group()
    async with PriceChanges(topic.bootstrap, topic=topic.name, group=name):
        pass
    await topic.put([change("600519", 1)])
    async with PriceChanges(topic.bootstrap, topic=topic.name, group=name) as changes, asyncio.timeout(SECONDS):
        assert (await anext(aiter(changes))).origin.offset == 1
        assert sum((await changes.lag()).values()) == 0


async def test_a_group_whose_place_is_gone_says_so(topic: Written) -> None:
    """It was away for longer than the log keeps; going on from what there is, is a choice."""
    name = group()
    async with PriceChanges(topic.bootstrap, topic=topic.name, group=name, start="earliest"):
        await topic.put([change("600519", n) for n in range(10)])
    await delete_before(topic, of("600519"), 4)
    with pytest.raises(RangeError, match=r"0-3 is gone: the log begins at 4"):
        await PriceChanges(topic.bootstrap, topic=topic.name, group=name).open()
    async with PriceChanges(topic.bootstrap, topic=topic.name, group=name, missing="skip") as changes:
        assert (await anext(aiter(changes))).origin.offset == 4
        assert changes.stats.skipped == 4


async def test_a_group_finds_its_topic_made_anew(bootstrap: str) -> None:
    """Its place lies beyond the end: all that is there is new."""
    old = await written(bootstrap)
    async with PriceChanges(bootstrap, topic=old.name, group=old.name, start="earliest") as changes:
        await old.put([change("600519", n) for n in range(5)])
        read = aiter(changes)
        async with asyncio.timeout(SECONDS):
            for _ in range(5):
                await anext(read)
    await old.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([old.name])
    await admin.close()
    new = await written(bootstrap, name=old.name)
    await new.put([change("600519", n, received=RECEIVED + 10**9) for n in range(2)])
    # Deleting a topic takes a group's place in it away, or it may be left: either way nothing new is passed over.
    async with PriceChanges(bootstrap, topic=new.name, group=old.name, start="earliest") as changes:
        async with asyncio.timeout(SECONDS):
            assert (await anext(aiter(changes))).origin.offset == 0
    await new.close()


async def test_a_group_reads_all_partitions(topic: Written) -> None:
    """Offsets to begin at must name them all."""
    with pytest.raises(ArgumentError, match=r"name all of \[0, 1, 2\]"):
        await PriceChanges(topic.bootstrap, topic=topic.name, group=group(), start={0: 0}).open()
    await topic.put([change("600519", n) for n in range(3)])
    places = dict.fromkeys(range(PARTITIONS), 0) | {of("600519"): 1}
    async with PriceChanges(topic.bootstrap, topic=topic.name, group=group(), start=places) as changes:
        assert (await anext(aiter(changes))).origin.offset == 1


async def test_members_share_the_partitions_and_lose_nothing(topic: Written) -> None:
    """While others come and go, every change reaches one of them at least once, and each in order per code."""
    name = group()
    got: dict[int, list[tuple[str, int]]] = {1: [], 2: []}

    async def member(number: int, enough: int) -> None:
        async with PriceChanges(
            topic.bootstrap, topic=topic.name, start="earliest", group=name, batch_size=5, options=FAST
        ) as changes:
            async for one in changes:
                got[number].append((one.code, one.origin.offset))
                if len(got[number]) >= enough:
                    break
                await asyncio.sleep(0)

    enough = asyncio.Event()

    async def write() -> int:
        """Until the second member has come, read and gone: joining takes as long as it takes."""
        for n in itertools.count():
            await topic.put([change(code, n) for code in CODES])
            await asyncio.sleep(0.005)
            if enough.is_set():
                return n + 1
        raise AssertionError

    async with asyncio.timeout(SECONDS):
        writing = asyncio.create_task(write())
        first = asyncio.create_task(member(1, 10**9))
        while not got[1]:  # noqa: ASYNC110 - a task fills it
            await asyncio.sleep(0.05)
        await member(2, 100)
        enough.set()
        total = await writing
        while len(set(got[1]) | set(got[2])) < total * len(CODES):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
    assert len(got[2]) == 100
    for places in got.values():
        assert len(set(places)) == len(places), "one member was given a change twice"
        in_order(places)


def in_order(places: Iterable[tuple[str, int]]) -> None:
    for code in CODES:
        offsets = [offset for of_code, offset in places if of_code == code]
        assert offsets == sorted(offsets)


READER = textwrap.dedent(
    """
    import asyncio, json, sys
    from ashare_client import PriceChanges

    async def main(bootstrap, topic, group, options):
        async with PriceChanges(
            bootstrap, topic=topic, start="earliest", group=group, batch_size=20, options=json.loads(options)
        ) as changes:
            async for batch in changes.batches():
                for change in batch:
                    print(json.dumps([change.code, change.origin.offset]), flush=True)
                    await asyncio.sleep(0.001)

    asyncio.run(main(*sys.argv[1:]))
    """
)


async def test_a_kill_at_any_moment_loses_nothing(topic: Written) -> None:
    """SIGKILL, several times: what was in hand comes again, the rest once, each life in order per code."""
    name, total = group(), 200
    await topic.put([change(code, n) for n in range(total) for code in CODES])
    lives: list[list[tuple[str, int]]] = []
    async with asyncio.timeout(SECONDS):
        for enough in (137, 250, 10**9):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", READER, topic.bootstrap, topic.name, name, json.dumps(FAST)),
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            life: list[tuple[str, int]] = []
            lives.append(life)
            while len(life) < enough and len({p for each in lives for p in each}) < total * len(CODES):
                line = await process.stdout.readline()
                code, offset = json.loads(line)
                life.append((code, offset))
            process.send_signal(signal.SIGKILL)
            await process.communicate()
    assert {place for life in lives for place in life} == {(code, n) for code in CODES for n in range(total)}
    for life in lives:
        assert len(set(life)) == len(life)
        in_order(life)
    again = sum(map(len, lives)) - total * len(CODES)
    assert again <= 2 * 3 * 20, "more came again than was in hand and on its way to being committed"


class Failing:
    """Stands in for `Log.commit`: so many commits fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: float) -> None:
        """From now on."""
        self.left = failures
        real = Log.commit

        async def commit(of: Log, offsets: Mapping[int, int]) -> bool:
            if self.left > 0:
                self.left -= 1
                raise KafkaConnectionError("the broker went away")
            return await real(of, offsets)

        monkeypatch.setattr(Log, "commit", commit)


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_commit_that_failed_is_made_up_for_on_leaving(
    topic: Written, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """In the background, of the last batch or of those before: what was handed out is committed all the same."""
    await topic.put([change("600519", n) for n in range(10)])
    name = group()
    changes = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=name, batch_size=10)
    async with asyncio.timeout(SECONDS), changes:
        read = aiter(changes)
        for _ in range(10):
            await anext(read)
        Failing(monkeypatch, failures)
    assert await committed(topic, name) == 10


async def test_a_commit_that_stays_away_is_raised_on_leaving(topic: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the place, so that nobody takes for done what comes again; an error of the caller's own goes before it."""
    await topic.put([change("600519", n) for n in range(10)])
    name = group()

    async def leave(*, by: type[Exception] | None = None) -> None:
        reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=name, patience=1.0)
        async with asyncio.timeout(SECONDS), reader as changes:
            read = aiter(changes)
            await anext(read)
            monkeypatch.undo()
            Failing(monkeypatch, math.inf)
            if by is not None:
                raise by
        raise AssertionError("it left without a word")

    with pytest.raises(NoBrokerError, match=f"{topic.name}/.*up to 1.*comes again"):
        await leave()
    with pytest.raises(KeyError):
        await leave(by=KeyError)
    monkeypatch.undo()
    assert await committed(topic, name) == 0

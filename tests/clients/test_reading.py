"""Reading from a real broker: where it begins and ends, what is left out, what is known beside the records."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ashare_client import (
    ArgumentError,
    ClientError,
    FeedEvents,
    NoBrokerError,
    NoTopicError,
    PriceChange,
    PriceChanges,
    RangeError,
    RecordError,
    StateError,
    Ticks,
)
from ashare_client.log import Log, LostError
from consumers.replay.selection import END_HEADER
from deploy.embedded import free_port
from schemas.records import FeedEvent
from schemas.topics import partition_of
from tests.clients.topics import PARTITIONS, RECEIVED, Written, change, tick, written

PATIENCE = 30


def of(code: str) -> int:
    """The partition of a code in a test's topic."""
    return partition_of(code, PARTITIONS)


def places(changes: list[PriceChange]) -> list[tuple[str, int]]:
    return [(change.code, change.origin.offset) for change in changes]


async def everything(topic: Written, **arguments: Any) -> list[PriceChange]:
    arguments = {"start": "earliest", "end": "now"} | arguments
    return [change async for change in PriceChanges(topic.bootstrap, topic=topic.name, **arguments)]


async def test_changes_come_once_and_in_order_per_code(topic: Written) -> None:
    """Also where the pipeline has emitted a stretch again."""
    written = [change("600519", n) for n in range(5)] + [change("688981", n) for n in range(5)]
    again = [change("600519", n) for n in range(2, 7)]
    await topic.put([*written, *again])
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now") as changes:
        found = places([change async for change in changes])
        assert changes.stats.repeated == 3
        assert changes.stats.fetched == 15
        assert changes.stats.delivered == 12
    assert sorted(found) == [("600519", n) for n in range(7)] + [("688981", n) for n in range(5)]
    assert [offset for code, offset in found if code == "600519"] == list(range(7))


async def test_latest_is_the_moment_of_opening(topic: Written) -> None:
    """What was there before does not come; what is written after the reader is open does, however late it is asked."""
    await topic.put([change("600519", 0)])
    async with PriceChanges(topic.bootstrap, topic=topic.name) as changes, asyncio.timeout(PATIENCE):
        await topic.put([change("600519", 1)])
        found = await anext(aiter(changes))
    assert found.origin.offset == 1


async def test_only_what_is_asked_for_comes(topic: Written) -> None:
    """Codes, boards, and the size of a move; a first price is not a move."""
    await topic.put(
        [
            change("600519", 0),
            change("600519", 1, 10.01, previous=10.0),
            change("600519", 2, 10.06, previous=10.01),
            change("688981", 0, 50.0),
            change("688981", 1, 50.5, previous=50.0),
            change("300750", 0, 200.0),
        ]
    )
    assert len(await everything(topic)) == 6
    assert {c.code for c in await everything(topic, codes=["688981"])} == {"688981"}
    assert {c.code for c in await everything(topic, boards="CHINEXT,STAR")} == {"688981", "300750"}
    assert sorted(places(await everything(topic, min_change=0.05))) == [("600519", 2), ("688981", 1)]
    assert places(await everything(topic, min_change="60bp")) == [("688981", 1)]


async def test_reading_begins_and_ends_at_times_and_offsets(topic: Written) -> None:
    """Times are receive times, an end is exclusive, and with offsets only the partitions named are read."""
    await topic.put([change(code, n) for n in range(10) for code in ("600519", "688981")])
    third, seventh = (datetime.fromtimestamp((RECEIVED + n * 1000) / 1e6, UTC) for n in (3, 7))
    found = await everything(topic, start=third, end=int(seventh.timestamp() * 1000), codes="600519")
    assert places(found) == [("600519", n) for n in range(3, 7)]
    found = await everything(topic, codes="600519", start={of("600519"): 0}, end={of("600519"): 1})
    assert len(found) <= 1
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", codes="600519") as changes:
        read = aiter(changes)
        async with asyncio.timeout(PATIENCE):
            before = [await anext(read) for _ in range(4)]
        place = changes.position
    rest = await everything(topic, start=place, codes="600519")
    assert places(before + rest) == [("600519", n) for n in range(10)]


async def test_a_batch_is_what_came_together(topic: Written) -> None:
    """No larger than asked for, never empty; what is in hand can be taken one by one, and the rest as a batch."""
    await topic.put([change("600519", n) for n in range(10)])
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now", batch_size=4)
    async with reader as changes:
        first = await anext(aiter(changes))
        batches = [batch async for batch in changes.batches()]
        assert changes.source == "log"
        assert sum(changes.position.values()) == 10
    assert [len(batch) for batch in batches] == [3, 4, 2]
    assert places([first, *(record for batch in batches for record in batch)]) == [("600519", n) for n in range(10)]
    assert batches[0].offsets == [1, 2, 3]
    assert batches[-1].ends == {of("600519"): 10}


async def test_a_range_that_is_empty_ends(topic: Written) -> None:
    """At once, and it asks nothing of the caller."""
    assert await everything(topic) == []
    await topic.put([change("600519", 0)])
    assert await everything(topic, start="latest") == []
    assert await everything(topic, codes="000001") == []


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        (RECEIVED // 1000 + 5_000, RECEIVED // 1000, ("2026-11-20 01:30:05.187 UTC", "2026-11-20 01:30:00.187 UTC")),
        ({0: 5, 1: 5}, {0: 5, 1: 3}, ("3 of partition 1", "offset 5")),
        (4_000_000_000_000, "now", ("'now'", "2096")),
    ],
)
async def test_an_end_before_the_start_is_an_error_that_names_both(
    topic: Written, start: Any, end: Any, names: tuple[str, str]
) -> None:
    """Before anything connects, where the two are of one kind."""
    with pytest.raises(ArgumentError) as raised:
        PriceChanges(topic.bootstrap, topic=topic.name, start=start, end=end)
    assert str(raised.value).startswith("end: ")
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("latest", RECEIVED // 1000 + 2),
        ({of("600519"): 8}, RECEIVED // 1000 + 2),
        (RECEIVED // 1000 + 8, {of("600519"): 2}),
        ("latest", {of("600519"): 2}),
    ],
)
async def test_an_end_that_turns_out_to_lie_before_the_start_names_both_too(
    topic: Written, start: Any, end: Any
) -> None:
    """Of two kinds the log tells which is first."""
    await topic.put([change("600519", n) for n in range(10)])
    with pytest.raises(ArgumentError, match=f"end: .* is offset .* of {topic.name}/.* lies before start: .* offset"):
        await everything(topic, start=start, end=end)
    assert await everything(topic, start={of("600519"): 2}, end=RECEIVED // 1000 + 2) == []


async def test_lag_and_age_are_known(topic: Written) -> None:
    """Lag counts what was not handed out; age is since the newest record of a code was received."""
    now = int(time.time() * 1e6)
    await topic.put([change("600519", n, received=now + n) for n in range(5)])
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", codes="600519,000001") as changes:
        assert sum((await changes.lag()).values()) == 5
        assert changes.age("600519") is None
        async with asyncio.timeout(PATIENCE):
            await anext(aiter(changes))
        assert sum((await changes.lag()).values()) == 4
        age = changes.age("600519")
        assert age is not None
        assert 0 <= age < PATIENCE
        assert changes.age("000001") is None
        with pytest.raises(ClientError, match="688981"):
            changes.age("688981")


async def test_ticks_that_were_sent_again_come_once(topic: Written) -> None:
    """They are told by their line's run and number."""
    await topic.put([*(tick("600519", n) for n in range(5)), *(tick("600519", n) for n in range(3, 8))])
    reader = Ticks(topic.bootstrap, topic=topic.name, start="earliest", end="now")
    assert [found.n async for found in reader] == list(range(8))
    assert reader.stats.repeated == 2


def event(kind: Any, at: int, **fields: Any) -> FeedEvent:
    return FeedEvent(kind, "client-test", 7, 0, at, **fields)


async def test_feed_events_are_those_that_concern_the_codes(topic: Written) -> None:
    """An event for all codes concerns every one; other lines' codes do not."""
    await topic.put(
        [
            event("subscribed", 1_000, codes=["600519"]),
            event("gap", 2_000, start=1, end=2, codes=["688981"]),
            event("gap", 3_000, start=1, end=2, codes="all"),
        ]
    )
    reader = FeedEvents(topic.bootstrap, topic=topic.name, start="earliest", end="now", boards="STAR", events="gap")
    found = [event async for event in reader]
    assert [event.at for event in found] == [2_000, 3_000]
    with pytest.raises(ClientError, match="Ticks"):
        reader.age("600519")


async def test_a_record_that_cannot_be_read_stops_behind_what_can(topic: Written) -> None:
    """The error names its place; skipping is a choice, and counted."""
    await topic.put([change("600519", 0)])
    await topic.put_raw("600519", b'{"code":"600519"}')
    await topic.put([change("600519", 1)])
    async with PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now") as changes:
        read = aiter(changes)
        assert (await anext(read)).origin.offset == 0
        with pytest.raises(RecordError, match=r"offset 1 .*price.*malformed='skip'"):
            await anext(read)
    assert [c.origin.offset for c in await everything(topic, malformed="skip")] == [0, 1]


async def test_what_is_not_there_is_named(topic: Written) -> None:
    """No broker, no topic, no partition, no such offset: each with what to do, and nothing left open."""
    with pytest.raises(NoBrokerError, match="no Kafka broker answers"):
        await PriceChanges(f"127.0.0.1:{free_port()}").open()
    with pytest.raises(NoTopicError, match="no-such-topic"):
        await PriceChanges(topic.bootstrap, topic="no-such-topic").open()
    with pytest.raises(NoTopicError, match="no-such-topic"):
        await PriceChanges(topic.bootstrap, topic="no-such-topic", group="any").open()
    with pytest.raises(ClientError, match="partition 77"):
        await everything(topic, start={77: 0})
    with pytest.raises(RangeError, match="ends at 0: 5 is not there yet"):
        await everything(topic, start={0: 5})
    with pytest.raises(RangeError, match="ends at 0: 5 is not there yet"):
        await everything(topic, start="earliest", end={0: 5})
    with pytest.raises(ClientError, match="future"):
        await everything(topic, end=int(time.time() * 1000) + 3_600_000)
    with pytest.raises(ClientError, match="no_such_option"):
        await PriceChanges(topic.bootstrap, topic=topic.name, options={"no_such_option": 1}).open()


async def test_a_reader_is_used_once_and_by_one_task(topic: Written) -> None:
    """Misuse says so, instead of losing records between two readers of one position."""
    reader = PriceChanges(topic.bootstrap, topic=topic.name)
    with pytest.raises(StateError, match="async with"):
        await reader.lag()
    async with reader:
        waiting = asyncio.create_task(reader.advance())
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="two tasks"):
            await reader.advance()
        with pytest.raises(StateError, match="group="):
            await reader.commit()
    assert await waiting is False
    with pytest.raises(StateError, match="make a new one"):
        await reader.open()


async def test_leaving_a_plain_loop_closes_the_reader(topic: Written) -> None:
    """``async for`` without ``async with`` opens and closes by itself."""
    await topic.put([change("600519", n) for n in range(3)])
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest")
    async for _ in reader:
        break
    while reader._state != "closed":  # noqa: ASYNC110 - the event loop closes what the loop has left
        await asyncio.sleep(0.01)


async def test_retention_that_has_passed_is_an_error_that_names_what_there_is(topic: Written) -> None:
    """By offset and by time; skipping is a choice, and counted. `earliest` is what there is."""
    await topic.put([change("600519", n) for n in range(10)])
    place = of("600519")
    await delete_before(topic, place, 6)
    with pytest.raises(RangeError, match=r"2-5 is gone: the log begins at 6.*archive=DIR"):
        await everything(topic, start={place: 2})
    found = PriceChanges(topic.bootstrap, topic=topic.name, start={place: 2}, end={place: 9}, missing="skip")
    assert [c.origin.offset async for c in found] == [6, 7, 8]
    assert found.stats.skipped == 4
    assert [c.origin.offset for c in await everything(topic)] == [6, 7, 8, 9]


async def test_a_time_that_retention_has_passed_is_told_from_the_topic_s_settings(bootstrap: str) -> None:
    """The oldest record may be the first that ever was at that time, or the first that is left."""
    now = int(time.time() * 1e6)
    for retention_ms, lost in ((5_000, True), (3_600_000, False)):
        topic = await written(bootstrap, retention_ms=retention_ms)
        await topic.put([change("600519", n, received=now - 20_000_000 + n * 1000) for n in range(10)])
        await delete_before(topic, of("600519"), 6)
        start = (now - 20_000_000) // 1000 + 2
        if lost:
            with pytest.raises(RangeError, match=r"is gone: the log begins at 6"):
                await everything(topic, start=start)
        else:
            assert len(await everything(topic, start=start)) == 4
        assert len(await everything(topic, start=start + 6)) == 2
        await topic.close()


@pytest.mark.parametrize("group", [None, "team"])
async def test_a_consumer_that_fails_is_made_anew(topic: Written, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    """And reading goes on where it stood; what a group gives again is dropped."""
    name = group and f"{group}-{topic.name}"
    await topic.put([change("600519", n) for n in range(10)])
    fetch, calls = Log.fetch, itertools.count(1)

    async def failing(self: Log, wait: float, limit: int) -> Any:
        if next(calls) in {2, 4}:
            raise LostError("gone")
        return await fetch(self, wait, limit)

    monkeypatch.setattr(Log, "fetch", failing)
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", group=name, batch_size=3)
    found = []
    async with reader, asyncio.timeout(PATIENCE):
        async for one in reader:
            found.append(one.origin.offset)
            if len(found) == 10:
                break
    assert found == list(range(10))
    assert reader.stats.reconnected == 2


async def delete_before(topic: Written, partition: int, offset: int) -> None:
    """Take a partition's first records away, as retention does."""
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    admin = AIOKafkaAdminClient(bootstrap_servers=topic.bootstrap)
    await admin.start()
    try:
        tp = TopicPartition(topic.name, partition)
        await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap)
    await consumer.start()
    try:
        assert (await consumer.beginning_offsets([tp]))[tp] == offset
    finally:
        await consumer.stop()


async def test_the_end_marker_of_a_replay_is_no_record(topic: Written) -> None:
    """A topic that `ashare replay` wrote is read like any other; an empty record without that header is malformed."""
    await topic.put([change("600519", n) for n in range(3)])
    topic.add("600519", b"", RECEIVED // 1000, [(END_HEADER, b"complete")])
    await topic.put([change("600519", 3)])
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now")
    assert [found.origin.offset async for found in reader] == [0, 1, 2, 3]
    assert reader.stats.malformed == 0
    await topic.put_raw("600519", b"")
    with pytest.raises(RecordError, match="can't be read"):
        _ = [found async for found in PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now")]

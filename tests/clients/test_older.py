"""What the log no longer holds comes from the archive, and the reader says so; a range that neither has is an error.

One case takes the archive that ``ashare archive`` writes; in the others it is a stand-in with the same interface,
so that each hole is where a case needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ashare_client import PriceChanges, RangeError, Ticks
from ashare_client.archive import Span
from ashare_client.older import covered, shown
from consumers.archive.kinds import kind_of
from consumers.archive.run import Request, from_log
from schemas.topics import PRICE_CHANGES
from tests.clients.test_reading import delete_before, of
from tests.clients.topics import RECEIVED, Written, change, tick

CODE = "600519"


class _StandIn:
    """An archive that a test has filled."""

    def __init__(self, kept: dict[int, list[Any]], spans: dict[int, list[Span]]) -> None:
        self.kept = kept
        self.kept_spans = spans

    def spans(self, topic: str) -> dict[int, list[Span]]:
        assert topic.startswith("client-")
        return self.kept_spans

    def at(self, topic: str, ms: int) -> dict[int, int]:
        assert topic.startswith("client-")
        late = {p: [r.offset for r in records if r.timestamp >= ms] for p, records in self.kept.items()}
        return {p: offsets[0] for p, offsets in late.items() if offsets}

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[Any]]:
        assert topic.startswith("client-")
        wanted = [r for r in self.kept[partition] if start <= r.offset < end]
        for at in range(0, len(wanted), 3):
            yield wanted[at : at + 3]

    def records(self, topic: str, some: list[Any]) -> Iterator[Any]:
        assert topic.startswith("client-")
        return iter(some)


async def archived(topic: Written, monkeypatch: pytest.MonkeyPatch, *spans: Span) -> int:
    """Archive these spans of the code's partition, as they are in the log now."""
    partition = of(CODE)
    tp = TopicPartition(topic.name, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=topic.bootstrap)
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        kept: list[Any] = []
        end = (await consumer.end_offsets([tp]))[tp]
        while len(kept) < end:
            kept += (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])
    finally:
        await consumer.stop()
    kept = [record for record in kept if any(span.start <= record.offset < span.end for span in spans)]
    stand_in = _StandIn({partition: kept}, {partition: list(spans)})
    monkeypatch.setattr("ashare_client.older.Archive", lambda _: stand_in)
    return partition


async def test_a_range_goes_on_from_the_archive_into_the_log(
    topic: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every change once and in order; where each came from is told, and none is read from both."""
    await topic.put([change(CODE, n) for n in range(12)])
    partition = await archived(topic, monkeypatch, Span(0, 9))
    await delete_before(topic, partition, 7)
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now", archive=tmp_path)
    found = [(one.origin.offset, reader.source) async for one in reader]
    assert found == [(n, "archive" if n < 7 else "log") for n in range(12)]
    assert reader.stats.archived == 7
    by_time = RECEIVED // 1000 + 3
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start=by_time, end="now", archive=tmp_path)
    assert [one.origin.offset async for one in reader] == list(range(3, 12))
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start=by_time, end=by_time + 2, archive=tmp_path)
    assert [one.origin.offset async for one in reader] == [3, 4]
    reader = PriceChanges(
        topic.bootstrap, topic=topic.name, start={partition: 2}, end={partition: 9}, archive=tmp_path, batch_size=2
    )
    table = await reader.to_polars()
    assert table["kafka_offset"].to_list() == list(range(2, 9))


async def test_the_pipeline_s_own_archive_is_read(topic: Written, tmp_path: Path) -> None:
    """As its writer leaves it: the changes are those that the log had, field for field."""
    await topic.put([change(CODE, n, 10 + n / 100, previous=10.0) for n in range(500)])
    before = [one async for one in PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now")]
    await from_log(Request(tmp_path, topic.name, kind_of(PRICE_CHANGES), unfinished=True), topic.bootstrap)
    await delete_before(topic, of(CODE), 450)
    reader = PriceChanges(topic.bootstrap, topic=topic.name, start="earliest", end="now", archive=tmp_path)
    found = [(one, reader.source) async for one in reader]
    assert [one for one, _ in found] == before
    assert [source for _, source in found] == ["archive"] * 450 + ["log"] * 50


async def test_what_neither_holds_is_an_error_that_names_what_there_is(
    topic: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipping it is a choice, and counted."""
    await topic.put([tick(CODE, n) for n in range(12)])
    partition = await archived(topic, monkeypatch, Span(0, 3), Span(5, 6))
    await delete_before(topic, partition, 8)
    reader = Ticks(topic.bootstrap, topic=topic.name, start={partition: 1}, end={partition: 10}, archive=tmp_path)
    with pytest.raises(RangeError, match=r"3-4, 6-7 is gone: the log begins at 8, the archive \S+ holds 0-2, 5-5"):
        await reader.open()
    reader = Ticks(
        topic.bootstrap, topic=topic.name, start={partition: 1}, end={partition: 10}, archive=tmp_path, missing="skip"
    )
    assert [one.n async for one in reader] == [1, 2, 5, 8, 9]
    assert reader.stats.skipped == 4


async def test_a_group_that_was_away_for_long_catches_up_from_the_archive(
    topic: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is an offset, wherever the records are by now: it commits on the way."""
    arguments: dict[str, Any] = {"topic": topic.name, "group": topic.name, "start": "earliest", "batch_size": 2}
    async with PriceChanges(topic.bootstrap, **arguments):
        await topic.put([change(CODE, n) for n in range(9)])
    partition = await archived(topic, monkeypatch, Span(0, 6))
    await delete_before(topic, partition, 6)
    seen = []
    for enough in (3, 8):
        async with PriceChanges(topic.bootstrap, **arguments, archive=tmp_path) as changes:
            async for one in changes:
                seen.append((one.origin.offset, changes.source))
                if one.origin.offset == enough:
                    break
    assert seen == [(n, "archive" if n < 6 else "log") for n in range(9)]


@pytest.mark.parametrize(
    ("spans", "parts", "holes"),
    [
        ([], [], [(2, 8)]),
        ([(0, 10)], [(2, 8)], []),
        ([(0, 3), (5, 6), (7, 20)], [(2, 3), (5, 6), (7, 8)], [(3, 5), (6, 7)]),
        ([(8, 9)], [], [(2, 8)]),
    ],
)
def test_a_range_is_split_into_what_there_is_and_what_is_not(
    spans: list[tuple[int, int]], parts: list[tuple[int, int]], holes: list[tuple[int, int]]
) -> None:
    """Ends are exclusive."""
    cover = covered(spans, 2, 8)
    assert (list(cover.parts), list(cover.holes)) == (parts, holes)


def test_ranges_are_shown_as_offsets_that_there_are() -> None:
    """The last one included, as a person reads it."""
    assert shown([(0, 1_500), (1_600, 1_601)]) == "0-1,499, 1,600-1,600"
    assert shown([]) == "nothing"

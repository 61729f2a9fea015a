"""A day's ticks written into a store again: real logs, archives and databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from consumers.refill import run
from consumers.refill.run import Refilled, refill
from consumers.refill.sources import Request
from deploy.embedded import QuestDB
from schemas import Tick, UsageError, encode
from stores import Database, StoreError, TickBatch, UnstorableError
from tests.consumers.archive.records import DAY, MIDNIGHT, NEXT, NOON, Raw, chunk, keep, log, raw, tick
from tests.stores.places import Place, QuestDbPlace, SqlitePlace, expected, fresh_table, write

NOWHERE = "127.0.0.1:1"
TODAY = [tick(n) for n in range(60)]
TOMORROW = [tick(n, time=MIDNIGHT + n) for n in range(60, 80)]
RECORDS = {0: [*map(raw, TODAY[:30]), *map(raw, TOMORROW[:10])], 1: [*map(raw, TODAY[30:]), *map(raw, TOMORROW[10:])]}


@pytest.fixture(params=["sqlite", "questdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place in either database."""
    if request.param == "sqlite":
        yield SqlitePlace(tmp_path / "ticks")
        return
    questdb: QuestDB = request.getfixturevalue("questdb")
    with fresh_table(questdb.url) as table:
        yield table


def database(place: Place) -> Database:
    assert isinstance(place, SqlitePlace | QuestDbPlace)
    return place.reader()


def placed(ticks: Sequence[Tick], topic: str, partition: int, offset: int = 0) -> TickBatch:
    """Ticks at their places in the log."""
    return TickBatch(
        topic, partition, range(offset, offset + len(ticks)), [one.received // 1000 for one in ticks], ticks
    )


def of_today(topic: str) -> list[TickBatch]:
    return [placed(TODAY[:30], topic, 0), placed(TODAY[30:], topic, 1)]


async def refilled(request: Request, place: Place) -> tuple[Refilled, list[str]]:
    """What was written, and what was told beside it."""
    told: list[str] = []
    steps: list[tuple[int, int]] = []
    done = await refill(request, database(place), told.append, lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    return done, told


async def test_from_kafka(bootstrap: str, place: Place) -> None:
    """Each tick of the day once, whatever is there already and however often the log has it; no other day's."""
    async with log(bootstrap) as topic:
        for partition, records in RECORDS.items():
            await topic.put(records, partition)
        await topic.put([raw(TODAY[5]), Raw(b"no tick"), Raw(None)], 0)
        await write(place, [placed(TODAY[10:20], topic.topic, 0, 10)])
        request = Request(DAY, bootstrap, topic=topic.topic)
        done, told = await refilled(request, place)
        assert (done.read, done.refused, told) == ({"kafka": 61}, [], [])
        if isinstance(place, SqlitePlace):
            assert done.stored == 50
        assert _without_resent(await place.rows()) == _without_resent(expected(of_today(topic.topic)))
        again, _ = await refilled(request, place)
        assert again.stored == (0 if isinstance(place, SqlitePlace) else 61)
        assert len(await place.rows()) == 60


def _without_resent(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows; a store keeps either place of a tick that came twice."""
    return [{**row, "kafka_offset": None} if row["n"] == TODAY[5].n else row for row in rows]


async def test_from_the_archive(place: Place, tmp_path: Path) -> None:
    """No broker is asked; of a day that is partly there, what is missing comes, at its place."""
    directory = tmp_path / "archive"
    keep(directory, [chunk(records, partition=partition) for partition, records in RECORDS.items()])
    topic = Request(DAY, NOWHERE).topic
    await write(place, [placed(TODAY[30:40], topic, 1)])
    done, told = await refilled(Request(DAY, NOWHERE, directory, "archive"), place)
    assert (done.read, told) == ({"archive": 60}, [])
    assert await place.rows() == expected(of_today(topic))
    other, told = await refilled(Request(NEXT, NOWHERE, directory), place)
    assert other.read == {"archive": 20}
    assert len(told) == 1
    assert told[0].startswith(f"only what the archive holds of {NEXT} is written: no Kafka broker answers at {NOWHERE}")
    assert len(await place.rows()) == 80


async def test_from_both(bootstrap: str, place: Place, tmp_path: Path) -> None:
    """What the log has lost comes from the archive, what the archive has not taken yet from the log; no tick twice."""
    directory = tmp_path / "archive"
    async with log(bootstrap) as topic:
        for partition, records in RECORDS.items():
            await topic.put(records, partition)
        keep(directory, [chunk(RECORDS[0][:20], topic=topic.topic)], topic=topic.topic)
        await topic.expire({0: 15})
        done, told = await refilled(Request(DAY, bootstrap, directory, topic=topic.topic), place)
        assert done.read == {"archive": 20, "kafka": 40}
        assert told == []
        assert await place.rows() == expected(of_today(topic.topic))


async def test_a_log_that_has_lost_the_days_beginning(bootstrap: str, tmp_path: Path) -> None:
    """What there is is written, and it is told that there may have been more."""
    place = SqlitePlace(tmp_path / "ticks")
    async with log(bootstrap, partitions=1) as topic:
        await topic.put(RECORDS[0])
        await topic.expire({0: 12})
        request = Request(DAY, bootstrap, topic=topic.topic)
        done, told = await refilled(request, place)
        assert done.stored == 18
        assert told == [f"{DAY} may be written in part: the log of {topic.topic} begins after the day has"]
        await topic.expire({0: 30})
        with pytest.raises(
            UsageError, match=rf"the log of {topic.topic} holds no ticks of {DAY}, and there is no arch"
        ):
            await refilled(request, place)


async def test_a_topic_that_was_made_anew(bootstrap: str, tmp_path: Path) -> None:
    """The archive's offsets say nothing of the log then: all that either has is written, once."""
    place, directory = SqlitePlace(tmp_path / "ticks"), tmp_path / "archive"
    async with log(bootstrap, partitions=1) as topic:
        keep(directory, [chunk([*map(raw, TODAY)], topic=topic.topic)], topic=topic.topic)
        later = [tick(n, run=2) for n in range(5)]
        await topic.put([*map(raw, later)])
        done, told = await refilled(Request(DAY, bootstrap, directory, topic=topic.topic), place)
        assert done.read == {"archive": 60, "kafka": 5}
        assert len(told) == 1
        assert "it was made anew; what either has of 2026-11-20 is written" in told[0]
        assert len(await place.rows()) == 65


async def test_a_day_that_nobody_has(bootstrap: str, tmp_path: Path) -> None:
    """Who was asked is named, and what the archive has instead; nothing is written."""
    place, directory = SqlitePlace(tmp_path / "ticks"), tmp_path / "archive"
    async with log(bootstrap, partitions=1) as topic:
        keep(directory, [chunk([*map(raw, [*TODAY, *TOMORROW])], topic=topic.topic)], topic=topic.topic)
        await topic.put([*map(raw, TODAY)])
        for origin, why in [
            (
                None,
                rf"neither the log of {topic.topic} nor the archive {directory} holds ticks of 2020-01-02: the arch",
            ),
            ("archive", rf"the archive {directory} does not hold ticks of 2020-01-02: .* days are {DAY} to {NEXT}"),
            ("kafka", rf"the log of {topic.topic} holds no ticks of 2020-01-02"),
        ]:
            with pytest.raises(UsageError, match=why):
                await refilled(Request("2020-01-02", bootstrap, directory, origin, topic.topic), place)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no archive: --archive names one"):
        await refilled(Request(DAY, NOWHERE, None, "archive"), place)
    with pytest.raises(UsageError, match=f"no Kafka broker answers at {NOWHERE}"):
        await refilled(Request(DAY, NOWHERE, directory, "kafka"), place)
    assert await place.rows() == []


class Failing:
    """A store that takes so many writes and then is away, or refuses one tick."""

    def __init__(self, *, writes: int = 100, refuses: int = -1) -> None:
        """Takes everything, unless told otherwise."""
        self.kept: list[int] = []
        self.closed = 0
        self._writes = writes
        self._refuses = refuses

    async def open(self) -> None:
        """Always there."""

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Keep the ticks' numbers."""
        self._writes -= 1
        if self._writes < 0:
            raise StoreError("the disk is full")
        for batch in batches:
            if self._refuses in batch.offsets:
                raise UnstorableError("not this one", batch.partition, self._refuses)
        self.kept += [one.n for batch in batches for one in batch.ticks]
        return sum(len(batch.ticks) for batch in batches)

    async def close(self) -> None:
        """Counted."""
        self.closed += 1


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    keep(tmp_path, [chunk([*map(raw, TODAY)])])
    return tmp_path


async def test_a_store_that_fails(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words, and that the same can be asked again; the store is closed."""
    monkeypatch.setattr(run, "WRITE_RECORDS", 1)
    store = Failing(writes=0)
    with pytest.raises(UsageError, match="the disk is full: run it again when that is mended, nothing is stored twice"):
        await refill(Request(DAY, NOWHERE, archive, "archive"), store, print)
    assert store.closed == 1


async def test_a_tick_that_can_not_be_stored(archive: Path) -> None:
    """It is left out and named; all others are written."""
    store = Failing(refuses=7)
    done = await refill(Request(DAY, NOWHERE, archive, "archive"), store, print)
    assert (done.stored, done.refused) == (59, ["not this one"])
    assert store.kept == [n for n in range(60) if n != 7]


def test_values_that_may_be_of_a_day() -> None:
    """What can't be read may be anything; of other days nothing is read whole."""
    start, end = Request(DAY, NOWHERE).times
    other, value = encode(TOMORROW[0]), encode(tick(1, time=NOON))
    assert run._may_hold([other, value], start, end)
    assert not run._may_hold([other, other], start, end)
    assert not run._may_hold([], start, end)
    for odd in (b"no tick", None, b"{}", b'{"time":"noon"}'):
        assert run._may_hold([other, odd, other], start, end)

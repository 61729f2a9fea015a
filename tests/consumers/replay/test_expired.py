"""Replays of what the log no longer holds: from the archive, or an error that names what there is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumers.archive.kinds import kinds
from consumers.archive.run import Request as Archiving
from consumers.archive.run import from_log
from consumers.replay.bounds import ExchangeTime, Offsets, Received
from consumers.replay.outputs.lines import Lines, Stream
from consumers.replay.run import Request
from schemas import UsageError, encode
from tests.consumers.replay.conftest import NINE_THIRTY, PARTITIONS, Play, Recorded, Written, drawn, record

LATER = NINE_THIRTY + 5 * 86_400_000
LOST = 60
"""Records that each partition's log has lost."""


async def lines(play: Play, request: Request) -> list[bytes]:
    stream = io.BytesIO()
    await play(request, Lines(Stream(stream), "tick", "json"))
    return stream.getvalue().splitlines()


def values(ticks: Sequence[Written]) -> list[bytes]:
    return [encode(one.tick) for one in ticks]


async def lose(recorded: Recorded) -> None:
    """Retention passes: the log begins later."""
    client = AIOKafkaAdminClient(bootstrap_servers=recorded.bootstrap)
    await client.start()
    try:
        ends = [sum(one.partition == number for one in recorded.ticks) for number in range(PARTITIONS)]
        await client.delete_records(
            {
                TopicPartition(recorded.topic, number): RecordsToDelete(before_offset=min(LOST, end))
                for number, end in enumerate(ends)
            }
        )
    finally:
        await client.close()


@pytest.fixture
async def expired(bootstrap: str) -> Recorded:
    """A topic whose first records are gone."""
    recorded = await record(bootstrap, drawn(900, seed=8))
    await lose(recorded)
    return recorded


@pytest.fixture
async def archived(bootstrap: str, tmp_path: Path) -> tuple[Recorded, Path]:
    """A topic whose first records are gone from the log, and an archive that holds its day."""
    recorded = await record(bootstrap, drawn(900, seed=9))
    await from_log(Archiving(tmp_path, recorded.topic, kinds()["tick"], now=LATER), bootstrap)
    await lose(recorded)
    return recorded, tmp_path


async def test_what_the_log_has_lost_comes_from_the_archive(
    archived: tuple[Recorded, Path], play: Play, said: list[str]
) -> None:
    """The whole range byte for byte and in order; the user hears which part came from where."""
    recorded, directory = archived
    for start in (Offsets(every=0), ExchangeTime(NINE_THIRTY - 1), Received(NINE_THIRTY)):
        assert await lines(play, recorded.request(archive=directory, start=start)) == values(recorded.ticks)
    lost = sum(one.offset < LOST for one in recorded.ticks)
    assert said[0] == f"{lost} offsets from the archive {directory}, {900 - lost} from the log"
    middle = NINE_THIRTY + 400
    got = await lines(play, recorded.request(archive=directory, start=ExchangeTime(middle)))
    assert got == values([one for one in recorded.ticks if one.tick.time >= middle])


async def test_a_range_that_nobody_holds_is_an_error_that_says_what_there_is(
    expired: Recorded, play: Play, tmp_path: Path
) -> None:
    """With and without an archive; asked for by offset or by a time before which the log has lost some."""
    for start in (Offsets(every=0), ExchangeTime(NINE_THIRTY), Received(NINE_THIRTY)):
        with pytest.raises(UsageError, match=r"0: 0-59.* The log holds 0: 60-.*--archive DIR.*--partial"):
            await lines(play, expired.request(start=start))
    with pytest.raises(UsageError, match=r"neither log nor archive.*the archive .* holds nothing"):
        await lines(play, expired.request(start=Offsets(every=0), archive=tmp_path))
    with pytest.raises(UsageError, match="no such directory"):
        await lines(play, expired.request(start=Offsets(every=0), archive=tmp_path / "none"))
    with pytest.raises(UsageError, match="has no partition 9: it has 0 to 3"):
        await lines(play, expired.request(start=Offsets(by_partition={9: 0})))


async def test_what_is_left_may_be_enough(expired: Recorded, play: Play) -> None:
    """With ``partial``; and ``earliest`` asks for no more than there is."""
    left = values([one for one in expired.ticks if one.offset >= LOST])
    assert await lines(play, expired.request(start=Offsets(every=0), partial=True)) == left
    assert await lines(play, expired.request()) == left


async def test_another_logs_archive_is_refused(archived: tuple[Recorded, Path], play: Play, bootstrap: str) -> None:
    """One that goes on behind the log's end is of a topic that was made anew; while it is not needed, no matter."""
    recorded, directory = archived
    manifests = directory / "manifests"
    short = await record(bootstrap, drawn(40, seed=9))
    (manifests / recorded.topic).rename(manifests / short.topic)
    assert await lines(play, short.request(archive=directory)) == values(short.ticks)
    await lose(short)
    with pytest.raises(UsageError, match="another cluster's, or of a topic that was made anew"):
        await lines(play, short.request(archive=directory, start=Offsets(every=0)))


async def test_no_broker_and_no_topic_are_errors_that_name_the_fix(recorded: Recorded, play: Play) -> None:
    with pytest.raises(UsageError, match="--bootstrap"):
        await lines(play, Request("127.0.0.1:1", recorded.topic, "tick"))
    with pytest.raises(UsageError, match="is not on"):
        await lines(play, Request(recorded.bootstrap, "test.no.such.topic", ""))

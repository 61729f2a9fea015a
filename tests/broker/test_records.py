"""Headers whose keys are not text, and headers without a value, cost no record and no reader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.record.memory_records import MemoryRecords

from ashare_client import lenient
from broker.fetching import Fetching
from broker.reader import ChunkReader, whole
from broker.records import Records
from cli.following import follow
from tests import foreign
from tests.broker.conftest import Topics

RECORDS: list[foreign.Foreign] = [
    (b"a", b"0", []),
    (b"a", b"1", [(b"before", b"x"), (b"\xff\xfe", b"y")]),
    (b"a", b"2", [(b"none", None)]),
    *((b"b", b"%d" % (3 + n), [(key, None if n % 2 else b"z")]) for n, key in enumerate(foreign.NO_TEXT)),
    (None, None, [(b"\xff", None)]),
    (b"c", b"last", [("时".encode(), b"x")]),
]
VALUES = [value for _, value, _ in RECORDS]


@pytest.mark.parametrize("kind", [Records, lenient._Records])
@pytest.mark.parametrize("codec", foreign.CODECS)
def test_every_record_is_read_whatever_its_headers_are(codec: str, kind: Any) -> None:
    """Keys, values and times as they are; what is not text in a header's key becomes an escape.

    In the client library as in our own readers.
    """
    data = bytes(foreign.batch_of([(b"k", b"first", [])], 5, codec).build())
    data += bytes(foreign.batch_of(RECORDS, 7, codec).build()).replace(bytes(8), (1).to_bytes(8, "big"), 1)
    memory = MemoryRecords(data)
    assert len(list(memory.next_batch())) == 1
    with pytest.raises(UnicodeDecodeError):  # or else all this is not needed any more
        list(memory.next_batch())
    records, found = kind(data), []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        found += list(batch)
    assert [record.value for record in found] == [b"first", *VALUES]
    assert [record.key for record in found[1:]] == [key for key, _, _ in RECORDS]
    assert [record.offset for record in found[1:]] == list(range(1, 1 + len(RECORDS)))
    assert {record.timestamp for record in found[1:]} == {7}
    assert found[2].headers == [("before", b"x"), ("\\xff\\xfe", b"y")]
    assert found[3].headers == [("none", None)]
    assert found[-1].headers == [("时", b"x")]


@pytest.fixture
async def topic(bootstrap: str, new_topics: Topics) -> str:
    """A topic with such records before, between and behind others."""
    [name] = await new_topics()
    for codec in ("none", "gzip", "lz4"):
        await foreign.write(bootstrap, name, 0, RECORDS, 1_000_000, codec=codec)
    return name


async def test_no_reader_ends_or_waits(bootstrap: str, topic: str) -> None:
    """Neither those of chunks, with headers and without, nor those of aiokafka's records, nor a fetch loop."""
    expected, end = VALUES * 3, 3 * len(RECORDS)
    place = TopicPartition(topic, 0)
    assert [value async for chunk in whole(bootstrap, topic, client_id="test") for value in chunk.values] == expected
    for start in (0, 2, len(RECORDS) + 1):
        async with ChunkReader(bootstrap, client_id="test", headers=True) as reader:
            reader.assign({place: (start, end)})
            values: list[bytes | None] = []
            while chunks := await reader.fetch():
                for chunk in chunks:
                    values += chunk.values
                    assert len(chunk.headers) == len(chunk)
        assert values == expected[start:]
    async with asyncio.timeout(30):
        followed: list[bytes | None] = []
        async for some in follow(bootstrap, topic, earliest=True, limit=end):
            followed += [record.value for record in some]
    assert followed == expected
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        fetching = Fetching(consumer._fetcher, lambda: 50)
        consumer.assign([place])
        held: list[bytes | None] = []
        async with asyncio.timeout(30):
            while len(held) < end:
                for records in (await consumer.getmany(timeout_ms=200, max_records=4)).values():
                    held += [record.value for record in records]
                fetching.ask()
    assert held == expected


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("codec", foreign.CODECS)
def test_a_batch_that_is_damaged_anywhere_is_not_intact(
    codec: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is held against its own checksum, as aiokafka holds it, wherever it lies in the answer."""
    monkeypatch.setattr("broker.records._FAST", fast)
    batches = [bytes(foreign.batch_of([(b"k", b"%d" % n, [])] * n, n, codec).build()) for n in (1, 2, 30)]
    for damaged, batch in enumerate(batches):
        for at in (None, 17, 20, 21, 60, len(batch) // 2, len(batch) - 1):
            part = bytearray(batch)
            if at is not None:
                part[at] ^= 4
            records = Records(b"".join([*batches[:damaged], part, *batches[damaged + 1 :]]))
            found = []
            while records.has_next():
                one = records.next_plain()
                found.append(records.intact(one))
                assert one.validate_crc() == found[-1]
            assert found == [at is None or n != damaged for n in range(len(batches))]

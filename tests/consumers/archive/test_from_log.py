"""From a real topic into an archive, and out of it again."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import duckdb
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from ashare_client.archive import Archive, Span
from consumers.archive.kinds import kinds
from consumers.archive.run import Added, Request, from_log
from schemas import LineMark, Origin, PriceChange, UsageError, encode
from schemas.cloudevents import headers
from tests import foreign
from tests.consumers.archive.records import (
    DAY,
    LATER,
    MIDNIGHT,
    NEXT,
    NOON,
    Log,
    Raw,
    keep,
    log,
    make,
    raw,
    records,
    tick,
    ticks,
    tree,
)

PLAIN = tick(4)
ODD = [
    raw(PLAIN),
    raw(tick(5, volume=None, turnover=None, side="buy", seq=-7, previous_close=9.99)),
    raw(tick(6, volume=12.5, source="行情", code="000001.SSE", exchange="")),
    raw(tick(7), key=None),
    raw(tick(8), key=b"", headers=[("trace", b"\x00\xff"), ("trace", b"twice"), ("empty", b"")]),
    Raw(encode(PLAIN).replace(b"{", b'{"later":[1,{"x":null}],')),
    Raw(encode(PLAIN).replace(b",", b", ")),
    Raw(encode(PLAIN).replace(b'"price":10.04', b'"price":1004e-2')),
    Raw(encode(PLAIN).replace(b'"volume":400', b'"volume":400.0')),
    Raw(encode(PLAIN).replace(b'"volume":400', b'"volume":9007199254740993')),
    Raw(encode(PLAIN).replace(b'"post-1"', b'"post\\u002d1"')),
    raw(tick(9, time=32_503_680_000_000, received=NOON * 1000)),
    raw(tick(10, time=2**63 - 1, received=NOON * 1000)),
    Raw(b"no tick\nat all"),
    Raw(b"\xff\xfe"),
    Raw(b""),
    Raw(None),
    Raw(b"null"),
    Raw(b"{}"),
]


async def closed(source: Log, directory: Path, now: int = LATER, **other: object) -> list[Added]:
    kind = kinds()[str(other.pop("kind", "tick"))]
    return await from_log(Request(directory, source.topic, kind, now=now, **other), source.bootstrap)  # type: ignore[arg-type]


async def test_byte_for_byte(bootstrap: str, tmp_path: Path) -> None:
    """Keys, values, headers and timestamps are those of the log, also where a record is not a tick."""
    async with log(bootstrap) as source:
        await source.put(ODD)
        await source.put(ODD[::-1], partition=1)
        (added,) = await closed(source, tmp_path)
        assert (added.date, added.rows, added.closed) == (DAY, 2 * len(ODD), True)
        for partition, expected in (await source.read()).items():
            assert records(tmp_path, source.topic, partition) == expected


async def test_headers_without_a_value_and_with_keys_that_are_no_text(bootstrap: str, tmp_path: Path) -> None:
    """No record is left out for them; a byte of a key that is not text is an escape."""
    odd = [(name, None if n % 2 else b"x") for n, name in enumerate(foreign.NO_TEXT)]
    rows: list[foreign.Foreign] = [(b"600519", encode(tick(n)), odd[:n]) for n in range(7)]
    async with log(bootstrap) as source:
        await foreign.write(bootstrap, source.topic, 0, rows, NOON)
        (added,) = await closed(source, tmp_path)
        assert (added.rows, added.closed) == (7, True)
        assert records(tmp_path, source.topic, 0) == (found := (await source.read())[0])
        assert found[2].headers == (("\\xff\\xfe", b"x"), ("\\x80", None))


async def test_price_changes(bootstrap: str, tmp_path: Path) -> None:
    """The public topic is kept with its headers; its columns hold the fields."""
    changes = [
        PriceChange("600519", 10.0 + n, None if n == 0 else 9.0, None if n == 0 else 1.0, None if n == 0 else 11.11,
            NOON + n, NOON * 1000, None if n % 2 else 300, 1 + n, 0.05, Origin(3, 70 + n),
            LineMark("post-1", 1, n, None if n % 3 else NOON * 1000) if n % 5 else None)
        for n in range(40)
    ]  # fmt: skip
    async with log(bootstrap, partitions=1) as source:
        await source.put([Raw(encode(c), NOON + 1, c.code.encode(), headers(c)) for c in [*changes, changes[-1]]])
        (added,) = await closed(source, tmp_path, kind="price-change")
        assert added.rows == 41
        assert records(tmp_path, source.topic) == (await source.read())[0]
    archive = Archive(tmp_path)
    (batch,) = archive.read(source.topic, 0, 0, 100)
    assert batch.column("origin_offset").to_pylist() == [*range(70, 110), 109]
    assert batch.column("kafka_value").null_count == 41


async def test_days(bootstrap: str, tmp_path: Path) -> None:
    """A day is that of the records' own time; one that is not over waits, and its records' place is kept for them."""
    late = [raw(tick(n, time=MIDNIGHT + (n % 2 and -1))) for n in range(100, 110)]
    async with log(bootstrap) as source:
        await source.put([*ticks(100), *late, *ticks(50, first=110, time=MIDNIGHT)])
        first = await closed(source, tmp_path, now=MIDNIGHT)
        assert [(day.date, day.rows, day.closed) for day in first] == [(DAY, 105, True)]
        odd = [Span(n, n + 1) for n in range(101, 110, 2)]
        assert Archive(tmp_path).spans(source.topic) == {0: [Span(0, 100), *odd]}
        then = await closed(source, tmp_path)
        assert [(day.date, day.rows, day.closed) for day in then] == [(NEXT, 55, True)]
        archive = Archive(tmp_path)
        assert archive.topics() == [source.topic]
        assert archive.days(source.topic) == [DAY, NEXT]
        assert archive.spans(source.topic) == {0: [Span(0, 160)]}
        assert records(tmp_path, source.topic) == (await source.read())[0]
        assert [r.offset for r in records(tmp_path, source.topic, 0, 99, 111)] == list(range(99, 111))


async def test_again(bootstrap: str, tmp_path: Path) -> None:
    """A second run changes nothing; one after a straggler adds a part, and what was there stays as it is."""
    async with log(bootstrap) as source:
        await source.put(ticks(1000))
        await closed(source, tmp_path)
        before = tree(tmp_path)
        assert await closed(source, tmp_path) == []
        assert tree(tmp_path) == before
        await source.put(ticks(3, first=1000), partition=1)
        await source.put(ticks(1, first=1003))
        (added,) = await closed(source, tmp_path)
        assert (added.date, added.rows, added.parts) == (DAY, 4, 2)
        after = tree(tmp_path)
        assert {name: after[name] for name in before if name.endswith("parquet")} == {
            name: content for name, content in before.items() if name.endswith("parquet")
        }
        for partition, expected in (await source.read()).items():
            assert records(tmp_path, source.topic, partition) == expected


async def test_named_days(bootstrap: str, tmp_path: Path) -> None:
    """Only the days that are named; one that is not over is refused, unless it is asked for as it is so far."""
    async with log(bootstrap) as source:
        await source.put([*ticks(10), *ticks(10, first=10, time=MIDNIGHT)])
        with pytest.raises(UsageError, match=f"{NEXT} is not over in Shanghai: --include-today"):
            await closed(source, tmp_path, now=MIDNIGHT, days=frozenset({NEXT}))
        (today,) = await closed(source, tmp_path, now=MIDNIGHT, days=frozenset({NEXT}), unfinished=True)
        assert (today.date, today.rows, today.closed) == (NEXT, 10, False)
        await source.put(ticks(5, first=20, time=MIDNIGHT))
        (rest,) = await closed(source, tmp_path, days=frozenset({NEXT}))
        assert (rest.date, rest.rows, rest.closed) == (NEXT, 5, True)
        (other,) = await closed(source, tmp_path)
        assert (other.date, other.rows, other.closed) == (DAY, 10, True)
        assert Archive(tmp_path).spans(source.topic) == {0: [Span(0, 25)]}


async def test_repeats(bootstrap: str, tmp_path: Path) -> None:
    """A tick that was sent again is kept and marked, also where its first copy was archived by an earlier run."""
    async with log(bootstrap) as source:
        await source.put([*ticks(10), *ticks(2, first=8)])
        await closed(source, tmp_path)
        await source.put(ticks(3, first=9))
        await closed(source, tmp_path)
        assert records(tmp_path, source.topic) == (await source.read())[0]
    files = f"{tmp_path}/{source.topic}/*/*/*.parquet"
    found = duckdb.execute(f"SELECT kafka_offset FROM '{files}' WHERE kafka_repeated ORDER BY 1").fetchall()
    assert found == [(10,), (11,), (12,)]


async def test_after_retention(bootstrap: str, tmp_path: Path) -> None:
    """What the log has lost is delivered by the archive, and the archive goes on behind it."""
    async with log(bootstrap) as source:
        await source.put(ticks(300))
        await source.put(ticks(100, first=300), partition=1)
        before = await source.read()
        await closed(source, tmp_path)
        await source.put(ticks(50, first=400, time=MIDNIGHT))
        await source.expire({0: 320, 1: 100})
        assert records(tmp_path, source.topic) == before[0]
        assert records(tmp_path, source.topic, 1, 40, 60) == before[1][40:60]
        (added,) = await closed(source, tmp_path)
        # Between, 20 records were lost before any run saw them: the day can't be called whole.
        assert (added.date, added.rows, added.closed) == (NEXT, 30, False)
        assert Archive(tmp_path).spans(source.topic)[0] == [Span(0, 300), Span(320, 350)]


async def test_what_a_log_has_no_records_of(bootstrap: str, tmp_path: Path) -> None:
    """Offsets of transactions' marks are not holes, and are not read again."""
    async with log(bootstrap, partitions=1) as source:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=source.topic)
        await producer.start()
        try:
            for number in range(3):
                async with producer.transaction():
                    for record in ticks(5, first=5 * number):
                        await producer.send_and_wait(source.topic, record.value, record.key, 0, record.timestamp)
        finally:
            await producer.stop()
        await closed(source, tmp_path)
        found = records(tmp_path, source.topic)
        assert found == (await source.read())[0]
        assert [record.offset for record in found] == [*range(5), *range(6, 11), *range(12, 17)]
        assert Archive(tmp_path).spans(source.topic) == {0: [Span(0, 18)]}
        assert await closed(source, tmp_path) == []


async def test_a_topic_made_anew(bootstrap: str, tmp_path: Path) -> None:
    """Offsets that begin anew are another log's: refused, before its records pass for archived."""
    async with log(bootstrap, partitions=1) as source:
        await source.put(ticks(20))
        await closed(source, tmp_path)
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await client.start()
        await client.delete_topics([source.topic])
        for _ in range(200):
            if source.topic not in await client.list_topics():
                break
            await asyncio.sleep(0.05)
        await client.close()
        await make(bootstrap, source.topic, 1, {})
        await source.put(ticks(1, first=500))
        with pytest.raises(UsageError, match=r"partition 0 ends at 1, the archive at 20: it was made anew; .* --dir"):
            await closed(source, tmp_path)
        await source.put(ticks(30, first=501))
        with pytest.raises(UsageError, match="partition 0 has another record at 19 than the archive"):
            await closed(source, tmp_path)
        assert len(records(tmp_path, source.topic)) == 20


async def test_wrong_places(bootstrap: str, tmp_path: Path) -> None:
    """No broker, no such topic, a directory that is a file: each is said, and names the flag."""
    request = Request(tmp_path / "new", "no-such-topic", kinds()["tick"], now=LATER)
    with pytest.raises(UsageError, match=r"no-such-topic is not on .*: run `ashare topics apply`"):
        await from_log(request, bootstrap)
    with pytest.raises(UsageError, match=r"no Kafka broker answers at 127.0.0.1:1: start one"):
        await from_log(request, "127.0.0.1:1")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be used as an archive"):
        await from_log(dataclasses.replace(request, directory=tmp_path / "file"), bootstrap)
    keep(tmp_path / "new", [])
    assert Archive(tmp_path / "new").topics() == []

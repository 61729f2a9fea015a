"""What is QuestDB's alone: the network before it, its table, its line protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from schemas import Level, UsageError
from stores import StoreError
from stores.ilp import encoder
from stores.questdb import QuestDbStore
from stores.urls import QuestDbUrl
from tests.stores.places import QuestDbPlace, batch, expected, tick, write

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\nnot just now"


class Road:
    """A TCP road to a server: ``open``, ``busy``, ``silent`` (nothing gets through), ``lossy`` (no answer returns)."""

    def __init__(self, host: str, port: int) -> None:
        """Towards a server."""
        self.state = "open"
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and cut those that there are."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(self._answer(there, writer))
        try:
            while data := await reader.read(1 << 16):
                if self.state == "busy":
                    writer.write(UNAVAILABLE)
                elif self.state != "silent":
                    back.write(data)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            answers.cancel()
            back.close()
            writer.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await there.read(1 << 16):
                if self.state == "lossy":
                    writer.close()
                    return
                writer.write(data)


@pytest.fixture
async def road(questdb_place: QuestDbPlace) -> AsyncIterator[Road]:
    """A road to the shared server."""
    road = Road(questdb_place.url.host, questdb_place.url.port)
    await road.start()
    yield road
    await road.stop()


async def test_what_happens_on_the_road(questdb_place: QuestDbPlace, road: Road) -> None:
    """A refused, a busy, a silent server and a lost answer are errors; with the write repeated, all is there once."""
    store = QuestDbStore(replace(questdb_place.url, port=road.port), table=questdb_place.table, timeout=1.0)
    await store.open()
    batches = [batch(map(tick, range(100 * n, 100 * n + 100)), offset=100 * n) for n in range(4)]

    await road.stop()
    with pytest.raises(StoreError, match="can't be reached"):
        await store.write(batches[:1])
    await road.start()
    assert await store.write(batches[:1]) == 100

    for number, (state, why) in enumerate(
        [("busy", "503 not just now"), ("silent", r"did not answer within 1.0 s"), ("lossy", "can't be reached")],
        start=1,
    ):
        road.state = state
        with pytest.raises(StoreError, match=why):
            await store.write([batches[number]])
        road.state = "open"
        assert await store.write([batches[number]]) == 100
    await store.close()
    assert await questdb_place.rows() == expected(batches)


async def test_nobody_is_there_yet(questdb_place: QuestDbPlace) -> None:
    """A server that is still starting is worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StoreError, match=f"127.0.0.1:{port} can't be reached"):
        await write(replace(questdb_place, url=QuestDbUrl("127.0.0.1", port)))


async def test_somebody_else_is_there() -> None:
    """Another server on the port is the user's to mend."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UsageError, match="is not QuestDB's HTTP port"):
            await QuestDbStore(QuestDbUrl("127.0.0.1", port)).open()


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (
            "CREATE TABLE {} (code SYMBOL, timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY DAY WAL",
            "exchange is missing",
        ),
        (
            "CREATE TABLE {} (code STRING, timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY DAY",
            "code is STRING, not SYMBOL",
        ),
    ],
)
async def test_a_table_of_somebody_else(questdb_place: QuestDbPlace, made: str, why: str) -> None:
    """A table of that name with other columns is refused and stays as it is."""
    questdb_place.sql(made.format(questdb_place.table))
    with pytest.raises(UsageError, match=f"{questdb_place.table} in QuestDB at .*{why}: rename that table"):
        await write(questdb_place)


async def test_a_table_that_does_not_deduplicate(questdb_place: QuestDbPlace) -> None:
    """The error gives the statement that mends it, and with that the store opens. A column more does no harm."""
    await write(questdb_place)
    questdb_place.sql(f"ALTER TABLE {questdb_place.table} DEDUP DISABLE")
    questdb_place.sql(f"ALTER TABLE {questdb_place.table} ADD COLUMN remark STRING")
    await questdb_place.rows()  # waits until that is applied
    with pytest.raises(UsageError, match="does not deduplicate: ALTER TABLE") as caught:
        await write(questdb_place)
    questdb_place.sql(str(caught.value).rpartition(": ")[2])
    await questdb_place.rows()
    assert await write(questdb_place, [batch([tick(1)])]) == [1]


async def test_a_table_that_vanishes_is_told_of(questdb_place: QuestDbPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes fail with what to do, and nobody makes the table again, until it is back or the store is opened anew."""
    store = questdb_place.store()
    await store.open()
    await store.write([batch([tick(1)])])
    await questdb_place.rows()
    questdb_place.sql(f"RENAME TABLE {questdb_place.table} TO {questdb_place.table}_kept")
    monkeypatch.setattr("stores.questdb._CHECK_EVERY", -1.0)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"has vanished while it was written: bring it back .* or restart"):
            await store.write([batch([tick(2)], offset=1)])
    assert questdb_place.sql(f"SELECT count() FROM tables() WHERE table_name = '{questdb_place.table}'")["dataset"] == [
        [0]
    ]
    questdb_place.sql(f"RENAME TABLE {questdb_place.table}_kept TO {questdb_place.table}")
    await store.write([batch([tick(2)], offset=1)])
    assert await questdb_place.rows() == expected([batch([tick(1), tick(2)])])

    questdb_place.sql(f"DROP TABLE {questdb_place.table}")
    other = questdb_place.store()
    await other.open()
    for _ in range(2):
        with pytest.raises(StoreError, match="was dropped, and another made while it was written"):
            await store.write([batch([tick(3)], offset=2)])
    await store.close()
    await other.write([batch([tick(3)], offset=2)])
    await other.close()
    assert await questdb_place.rows() == expected([batch([tick(3)], offset=2)])


async def test_a_table_that_vanishes_between_two_looks(questdb_place: QuestDbPlace) -> None:
    """The server makes none for the next line: nothing goes into a table that does not deduplicate."""
    store = questdb_place.store()
    await store.open()
    questdb_place.sql(f"DROP TABLE {questdb_place.table}")
    with pytest.raises(StoreError, match="did not take a write"):
        await store.write([batch([tick(1)])])
    with pytest.raises(StoreError, match="has vanished"):
        await store.write([batch([tick(1)])])
    await store.close()


async def test_a_password(questdb_place: QuestDbPlace) -> None:
    """Without it, or with another, the error says how to give it and shows none."""
    for url, why in [
        (QuestDbUrl(questdb_place.url.host, questdb_place.url.port), r"wants a password: questdb://USER@HOST"),
        (replace(questdb_place.url, password="hunter2"), "refuses this user and password"),
    ]:
        with pytest.raises(UsageError, match=why) as caught:
            await write(replace(questdb_place, url=url))
        assert "hunter2" not in str(caught.value)
        with pytest.raises(UsageError, match=why), QuestDbStore(url).query("SELECT 1"):
            pass
    assert str(questdb_place.url.password) not in repr(questdb_place.url)


async def test_no_redirect_takes_the_password_along(questdb_place: QuestDbPlace) -> None:
    """A server that sends the store elsewhere is none of ours."""
    asked: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as other:
        place = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                f"HTTP/1.1 307 x\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = replace(questdb_place.url, port=server.sockets[0].getsockname()[1])
            with pytest.raises(UsageError, match="is not QuestDB's HTTP port"):
                await QuestDbStore(url).open()
            with pytest.raises(UsageError, match="is not QuestDB's HTTP port"):
                await asyncio.to_thread(QuestDbStore(url).query("SELECT 1").__enter__)
    assert asked == []


async def test_one_bad_line_and_nothing_is_stored(questdb_place: QuestDbPlace) -> None:
    """The server refuses the request whole, and its words are in the error."""
    store = questdb_place.store()
    await store.open()
    good = batch(map(tick, range(10)))
    bad = batch([tick(11, price=float("nan")), tick(12)], offset=10)
    try:
        with pytest.raises(StoreError, match=r"did not take a write: 400 failed to parse .*line 11: .*price"):
            await store.write([good, bad])
    finally:
        await store.close()
    assert await questdb_place.rows() == []


def test_lines() -> None:
    """A tick is one line: symbols escaped, null left out, an empty text a field, whole numbers marked."""
    encode = encoder("ticks")
    ticks = [
        tick(1, side="buy", turnover=0.5, seq=7, previous_close=9.99, time=5, received=6),
        tick(2, source="a b,c=d\\\n", exchange="", volume=None, time=5, received=6000, code="1"),
    ]
    lines, beside = encode(batch(ticks, partition=3, offset=8))
    assert not beside
    assert lines.decode() == (
        "ticks,code=600001,exchange=SSE,source=post-1,side=buy,kafka_topic=ashare.ticks.v1 "
        "price=10.01,time=5i,received=6i,run=1i,n=1i,volume=100,turnover=0.5,seq=7i,previous_close=9.99,"
        "kafka_partition=3i,kafka_offset=8i,kafka_timestamp=5i 5\n"
        "ticks,code=1,source=a\\ b\\,c\\=d\\\\\\\n,kafka_topic=ashare.ticks.v1 "
        'exchange="",price=10.02,time=5i,received=6000i,'
        "run=1i,n=2i,kafka_partition=3i,kafka_offset=9i,kafka_timestamp=11i 5\n"
    )
    assert b"kafka_topic=other " in encode(batch(ticks[:1], topic="other"))[0]
    lines, beside = encode(batch([tick(3, bids=[Level(10.0, 100), Level(9.99, 0.5)], asks=[], average=9.5), ticks[0]]))
    assert beside
    first, second, _ = lines.decode().split("\n")
    assert ',volume=300,average=9.5,bids="[[10.0,100],[9.99,0.5]]",asks="[]",kafka_partition=0i' in first
    assert "bids" not in second

"""The store's own process: an error crosses over as itself, and a child that dies costs a write's second try."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deploy.embedded import QuestDB
from deploy.embedded.server import free_port
from schemas import UsageError, encode
from stores import StoreError, UnstorableError
from stores.apart import StoreApart
from stores.urls import QuestDbUrl, parse
from tests.stores.places import QuestDbPlace, SqliteApartPlace, batch, expected, tick


async def test_errors_come_as_what_they_are(tmp_path: Path) -> None:
    """What can't be used, and what can't be kept, with its place; the store goes on afterwards."""
    with pytest.raises(UsageError, match="sqlite:///"):
        StoreApart("mysql://x")
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(UsageError, match="directory can't be used"):
        await SqliteApartPlace(tmp_path / "file").store().open()
    place = SqliteApartPlace(tmp_path / "ticks")
    store = place.store()
    await store.open()
    with pytest.raises(UnstorableError, match="3/7") as caught:
        await store.write([batch([tick(1, time=10**17)], partition=3, offset=7)])
    assert (caught.value.partition, caught.value.offset) == (3, 7)
    assert await store.write([batch([tick(1)])]) == 1
    await store.close()
    await store.close()
    assert await place.rows() == expected([batch([tick(1)])])


async def test_a_child_that_was_killed_is_replaced_by_the_next_write(tmp_path: Path) -> None:
    """The write that meets the death fails as one to repeat; repeated, it keeps everything."""
    place = SqliteApartPlace(tmp_path / "ticks")
    store = StoreApart(f"sqlite:///{tmp_path / 'ticks'}")
    await store.open()
    assert store._child is not None
    store._child.kill()
    with pytest.raises(StoreError, match="has ended with -9"):
        await store.write([batch([tick(1)])])
    assert await store.write([batch([tick(1), tick(2)])]) == 2
    await store.close()
    assert await place.rows() == expected([batch([tick(1), tick(2)])])


WORKER = """
import asyncio, sys
from stores.apart import StoreApart
from stores.urls import QuestDbUrl, parse

async def main():
    await StoreApart(sys.argv[1]).open()
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_child_ends_with_its_worker_even_when_that_is_killed(tmp_path: Path) -> None:
    """Its input ends: there is no writer without a worker."""
    command = [sys.executable, "-c", WORKER, f"sqlite:///{tmp_path / 'ticks'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "open\n"
        (writer,) = psutil.Process(worker.pid).children()
        worker.kill()
    deadline = time.monotonic() + 10
    while writer.is_running() and writer.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlives its worker"
        time.sleep(0.05)


async def test_a_write_that_is_given_up_does_not_confuse_the_next(tmp_path: Path) -> None:
    """An answer that nobody waited for is never taken for another's."""
    place = SqliteApartPlace(tmp_path / "ticks")
    store = place.store()
    await store.open()
    given_up = asyncio.ensure_future(store.write([batch([tick(n) for n in range(5_000)])]))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert await store.write([batch([tick(9_999)])]) == 1
    await store.close()
    assert tick(9_999).n in {row["n"] for row in await place.rows()}


class Gate:
    """A server's door: connections go through to it while it is open, and are refused and cut while it is not.

    Attributes:
        url: of the store behind it, with its password's file.
    """

    def __init__(self, store: str, host: str, port: int) -> None:
        """Shut."""
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = free_port()
        self.url = store.replace(f"{host}:{port}", f"127.0.0.1:{self.port}")

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._through, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """The server is away."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()


@pytest.fixture
async def gate(questdb: QuestDB) -> AsyncIterator[Gate]:
    """The shared QuestDB's door."""
    url = parse(questdb.url)
    assert isinstance(url, QuestDbUrl)
    made = Gate(questdb.url, url.host, url.port)
    yield made
    await made.shut()


@pytest.mark.parametrize("tries", [1, 2, 3])
async def test_a_child_that_dies_while_its_server_is_away_comes_back_with_the_server(gate: Gate, tries: int) -> None:
    """However often a write was tried meanwhile, the first one after the server is back is kept."""
    await gate.open()
    store = StoreApart(gate.url)
    await store.open()
    ticks = [batch([tick(1, source="gate")])]
    await store.write(ticks)
    await gate.shut()
    assert store._child is not None
    store._child.kill()
    for _ in range(tries + 1):
        with pytest.raises(StoreError):
            await store.write(ticks)
    await gate.open()
    assert await store.write(ticks) == 1
    await store.close()


@pytest.mark.parametrize("again", ["gone", "another"])
async def test_a_child_that_is_replaced_makes_no_table_in_the_place_of_the_one_that_is_gone(
    questdb: QuestDB, again: str
) -> None:
    """What the child before it wrote is gone with the table: writes fail and say so, until that table is back."""
    url = parse(questdb.url)
    assert isinstance(url, QuestDbUrl)
    place = QuestDbPlace(url, "ticks")
    store = StoreApart(questdb.url)
    await store.open()
    ticks = [batch([tick(1, source=again)])]
    await store.write(ticks)
    kept = f"ticks_kept_{again}"
    place.sql(f"RENAME TABLE ticks TO {kept}")
    other = StoreApart(questdb.url)
    if again == "another":
        await other.open()
    assert store._child is not None
    store._child.kill()
    with pytest.raises(StoreError, match="has ended"):
        await store.write(ticks)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"has vanished|was dropped, and another made"):
            await store.write(ticks)
    await other.close()
    found = place.sql("SELECT table_name FROM tables() WHERE table_name = 'ticks'")["dataset"]
    assert len(found) == int(again == "another")
    if found:
        place.sql("DROP TABLE ticks")
    place.sql(f"RENAME TABLE {kept} TO ticks")
    assert await store.write(ticks) == 1
    await store.close()


async def test_a_child_that_can_not_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a process to spare for a moment: a write to repeat, not the worker's end."""
    store = StoreApart(f"sqlite:///{tmp_path / 'ticks'}")
    await store.open()
    assert store._child is not None
    store._child.kill()
    with pytest.raises(StoreError, match="has ended"):
        await store.write([batch([tick(1)])])

    async def none_left(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", none_left)
        with pytest.raises(StoreError, match="can't be started"):
            await store.write([batch([tick(1)])])
    assert await store.write([batch([tick(1)])]) == 1
    await store.close()


async def test_a_tick_beyond_the_contract_is_refused_by_its_place_and_the_child_lives(tmp_path: Path) -> None:
    """What no reader takes for a tick is not stored, and keeps no later one out."""
    store = StoreApart(f"sqlite:///{tmp_path / 'ticks'}")
    await store.open()
    fine, wrong = batch([tick(1)], offset=7), batch([tick(2)], offset=8)
    wrong = dataclasses.replace(wrong, values=[encode(tick(2)).replace(b'"price":', b'"price":1e305,"was":')])
    with pytest.raises(UnstorableError, match="price") as refused:
        await store.write([wrong])
    assert (refused.value.partition, refused.value.offset) == (wrong.partition, 8)
    assert await store.write([fine]) == 1
    await store.close()

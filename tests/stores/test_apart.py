"""The store's own process: an error crosses over as itself, and a child that dies costs a write's second try."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from processors.stores import StoreError, UnstorableError
from processors.stores.apart import StoreApart
from schemas import UsageError
from tests.stores.places import SqliteApartPlace, batch, expected, tick


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
from processors.stores.apart import StoreApart

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

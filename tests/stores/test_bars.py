"""Bars in either store: one row of each, the last that was written, read back as it was."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import QuestDB
from schemas import Bar, GapMark, Origin, UsageError
from stores import BarStore, StoreError, open_bars
from stores.questdb_bars import QuestDbBars
from stores.sqlite import SqliteStore
from stores.sqlite_bars import SqliteBars
from stores.urls import QuestDbUrl, parse
from tests.stores.places import NOON, QuestDbPlace

pytestmark = pytest.mark.asyncio


def bar(minute: int = 0, revision: int = 0, **more: Any) -> Bar:
    start = NOON + minute * 60_000
    fields: dict[str, Any] = {"code": "600519", "session": "2026-11-20", "volume": 700, "turnover": 7070.25} | more
    return Bar(
        exchange="SSE", start=start, end=start + 60_000, open=10.0, high=10.5, low=9.99, close=10.1, ticks=7,
        revision=revision, origin=Origin(3, 10 + minute + revision), **fields,
    )  # fmt: skip


@pytest.fixture(params=["sqlite", "questdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BarStore]:
    """An empty store of bars."""
    if request.param == "sqlite":
        yield SqliteBars(tmp_path / "deep" / "store")
        return
    questdb: QuestDB = request.getfixturevalue("questdb")
    address = parse(questdb.url)
    assert isinstance(address, QuestDbUrl)
    table = f"bars_{uuid.uuid4().hex}"
    yield QuestDbBars(address, table=table)
    QuestDbPlace(address, table).sql(f"DROP TABLE IF EXISTS {table}")


async def read(store: BarStore, due: list[Bar], day: str = "2026-11-20") -> None:
    """Wait until a code's bars are these: QuestDB shows what it took a little later."""
    async with asyncio.timeout(30):
        while (found := await asyncio.to_thread(store.bars, due[0].code, day)) != due:  # noqa: ASYNC110 - asked
            await asyncio.sleep(0.1)
    assert found == due


async def test_a_bar_comes_back_as_it_was_written(store: BarStore) -> None:
    """Nulls, an auction of the same start, a gap, fractions of shares; other codes and days are not mixed in."""
    assert await asyncio.to_thread(store.days) == []
    assert await asyncio.to_thread(store.bars, "600519", "2026-11-20") == []
    await store.open()
    await store.open()
    gap = GapMark("post-1/1/4", NOON * 1000, None, 2)
    bars = [bar(0), bar(59, volume=None, turnover=None, gap=gap), bar(59, auction="closing", doubtful=3)]
    other = bar(5, code="BTC.BINANCE'", volume=0.5)
    await store.write([*reversed(bars), other, bar(0, code="000001"), bar(24 * 60, session="2026-11-21")])
    await read(store, bars)
    await read(store, [other])
    assert await asyncio.to_thread(store.days) == ["2026-11-20", "2026-11-21"]
    await store.close()
    await store.close()


async def test_the_last_revision_holds_however_often_it_is_written(store: BarStore) -> None:
    """In one batch, or in several."""
    await store.open()
    await store.write([bar(0), bar(1), bar(0, 1)])
    await store.write([bar(0, 1), bar(1, 1)])
    await store.write([bar(1, 2, volume=900)])
    await read(store, [bar(0, 1), bar(1, 2, volume=900)])
    await store.close()


async def test_a_store_that_is_not_open_says_so(store: BarStore) -> None:
    """And one that is away is an error that is tried again."""
    with pytest.raises(StoreError, match="is not open"):
        await store.write([bar()])
    away = open_bars("questdb://127.0.0.1:9")
    with pytest.raises(StoreError, match="can't be reached"):
        await away.open()
    with pytest.raises(UsageError, match="no QuestDB answers"):
        await asyncio.to_thread(away.bars, "600519", "2026-11-20")


async def test_bars_lie_beside_the_ticks(tmp_path: Path) -> None:
    """In files that the store of ticks does not take for its own."""
    store = open_bars(f"sqlite:///{tmp_path}")
    await store.open()
    await store.write([bar()])
    await store.close()
    assert store.days() == ["2026-11-20"]
    assert SqliteStore(tmp_path).days() == []
    (tmp_path / "bars-2026-11-20.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UsageError, match="is not a file of this store"):
        store.bars("600519", "2026-11-20")

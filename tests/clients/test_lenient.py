"""A header whose key is not text, or without a value, costs the client library no record."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from ashare_client import Ticks
from schemas import encode
from schemas.topics import partition_of
from tests import foreign
from tests.clients.topics import PARTITIONS, RECEIVED, Written, tick

CODE = "600519"


@pytest.mark.parametrize("group", [False, True])
async def test_ticks_with_such_headers_come(topic: Written, monkeypatch: pytest.MonkeyPatch, *, group: bool) -> None:
    """Each once and in order, with a group and without, as those beside them; no setting is needed."""
    # As it is in another team's process, where nothing of ours but the library is.
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    for codec in ("none", "gzip"):
        values = [encode(tick(CODE, n + (100 if codec == "gzip" else 0))) for n in range(10)]
        records: list[foreign.Foreign] = [
            (CODE.encode(), value, [(key, None if n % 2 else b"x") for key in foreign.NO_TEXT[: n % 5]])
            for n, value in enumerate(values)
        ]
        await foreign.write(topic.bootstrap, topic.name, partition_of(CODE, PARTITIONS), records, RECEIVED // 1000,
                            codec=codec)  # fmt: skip
    name = f"team-{topic.name}" if group else None
    found: list[int] = []
    async with asyncio.timeout(60):
        async with Ticks(topic.bootstrap, topic=topic.name, start="earliest", group=name, batch_size=3) as ticks:
            async for one in ticks:
                found.append(one.n)
                if len(found) == 20:
                    break
    assert found == [*range(10), *range(100, 110)]

"""What was applied, by code, with and without an event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import ashare_client
from ashare_client import ArgumentError, NoTopicError, instruments, sync
from schemas import Instrument, encode
from tests.clients.topics import RECEIVED, Written, written


async def put(topic: Written, *records: Instrument) -> None:
    for record in records:
        topic.add(record.code, encode(record), RECEIVED // 1000)
    await topic._publisher.flush()


async def test_the_last_record_of_a_code_counts(bootstrap: str) -> None:
    """A removed code is gone, unless it was applied again; a record that is none is left out."""
    topic = await written(bootstrap, partitions=1, compacted=True)
    assert await instruments(bootstrap, topic=topic.name) == {}
    await put(topic, *(Instrument(code, "SSE", name="before") for code in ("600519", "688001", "600000")))
    await topic.put_raw("600001", b"rubbish")
    for code in ("688001", "600000"):
        await topic.delete(code)
    await put(topic, Instrument("600519", "SSE", name="贵州茅台", limit_up=1859.0), Instrument("600000", "SSE"))
    found = await instruments(bootstrap, topic=topic.name)
    assert {code: one.name for code, one in found.items()} == {"600519": "贵州茅台", "600000": None}
    assert isinstance(found["600519"], ashare_client.Instrument)
    assert found["600519"].limit_up == 1859.0
    some = await asyncio.to_thread(sync.instruments, bootstrap, codes="600519", topic=topic.name)
    assert list(some) == ["600519"]
    await topic.close()


async def test_what_cannot_be_had_is_said(bootstrap: str) -> None:
    with pytest.raises(NoTopicError):
        await instruments(bootstrap, topic="ashare.nowhere.v1")
    with pytest.raises(ArgumentError):
        sync.instruments(bootstrap, boards="MOON")


def test_both_take_the_same_arguments() -> None:
    assert inspect.signature(sync.instruments).parameters == inspect.signature(instruments).parameters

"""Lines that run in this process, for each test of this folder that asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from producer.gaps import silence
from producer.line import driver
from tests.producer.line.living import NOON, Running, it_is
from tests.producer.scripted import ScriptedFeed


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Running]]:
    """Starts lines, and ends what is left of them."""
    made: list[Running] = []

    def begin(url: str, codes: str | None = "ab", pace: dict[str, Any] | None = None, **capabilities: Any) -> Running:
        made.append(Running(url, codes, ScriptedFeed(**capabilities), **(pace or {})))
        return made[-1]

    yield begin
    for running in made:
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)


@pytest.fixture
def in_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ten o'clock on a trading day, and patience is short."""
    it_is(monkeypatch, NOON)
    monkeypatch.setattr(silence, "_LOUD", dict.fromkeys(silence._LOUD, 0.8))
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.02)

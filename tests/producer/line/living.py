"""A line that runs in this process, and what a provider plays to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from market.times import parse_time
from producer.clock import now
from producer.line import connection
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from tests.producer.scripted import Remembered, ScriptedFeed, says

NOON = parse_time("2026-11-20 10:00:00")
ACK = {"kind": "subscribed"}


class Running:
    """A line that runs in this process."""

    wall = staticmethod(now)

    def __init__(self, url: str, codes: str | None, feed: ScriptedFeed, **pace: Any) -> None:
        """Start at once; every character is a code."""
        self.pipeline = Remembered()
        self.stop = asyncio.Event()
        quick: dict[str, Any] = {"backoff": Backoff(0.01, 0.02), "heartbeat": 0.0}
        self.line = Line(
            Endpoint(feed, url, "s3cret"),
            None if codes is None else list(codes),
            self.pipeline,
            Pace(**quick | pace),
            name="x",
            wall=self.wall,
        )
        self.task = asyncio.create_task(self.line.run(self.stop))

    async def finish(self) -> None:
        """Tell it to stop, and wait."""
        self.stop.set()
        await asyncio.wait_for(self.task, 10)


def it_is(monkeypatch: pytest.MonkeyPatch, time: int) -> Callable[[int], None]:
    """Let it be another time, ms, which goes on; gives what sets it again."""
    ahead = [time * 1000 - now()]
    for where, name in ((Running, "wall"), (connection, "now")):
        monkeypatch.setattr(where, name, staticmethod(lambda: now() + ahead[0]))

    def set_to(time: int) -> None:
        ahead[0] = time * 1000 - now()

    return set_to


async def stay(server: ServerConnection) -> None:
    await server.wait_closed()


def pushing(*ticks: tuple[Any, ...], answers: tuple[dict[str, Any], ...] = (ACK,)) -> Any:
    async def script(server: ServerConnection) -> None:
        await says(server, ticks=ticks, answers=answers)
        await stay(server)

    return script

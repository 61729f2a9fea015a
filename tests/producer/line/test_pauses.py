"""How long a line waits until its next attempt, and what worked before in its run."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from market.times import parse_time
from producer.line import protocol, receiver
from producer.line.backoff import Backoff
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.line.protocol import LineProtocol
from schemas import UsageError
from tests.producer.line.living import ACK, NOON, Running, it_is, pushing, stay
from tests.producer.scripted import Provider, ScriptedFeed, says


class Counted(Backoff):
    """Remembers what it gave, and gives next to nothing."""

    def __init__(self, **bounds: Any) -> None:
        """As ``Backoff``."""
        super().__init__(**bounds)
        self.gave: list[float] = []

    def next(self, at_least: float = 0.0, at_most: float = math.inf) -> float:
        """As ``Backoff.next``."""
        self.gave.append(super().next(at_least, at_most))
        return 0.01


async def test_a_server_that_pushes_its_cache_and_closes_is_not_hammered(
    start: Callable[..., Running], post: Any
) -> None:
    """Accepted, acknowledged, one tick, closed: no success, so the pauses grow."""

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await asyncio.sleep(0.02)

    backoff = Counted()
    async with Provider(script) as provider:
        running = start(provider.url, "a", {"backoff": backoff})
        await post.until(lambda: len(backoff.gave) >= 6)
        await running.finish()
    assert backoff.gave[0] <= 0.5
    assert all(pause >= 2.5 for pause in backoff.gave[4:6])


@pytest.mark.parametrize("ticks", [True, False])
async def test_a_connection_that_lived_begins_the_pauses_anew(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch, ticks: bool
) -> None:
    """With ticks that still come after a while, or subscribed for longer without any, as at night."""
    monkeypatch.setattr(*((receiver, "LIVED_SECONDS") if ticks else (protocol, "QUIET_SECONDS")), 1.0)

    async def brief(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])

    async def lives(server: ServerConnection) -> None:
        await says(server, answers=[ACK])
        await asyncio.sleep(1.3)
        if ticks:
            await says(server, ticks=[("a", NOON)])
            await asyncio.sleep(0.05)

    backoff = Counted()
    async with Provider(brief, brief, brief, lives, stay) as provider:
        running = start(provider.url, "a", {"backoff": backoff})
        await post.until(lambda: len(backoff.gave) == 4)
        await running.finish()
    assert backoff.gave[2] >= 1.0
    assert backoff.gave[3] <= 0.5


@pytest.mark.parametrize(
    ("clock", "longest"),
    [
        ("2026-11-20 09:15:00", 5),
        ("2026-11-20 09:27:00", 5),
        ("2026-11-20 10:00:00", 5),
        ("2026-11-20 14:59:00", 5),
        ("2026-11-20 09:14:40", 25),
        ("2026-11-20 12:59:30", 35),
        ("2026-11-20 12:00:00", 60),
        ("2026-11-20 03:00:00", 60),
        ("2026-11-20 16:00:00", 60),
        ("2026-11-21 10:00:00", 60),
    ],
)
def test_little_is_waited_in_trading_hours_and_into_them(
    monkeypatch: pytest.MonkeyPatch, clock: str, longest: int
) -> None:
    """Five seconds, with jitter, whatever failed before; at night, on Saturdays and at noon a minute."""
    it_is(monkeypatch, parse_time(clock))
    feed = ScriptedFeed()
    line = LineProtocol(Endpoint(feed, "ws://127.0.0.1:1"), ["a"], Pace(backoff=Backoff()), wall=Running.wall)
    begun = time.monotonic()
    pauses = [line.pause() for _ in range(200)][10:]
    passed = time.monotonic() - begun  # the wall clock goes on
    assert max(pauses) <= longest
    assert (longest - passed) / 2 <= min(pauses)
    assert len(set(pauses)) > 50
    line.state.attempts.throttled(120.0)
    assert line.pause() == 120.0, "the server asked for it"


async def test_whatever_the_clock_says_a_market_that_just_traded_trades(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that is played at night, or another country's."""
    it_is(monkeypatch, parse_time("2026-11-21 03:00:00"))

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])

    backoff = Counted()
    async with Provider(script) as provider:
        running = start(provider.url, "a", {"backoff": backoff})
        await post.until(lambda: len(backoff.gave) >= 8)
        await running.finish()
    assert max(backoff.gave) <= 5.0


# What worked before in this run.


def refusing(statuses: list[int]) -> Any:
    """What answers handshakes with these, while there are some."""

    def process(connection: ServerConnection, _request: Any) -> Any:
        return connection.respond(statuses.pop(0), "no\n") if statuses else None

    return process


@pytest.mark.parametrize("status", [401, 403, 404, 400])
async def test_a_token_that_worked_and_is_refused_is_tried_again_loudly(
    start: Callable[..., Running], post: Any, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """With pauses that grow; each time an error in the log and an event, and the line is not well meanwhile."""
    statuses: list[int] = []

    async def first(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await asyncio.sleep(0.05)
        statuses.extend([status] * 3)

    async with Provider(first, pushing(("a", NOON)), process_request=refusing(statuses)) as provider:
        running = start(provider.url, "a")
        running.line.protocol.state.attempts.refused_again = again = Counted(first=1.0, cap=60.0)
        await post.until(lambda: len(running.pipeline.received) == 2)
        await post.until(lambda: running.line.state == "subscribed")
        await running.finish()
    assert len(running.pipeline.gaps) == 1
    if status in {401, 403}:
        assert len(again.gave) == 3
        assert again.gave[2] >= 2.0
        assert len(running.pipeline.of("refused")) == 3
        assert f"refused the token (HTTP {status})" in running.pipeline.of("refused")[0]["reason"]
        assert sum(record.levelname == "ERROR" for record in caplog.records) == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_from_the_first_ends_at_once(start: Callable[..., Running], status: int) -> None:
    """Asked once."""
    async with Provider(stay, process_request=refusing([status] * 9)) as provider:
        running = start(provider.url, "a")
        with pytest.raises(UsageError, match="refused the token"):
            await asyncio.wait_for(running.task, 10)
    assert not provider.heard


@pytest.mark.parametrize(
    "refusal",
    [
        lambda server: says(server, answers=[{"kind": "unauthorised", "text": "expired"}]),
        lambda server: server.close(4401, "expired"),
        lambda server: server.close(3000, "expired"),
        lambda server: server.close(4999, "final"),
    ],
)
async def test_every_way_to_refuse_a_token_that_worked_is_tried_again(
    start: Callable[..., Running], post: Any, refusal: Any
) -> None:
    """By an answer, by a close code, by one that is called final; from the first attempt each ends the line."""

    async def good(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await asyncio.sleep(0.05)

    async def bad(server: ServerConnection) -> None:
        await refusal(server)
        await stay(server)

    final = {"final_closes": frozenset({4999})}
    async with Provider(good, bad, bad, pushing(("a", NOON))) as provider:
        running = start(provider.url, "a", **final)
        running.line.protocol.state.attempts.refused_again = Counted()
        await post.until(lambda: len(running.pipeline.received) == 2)
        await running.finish()
    assert len(running.pipeline.of("refused")) == 2
    async with Provider(bad) as provider:
        running = start(provider.url, "a", **final)
        with pytest.raises(UsageError, match="refused the token"):
            await asyncio.wait_for(running.task, 10)

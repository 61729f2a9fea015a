"""Frames that can't be read, a clock that is off, bounds that are reached: each is told once, in health and events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from broker.exposition import Exposition
from producer.feeds import provider
from producer.feeds.decoded import Decoded, Letter
from producer.feeds.guard import POLICIES, Guard
from producer.feeds.provider import Options
from producer.gaps.market_clock import MarketClock
from producer.http import LocalServer
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.line.readability import Finding, Readability
from producer.supervisor import Supervisor
from producer.watchlist.dealing import Dealer
from producer.watchlist.watch import Watch
from tests.producer.scripted import Provider, Remembered

HOUR = 3_600_000


class Watched:
    """A line that is made up."""

    def __init__(self, *, own_clock: bool = False) -> None:
        """Nothing has come."""
        self.guard, self.clock = Guard(), MarketClock()
        self.found: list[Finding] = []
        self.readability = Readability(self.guard, self.clock, own_clock=own_clock, scrub=str.upper)

    def of(self, kind: str) -> list[Finding]:
        """What was found of a kind."""
        return [finding for finding in self.found if finding.kind == kind]

    def passes(
        self, seconds: int, *, off: int | None = None, good: int = 0, bad: int = 0, why: str = "code: x"
    ) -> None:
        """So many seconds with ticks that are so far off, and so many frames a second of either kind."""
        for _ in range(seconds):
            self.now += 1
            self.readability.frames += good + bad
            for _ in range(bad):
                self.guard.keep(Decoded([], [Letter(b"", why, "frame")], []), self.now * 1_000_000)
            if off is not None:
                self.clock.heard(self.now * 1_000 + off, self.now * 1_000, float(self.now))
            self.found += self.readability.look(float(self.now))

    now = 1_000


def test_frames_that_mostly_cant_be_read_are_told_once_and_again_after_they_could() -> None:
    """With the most frequent reason, freed of secrets."""
    one = Watched()
    one.passes(100, good=50, bad=1)
    assert not one.found
    one.passes(60, bad=10)
    (event,) = one.of("unreadable")
    assert "MOST OFTEN: CODE: X" in event.reason
    assert one.readability.unreadable is not None
    one.passes(60, good=10)
    assert one.readability.unreadable is None
    one.passes(60, bad=10)
    assert len(one.of("unreadable")) == 2


@pytest.mark.parametrize(("off", "words"), [(-8 * HOUR, "writes UTC"), (8 * HOUR, "8 h ahead"), (-900_000, "delayed")])
def test_a_clock_that_is_constantly_off_is_told_of_after_a_minute(off: int, words: str) -> None:
    """Once; not where it is known to be another clock."""
    one, known = Watched(), Watched(own_clock=True)
    one.passes(55, off=off)
    assert not one.found
    one.passes(200, off=off)
    known.passes(200, off=off)
    (event,) = one.of("clock")
    assert words in event.reason
    assert not known.found


def test_times_that_cant_be_read_at_all_are_a_matter_of_the_clock_too() -> None:
    """Seconds read as ms are dead letters: after a minute the event says in which unit they would be times."""
    one = Watched()
    why = (
        "time: 1795138201 ms is not a time between 1992 and 2099; without --time-unit ms it is 2026-11-20 09:30:01.000"
    )
    one.passes(100, bad=2, why=why)
    (event,) = one.of("clock")
    assert "2026-11-20" in event.reason


def test_bounds_that_are_reached_are_told_with_how_much_they_left_out() -> None:
    """At once, then no more often than once a minute, and at the end."""
    one = Watched()
    one.guard.limited.update({"documents": 1})
    one.passes(1)
    one.guard.limited.update({"letters": 7})
    one.passes(30)
    one.guard.limited.update({"letters": 5})
    assert [(told.reason, told.count) for told in one.of("limited")] == [(POLICIES["documents"], 1)]
    one.passes(40)
    assert one.of("limited")[1:] == [Finding("limited", POLICIES["letters"], 12)]
    one.guard.limited.update({"letters": 2})
    one.found += one.readability.limited()
    assert one.of("limited")[-1].count == 2


async def test_a_line_that_reads_nothing_is_unhealthy_and_says_why(tmp_path: Path) -> None:
    """480 of 480 dead letters: /health is 503 and names the reason; subscribed it is all the same."""

    async def script(server: Any) -> None:
        await server.send('{"type":"subscribed","symbols":["600519"]}')
        for i in range(1_000_000):
            ticks = [{"code": "600519.QQ", "price": 10, "time": 1_795_138_201_000 + i, "side": "x"}]
            await server.send(orjson.dumps({"ticks": ticks}).decode())
            await asyncio.sleep(0.02)

    async with Provider(script) as upstream:
        feed = provider("post").make(Options())
        pipeline = Remembered()
        line = Line(Endpoint(feed, upstream.url), ["600519"], pipeline, Pace(backoff=Backoff(0.01, 0.02)))
        supervisor = Supervisor([[line]], Dealer(1, None))
        watch = Watch(tmp_path / "codes.txt", ["600519"], supervisor.want)
        server = LocalServer(supervisor, watch, Exposition((), lambda _: None), 0)
        stop = asyncio.Event()
        running = asyncio.create_task(supervisor.run(stop))
        await server.start()
        code, health = 0, dict[str, Any]()
        async with aiohttp.ClientSession() as session:
            for _ in range(600):
                async with session.get(f"http://127.0.0.1:{server.port}/health") as response:
                    code, health = response.status, await response.json()
                if pipeline.of("unreadable") and line.state == "subscribed":
                    break
                await asyncio.sleep(0.1)
        await server.stop()
        stop.set()
        await running
    (said,) = health["lines"]
    assert code == 503
    assert (said["state"], said["readable"]) == ("subscribed", False)
    assert "600519.QQ is not an A share" in said["problem"]
    assert "600519.QQ is not an A share" in pipeline.of("unreadable")[0]["reason"]

"""Replays on a WebSocket, in the feed's protocol, read by a real client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from cli.serving import ReplayServer
from consumers.replay.controls import Controls
from consumers.replay.outputs.feed import ToFeed
from consumers.replay.pace import Pace
from consumers.replay.run import Summary, replay
from schemas import Tick, UsageError
from simulator.server import Settings
from tests.consumers.replay.conftest import Recorded, drawn, record

SENT = ("code", "price", "time", "volume", "turnover", "side", "previous_close", "seq", "bids", "asks")
NAMES = {name: name for name in SENT} | {"open": "day_open", "high": "day_high", "low": "day_low"}
NAMES |= {name: name for name in ("day_volume", "day_turnover", "average")}
FLAT = Pace()


@contextlib.asynccontextmanager
async def serving(
    recorded: Recorded, pace: Pace = FLAT, **settings: Any
) -> AsyncIterator[tuple[str, asyncio.Task[Summary]]]:
    """A replay that waits for its first subscriber: its address, and the task that ends with it."""
    said: list[str] = []
    output = ToFeed(ReplayServer(Settings(port=0, **settings), said.append), paced=not pace.flat, replay_id="yesterday")
    controls = Controls(seekable=True)
    running = asyncio.create_task(replay(recorded.request(pace=pace), output, controls=controls, say=said.append))
    async with asyncio.timeout(20):
        while not any("ws://" in line for line in said):
            await asyncio.sleep(0.01)
            if running.done():
                await running
    url = next(word for line in said for word in line.replace(",", " ").split() if word.startswith("ws://"))
    try:
        yield url, running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def subscribed(url: str, symbols: Any, **more: Any) -> ClientConnection:
    connection = await connect(url, compression=None, proxy=None, max_size=None)
    await connection.send(orjson.dumps({"action": "subscribe", "symbols": symbols} | more), text=True)
    assert orjson.loads(await connection.recv())["type"] == "subscribed"
    return connection


async def to_the_end(connection: ClientConnection) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All ticks of all frames, and the last message."""
    ticks: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while True:
            message = orjson.loads(await connection.recv())
            if "ticks" not in message:
                return ticks, message
            ticks += message["ticks"]


def as_fed(tick: Tick) -> dict[str, Any]:
    fields = msgspec.to_builtins(tick)
    return {name: fields[field] for name, field in NAMES.items() if fields[field] is not None}


async def test_a_client_gets_the_ticks_as_the_feed_sent_them_and_then_the_end(recorded: Recorded) -> None:
    """Nothing that the pipeline added; a last message, then 1000."""
    async with serving(recorded, ticks_per_frame=7) as (url, running):
        connection = await subscribed(url, "*")
        ticks, end = await to_the_end(connection)
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()
        assert connection.close_code == 1000
        summary = await running
    assert ticks == [as_fed(one.tick) for one in recorded.ticks]
    assert end == {"type": "info", "event": "replay_end", "replay": "yesterday", "records": 900, "complete": True}
    assert summary.given == 900


async def test_subscriptions_are_those_of_the_feed(recorded: Recorded) -> None:
    """Codes, actual trades, and errors in the feed's words, before the replay begins and while it runs."""
    async with serving(recorded, Pace(factor=100.0)) as (url, _):
        early = await connect(url, compression=None, proxy=None)
        await early.send('{"action":"subscribe","symbols":"999999"}')
        assert orjson.loads(await early.recv())["code"] == "unknown_symbol"
        await early.send('{"action":"subscribe","symbols":"600519,000001","trades_only":true}')
        assert orjson.loads(await early.recv())["trades_only"] is True
        ticks, _ = await to_the_end(early)
    chosen = [one.tick for one in recorded.ticks if one.tick.code in ("600519", "000001") and one.tick.volume != 0]
    assert ticks == [as_fed(tick) for tick in chosen]


async def test_a_tick_that_was_sent_again_goes_out_once(bootstrap: str) -> None:
    """As the feed sent it; a record that is not a tick is left out, and counted."""
    ticks = drawn(300)
    recorded = await record(bootstrap, [*ticks[:200], *ticks[150:200], *ticks[200:]])
    async with serving(recorded) as (url, running):
        got, end = await to_the_end(await subscribed(url, "*"))
        summary = await running
    assert len(got) == end["records"] == 300
    assert {orjson.dumps(tick) for tick in got} == {orjson.dumps(as_fed(tick)) for tick in ticks}
    assert summary.repeated == 50


async def test_a_replay_that_is_ended_says_so_and_closes_as_going_away(recorded: Recorded) -> None:
    """1001, and a last message that is not complete."""
    async with serving(recorded, Pace(factor=0.1)) as (url, running):
        connection = await subscribed(url, "*")
        await connection.recv()
        running.cancel()
        _, end = await to_the_end(connection)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert end["complete"] is False
        assert connection.close_code == 1001


async def test_a_token_and_a_taken_port_are_the_servers_matter(recorded: Recorded) -> None:
    """As with the simulated market."""
    async with serving(recorded, token="s3cret") as (url, running):
        with pytest.raises(Exception, match="401"):
            await connect(url, proxy=None)
        port = int(url.rpartition(":")[2])
        output = ToFeed(ReplayServer(Settings(port=port), print), paced=True, replay_id="x")
        with pytest.raises(UsageError, match=f"port {port} is in use"):
            await replay(recorded.request(), output, controls=Controls(seekable=True), say=lambda _: None)
        assert not running.done()

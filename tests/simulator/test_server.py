"""The simulator on a real socket, read by a real WebSocket client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from schemas import UsageError
from simulator.exchange import Simulator
from simulator.feed import Source
from simulator.run import generated, recorded
from simulator.server import Counts, Settings

START = "2026-11-20 09:29:50"


def market(rate: str = "20000", codes: int = 300) -> Source:
    return generated(rate=rate, codes=codes, seed=5, start=START)


@contextlib.asynccontextmanager
async def running(source: Source, **settings: Any) -> AsyncIterator[tuple[str, asyncio.Task[Counts]]]:
    """A simulator that waits for its first subscriber: its address, and the task that ends with its last push."""
    simulator = Simulator(source, Settings(port=0, wait_for_client=True, **settings))
    async with simulator.listen() as port:
        pushing = asyncio.create_task(simulator.run())
        try:
            yield f"ws://127.0.0.1:{port}", pushing
        finally:
            pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError, UsageError):
                await pushing


@contextlib.asynccontextmanager
async def client(url: str, request: Any = None, **options: Any) -> AsyncIterator[ClientConnection]:
    """A connection that has sent a request and read the one answer to it."""
    settings = {"compression": None, "proxy": None, "max_size": None} | options
    async with connect(url, **settings) as connection:
        if request is not None:
            await connection.send(orjson.dumps(request), text=True)
            assert orjson.loads(await connection.recv())["type"] == "subscribed"
        yield connection


async def frames(connection: ClientConnection, ticks: int) -> list[bytes]:
    """Frames until so many ticks have come."""
    received = []
    while ticks > 0:
        received.append(await connection.recv(decode=False))
        ticks -= len(orjson.loads(received[-1])["ticks"])
    assert ticks == 0
    return received


ALL = {"action": "subscribe", "symbols": "*"}


@pytest.mark.parametrize("per_frame", [1, 7, 50, 500])
async def test_the_ledger_holds_the_very_bytes_that_the_client_received(tmp_path: Path, per_frame: int) -> None:
    """Frame by frame, up to the end that ``finished.json`` announces; as many ticks as rate times seconds."""
    settings = {"ticks_per_frame": per_frame, "seconds": 0.3, "ledger": tmp_path}
    async with running(market(), **settings) as (url, pushing), client(url, ALL) as connection:
        received = await frames(connection, 6_000)
        await pushing
    assert (tmp_path / "connection-0001.jsonl").read_bytes() == b"".join(frame + b"\n" for frame in received)
    finished = orjson.loads((tmp_path / "finished.json").read_bytes())
    assert finished["ticks"] == 6_000
    assert finished["frames"] == len(received)
    assert finished["by_connection"] == {"connection-0001": 6_000}
    assert finished["started"] < finished["ended"]
    assert all(len(orjson.loads(frame)["ticks"]) <= per_frame for frame in received)
    source = market()
    expected = source.take(float("inf"), 6_000).texts
    assert [tick for frame in received for tick in orjson.loads(frame)["ticks"]] == [
        orjson.loads(text) for text in expected
    ]


async def test_each_client_gets_what_it_subscribed_and_a_page_of_its_own(tmp_path: Path) -> None:
    """Two on the whole market, one on two codes, one on actual trades: all see the same market in the same order."""
    async with running(market(), seconds=0.3, ledger=tmp_path) as (url, pushing), contextlib.AsyncExitStack() as stack:
        some = {"action": "subscribe", "symbols": "600519,000001"}
        trades = ALL | {"trades_only": True}
        # The market begins with the first subscription, so all but the last of these start somewhat later.
        connections = [await stack.enter_async_context(client(url)) for _ in range(4)]
        await asyncio.gather(
            *(c.send(orjson.dumps(r), text=True) for c, r in zip(connections, (ALL, ALL, some, trades), strict=True))
        )
        await pushing
        pages = [tmp_path / f"connection-{n:04d}.jsonl" for n in (1, 2, 3, 4)]
        kept = [[orjson.loads(line) for line in page.read_bytes().splitlines()] for page in pages]
        for connection, lines in zip(connections, kept, strict=True):
            answer = orjson.loads(await connection.recv())
            assert answer["type"] == "subscribed"
            assert [orjson.loads(await connection.recv()) for _ in lines] == lines
    ticks = [[tick for line in lines for tick in line["ticks"]] for lines in kept]
    longest = max(ticks[:2], key=len)
    assert ticks[0] == longest[-len(ticks[0]) :]
    assert ticks[1] == longest[-len(ticks[1]) :]
    assert {tick["code"] for tick in ticks[2]} == {"600519", "000001"}
    chosen = [tick for tick in longest if tick["code"] in ("600519", "000001")]
    assert ticks[2] == chosen[-len(ticks[2]) :]
    traded = [tick for tick in longest if tick["volume"]]
    assert len(traded) < len(longest)
    assert ticks[3] == traded[-len(ticks[3]) :]


async def test_after_unsubscribing_nothing_is_pushed_and_the_connection_stays() -> None:
    """The answer to the unsubscribe comes, then the one to a ping, and no tick between them."""
    async with running(market()) as (url, _), client(url, ALL) as connection:
        assert "ticks" in orjson.loads(await connection.recv())
        await connection.send('{"action":"unsubscribe","symbols":"*"}')
        while "ticks" in (message := orjson.loads(await connection.recv())):
            pass
        assert message == {"type": "unsubscribed", "symbols": "*"}
        await asyncio.sleep(0.05)
        await connection.send('{"action":"ping"}')
        assert orjson.loads(await connection.recv()) == {"type": "pong"}


async def test_bad_messages_are_answered_and_the_connection_stays() -> None:
    """Malformed, unknown code, wildcard on the basic tier: each its error, then a good subscription works."""
    async with running(market(), all_market=False) as (url, _), client(url) as connection:
        for message, code in (
            ("{", "malformed"),
            ('{"action":"subscribe","symbols":"999999"}', "unknown_symbol"),
            ('{"action":"subscribe","symbols":"*"}', "wildcard_refused"),
            (b"\xff", "malformed"),
        ):
            await connection.send(message)
            answer = orjson.loads(await connection.recv())
            assert (answer["type"], answer["code"]) == ("error", code)
        await connection.send('{"action":"subscribe","symbols":["600519"]}')
        assert orjson.loads(await connection.recv())["symbols"] == ["600519"]
        assert orjson.loads(await connection.recv())["ticks"][0]["code"] == "600519"


async def test_a_wrong_token_is_refused_at_the_handshake() -> None:
    """With HTTP 401 and a JSON error; the right one, in any of its places, opens the door."""
    async with running(market(), token="s3cret") as (url, _):
        for bad, headers in ((url, {}), (f"{url}/?token=wrong", {}), (url, {"X-Token": "wrong"})):
            with pytest.raises(InvalidStatus) as refused:
                await connect(bad, additional_headers=headers, proxy=None)
            assert refused.value.response.status_code == 401
            assert orjson.loads(refused.value.response.body or b"")["code"] == "unauthorized"
        for good, headers in (
            (f"{url}/?token=s3cret", {}),
            (url, {"Authorization": "Bearer s3cret"}),
            (url, {"X-Token": "s3cret"}),
            (url, {"token": "s3cret"}),
        ):
            async with client(good, ALL, additional_headers=headers) as connection:
                assert b"ticks" in await connection.recv(decode=False)


async def test_a_client_that_does_not_read_is_closed_and_the_others_go_on() -> None:
    """What waits unsent for one client is bounded: beyond it, 1013, counted, while another client misses nothing."""
    source = market("flat", codes=50)
    simulator = Simulator(source, Settings(port=0, queue_bytes=1 << 20))
    async with simulator.listen() as port, client(f"ws://127.0.0.1:{port}") as reader:
        slow = await connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None, max_queue=1)
        await slow.send(orjson.dumps(ALL), text=True)
        await reader.send(orjson.dumps(ALL), text=True)
        assert orjson.loads(await reader.recv())["type"] == "subscribed"
        await asyncio.sleep(0.05)
        for _ in range(40):
            simulator.push(source.take(float("inf"), 4_000))
            await frames(reader, 4_000)
        assert simulator.counts.too_slow == 1
        with contextlib.suppress(ConnectionClosed):
            while True:
                await slow.recv()
        assert slow.close_code == 1013


async def test_a_recording_arrives_at_its_own_pace(tmp_path: Path) -> None:
    """No tick comes before its distance from the first has passed; flat out, none waits."""
    path = tmp_path / "ticks.csv"
    rows = [f"600519,{1_790_000_000_000 + ms},1700.5,{ms}\n" for ms in (0, 100, 100, 400)]
    path.write_text("code,time,price,volume\n" + "".join(rows))
    now = asyncio.get_running_loop().time
    async with running(recorded(path), ticks_per_frame=1) as (url, pushing):
        before = now()
        async with client(url, ALL) as connection:
            for earliest, volume in ((0.0, 0), (0.1, 100), (0.1, 100), (0.4, 400)):
                (tick,) = orjson.loads(await connection.recv())["ticks"]
                assert tick["volume"] == volume
                assert now() - before >= earliest
            assert (await pushing).ticks == 4
    async with running(recorded(path, speed="flat"), paced=False) as (url, pushing), client(url, ALL) as connection:
        assert len(orjson.loads(await connection.recv())["ticks"]) == 4
        assert (await pushing).ticks == 4


async def test_a_bad_line_ends_the_run_with_its_place(tmp_path: Path) -> None:
    """What came before it was pushed."""
    path = tmp_path / "ticks.csv"
    path.write_text("code,time,price\n600519,1790000000,1700\n600519,1790000000,1700\n600519,1790000001,free\n")
    async with running(recorded(path, speed="x5")) as (url, pushing), client(url, ALL) as connection:
        await frames(connection, 2)
        with pytest.raises(UsageError, match="line 4"):
            await pushing


async def test_compression_is_spoken_when_it_is_offered(tmp_path: Path) -> None:
    """The client reads the same JSON as the ledger holds."""
    settings = {"compression": True, "seconds": 0.1, "ledger": tmp_path}
    async with (
        running(market("5000"), **settings) as (url, pushing),
        client(url, ALL, compression="deflate") as connection,
    ):
        received = await frames(connection, 500)
        await pushing
    assert (tmp_path / "connection-0001.jsonl").read_bytes().splitlines() == received


def test_an_unknown_feed_is_an_error_that_names_those_there_are() -> None:
    """As ``--feed`` says it."""
    with pytest.raises(UsageError, match="post, alltick, xtick"):
        Simulator(market(), Settings(feed="sina"))


async def test_a_taken_port_and_a_used_ledger_are_errors_that_name_the_fix(tmp_path: Path) -> None:
    """Nothing of an older ledger is ever mixed with a new one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        simulator = Simulator(market(), Settings(port=taken.getsockname()[1]))
        with pytest.raises(UsageError, match="--port"):
            async with simulator.listen():
                pass
    (tmp_path / "finished.json").write_text("{}")
    with pytest.raises(UsageError, match="--ledger"):
        Simulator(market(), Settings(ledger=tmp_path))

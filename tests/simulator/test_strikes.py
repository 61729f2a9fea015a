"""A misbehaving market on a real socket, and clients that reconnect."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.exchange import Simulator
from simulator.feed import Source
from simulator.feeds.forms import suffixed
from simulator.misbehaviour.lines import LINES, Greeting
from simulator.run import generated
from simulator.server import Settings
from simulator.universe import universe

ALL = '{"action":"subscribe","symbols":"*"}'
PATIENCE = 0.4
"""Seconds of silence after which these clients reconnect."""


def market() -> Source:
    return generated(rate="2000", codes=100, seed=5, start="2026-11-20 09:31")


@contextlib.asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[str, Simulator, asyncio.Task[Any]]]:
    """A simulator that waits for its first subscriber."""
    simulator = Simulator(market(), Settings(port=0, wait_for_client=True, misbehave_after=0.05, **settings))
    async with simulator.listen() as port:
        pushing = asyncio.create_task(simulator.run())
        try:
            yield f"ws://127.0.0.1:{port}", simulator, pushing
        finally:
            pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pushing


class Plain(connect):
    """Follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Give it to the caller."""
        return exc


def dial(url: str, **options: Any) -> connect:
    return connect(url, compression=None, proxy=None, max_size=None, max_queue=None, **options)


async def faithful(url: str, got: Counter[bytes]) -> None:
    """A client of the post's feed that comes back whatever happens; enters each tick that it gets."""
    while True:
        try:
            async with dial(url) as connection:
                await connection.send(ALL)
                while True:
                    message = await asyncio.wait_for(connection.recv(), PATIENCE)
                    with contextlib.suppress(orjson.JSONDecodeError):
                        got.update(map(orjson.dumps, orjson.loads(message).get("ticks", ())))
        except (ConnectionClosed, InvalidStatus, TimeoutError, OSError):
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def following(url: str, clients: int = 1) -> AsyncIterator[list[Counter[bytes]]]:
    got: list[Counter[bytes]] = [Counter() for _ in range(clients)]
    tasks = [asyncio.create_task(faithful(url, one)) for one in got]
    try:
        yield got
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - a test looks on
            await asyncio.sleep(0.02)


def pages(folder: Path, pattern: str) -> Counter[bytes]:
    lines = [line for page in folder.glob(pattern) for line in page.read_bytes().splitlines()]
    return Counter(orjson.dumps(tick) for line in lines for tick in orjson.loads(line)["ticks"])


def faults(folder: Path) -> list[Any]:
    return [orjson.loads(line) for line in (folder / "faults.jsonl").read_bytes().splitlines()]


def drawn(count: int) -> Counter[bytes]:
    return Counter(orjson.dumps(orjson.loads(text)) for text in market().take(float("inf"), count).texts)


@pytest.mark.parametrize("kind", LINES)
async def test_each_tick_is_either_received_or_withheld(tmp_path: Path, kind: type[Any]) -> None:
    """However a line ends: what is in its pages has arrived, and the rest of the market is in the withheld pages."""
    settings = {"misbehave": [kind.name], "misbehave_every": 0.2, "ledger": tmp_path}
    async with running(**settings) as (url, simulator, pushing):
        async with following(url) as (got,):
            await until(lambda: simulator.faults.count >= 1 + kind.empty_subscriptions)
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            sent = pages(tmp_path, "connection-*.jsonl")
            await until(lambda: got.total() >= sent.total())
        assert got == sent
        withheld = pages(tmp_path, "withheld-*.jsonl")
        market = drawn(simulator.counts.ticks)
        assert set(sent + withheld) == set(market)
        assert (sent + withheld == market) is not kind.cached_first
        assert sent + withheld >= market
    first, *more = faults(tmp_path)
    assert [fault["connection"] for fault in more][: kind.empty_subscriptions] == (
        [f"connection-{number + 2:04d}" for number in range(kind.empty_subscriptions)]
    )
    assert (first["kind"], first["connection"], first["codes"]) == (kind.name, "connection-0001", "all")
    assert first["loses_ticks"]
    assert first["at"] < first["ended"]
    mine = pages(tmp_path, "withheld-connection-0001.jsonl").total()
    assert (first["from"], first["to"]) == (0, mine)
    finished = orjson.loads((tmp_path / "finished.json").read_bytes())
    assert finished["ticks"] == sent.total()
    assert finished["withheld"] == withheld.total()


async def test_of_two_lines_one_always_lives(tmp_path: Path) -> None:
    """Each is reset in turn, and together they have every tick; the faults name the connections."""
    async with running(kill_line_every=0.3, ledger=tmp_path) as (url, simulator, pushing):
        async with following(url, 2) as (first, second):
            await until(lambda: simulator.faults.count >= 4)
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await asyncio.sleep(0.2)
        both = first | second
        assert {fault["kind"] for fault in faults(tmp_path)} == {"kill"}
        assert len({fault["connection"] for fault in faults(tmp_path)}) >= 4
        assert both == drawn(simulator.counts.ticks) == pages(tmp_path, "market.jsonl")


async def test_the_market_s_page_has_what_nobody_was_sent(tmp_path: Path) -> None:
    """Asked for, it is the whole market, though the only connection has one code of it; the post's quick way too."""
    async with running(ledger=tmp_path, market_page=True) as (url, simulator, pushing), dial(url) as connection:
        await connection.send('{"action":"subscribe","symbols":"600519"}')
        await until(lambda: simulator.counts.by_connection["connection-0001"] >= 5)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        whole, sent = pages(tmp_path, "market.jsonl"), pages(tmp_path, "connection-*.jsonl")
        assert whole == drawn(simulator.counts.ticks)
        assert sent
        assert sent < whole


async def test_what_is_not_json_comes_first_and_heartbeats_stay_without_answer() -> None:
    """A greeting in words; the market goes on whether or not a ping is answered."""
    settings = {"misbehave": ["greeting", "heartbeat-without-reply"]}
    async with running(**settings) as (url, _, _), dial(url) as connection:
        assert await connection.recv() == Greeting.sentence
        await connection.send('{"action":"ping"}')
        await connection.send(ALL)
        assert orjson.loads(await connection.recv())["type"] == "subscribed"
        for _ in range(20):
            assert "ticks" in orjson.loads(await connection.recv())


async def test_every_token_can_be_refused() -> None:
    """In the provider's own way: HTTP 401, or words and a close."""
    async with running(misbehave=["refused-token"], token="t") as (url, _, _):
        with pytest.raises(InvalidStatus):
            await dial(f"{url}/?token=t")
    async with running(misbehave=["refused-token"], feed="alltick", token="t") as (url, _, _):
        connection = await dial(f"{url}/?token=t")
        assert orjson.loads(await connection.recv())["ret"] == 401
        with pytest.raises(ConnectionClosed):
            await connection.recv()


def alltick(codes: list[str]) -> str:
    return orjson.dumps({"cmd_id": 22004, "data": {"symbol_list": [{"code": code} for code in codes]}}).decode()


async def test_a_limit_of_codes_can_be_lowered() -> None:
    """AllTick cuts off in silence."""
    async with running(feed="alltick", misbehave=["too-many-codes"]) as (url, simulator, _), dial(url) as connection:
        codes = [listing.code for listing in universe(100, 5)]
        await connection.send(alltick([suffixed(code) for code in codes]))
        assert orjson.loads(await connection.recv())["ret"] == 200
        (client,) = simulator.clients.values()
        assert client.session.subscription.codes == frozenset(codes[:20])


async def opened(url: str, feed: str) -> ClientConnection:
    connection = await dial(url)
    if feed == "itick":
        assert [orjson.loads(await connection.recv())["code"] for _ in range(2)] == [1, 1]
    return connection


async def test_connections_of_a_token_are_counted() -> None:
    """AllTick drops the new one, iTick the old one; another token's are counted apart."""
    for feed, closed, open_ in (("alltick", 1, 0), ("itick", 0, 1)):
        async with running(feed=feed, connections=1) as (url, _, _):
            pair = [await opened(f"{url}/?token=t", feed) for _ in range(2)]
            other = await opened(f"{url}/?token=u", feed)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await asyncio.wait_for(pair[closed].recv(), 5)
            assert pair[closed].close_code is not None
            for connection in (pair[open_], other):
                await (await connection.ping())
                await connection.close()


async def test_rules_that_a_client_breaks_are_faults_too(tmp_path: Path) -> None:
    """606 and a close; what it does not get from then on is withheld."""
    async with running(feed="alltick", ledger=tmp_path) as (url, simulator, pushing), dial(url) as connection:
        await connection.send(alltick(["600519.SH"]))
        assert orjson.loads(await connection.recv())["ret"] == 200
        await connection.send(alltick(["600519.SH"]))
        with contextlib.suppress(ConnectionClosed):
            while True:
                assert orjson.loads(await connection.recv()).get("ret", 606) == 606
        assert connection.close_code == 1008
        await until(lambda: simulator.faults.withheld > 0)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
    (fault,) = faults(tmp_path)
    assert fault["kind"] == "rules: too many requests and connection will be closed"
    assert (fault["ended"], fault["codes"]) == (None, ["600519"])
    assert fault["to"] > 0


async def test_tickflow_follows_a_subscription_with_what_it_knew(tmp_path: Path) -> None:
    """The last snapshot of a code that has ticked, before any new one; the ledger has it as a tick without a volume."""
    subscription = '{"op":"subscribe","channel":"quotes","symbols":["600519.SH"]}'
    async with running(feed="tickflow", seconds=1.0, ledger=tmp_path) as (url, simulator, pushing):
        first, second = await dial(url), await dial(url)
        await first.send(subscription)
        await until(lambda: simulator.counts.by_connection["connection-0001"] > 0)
        await pushing
        await second.send(subscription)
        assert orjson.loads(await second.recv())["op"] == "subscribed"
        (quote,) = orjson.loads(await second.recv())["data"]
        await asyncio.gather(first.close(), second.close())
    (line,) = (tmp_path / "connection-0002.jsonl").read_bytes().splitlines()
    assert orjson.loads(line)["ticks"] == [
        {"code": "600519", "price": quote["last_price"], "time": quote["timestamp"]}
    ]  # fmt: skip


async def test_frames_in_fragments_and_of_a_mebibyte_arrive_whole(tmp_path: Path) -> None:
    """The client's library puts them together; what arrives is what the ledger has."""
    kinds = ["fragments", "big-frames", "merged-frames", "text-or-number", "cut-frames", "price-zero"]
    settings = {"feed": "alltick", "misbehave": kinds, "misbehave_every": 0.1, "seconds": 1.5, "ledger": tmp_path}
    codes = ["600519.SH", "000001.SZ", "000002.SZ", "300750.SZ", "688981.SH", "600000.SH", "601318.SH", "002594.SZ"]
    sequence: list[tuple[str, int]] = []
    async with running(**settings) as (url, simulator, pushing), dial(url) as connection:
        await connection.send(alltick(codes))
        await pushing
        await (await connection.ping())
        last = simulator.counts.frames
        while last > 0:
            message = await connection.recv(decode=False)
            for text in message.split(b"\n"):
                with contextlib.suppress(orjson.JSONDecodeError):
                    data = orjson.loads(text).get("data", {})
                    if data and float(data["price"]):
                        sequence.append((data["code"][:6], int(data["seq"])))
            last -= b'"ret"' not in message
    kept = [
        (tick["code"], tick["seq"])
        for line in (tmp_path / "connection-0001.jsonl").read_bytes().splitlines()
        for tick in orjson.loads(line)["ticks"]
    ]
    assert sequence == kept
    assert {fault["kind"] for fault in faults(tmp_path)} >= set(kinds[:3])


@pytest.mark.parametrize(("kind", "status"), [("refused-in-session", 401), ("redirect", 302), ("throttle", 429)])
async def test_a_door_is_shut_in_the_kind_s_own_way(kind: str, status: int) -> None:
    """For a while, and to those alone who knock; a redirect names another origin."""
    async with running(misbehave=[kind], misbehave_every=0.1) as (url, _, _pushing), dial(url) as connection:
        await connection.send(ALL)
        with contextlib.suppress(ConnectionClosed):
            async for _message in connection:
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with asyncio.timeout(5):
                await Plain(url, compression=None, proxy=None)
        assert refused.value.response.status_code == status
        assert ("Location" in refused.value.response.headers) is (status == 302)


async def test_a_flood_of_empty_fragments_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message begins and does not end; who takes it all is reset when there was enough."""
    monkeypatch.setattr("simulator.client.FLOOD_BYTES", 1 << 18)
    async with running(misbehave=["empty-fragments"], misbehave_every=0.1) as (url, simulator, _pushing):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        mask, message = b"\x01\x02\x03\x04", ALL.encode()
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(message))
        writer.write(bytes((0x81, 0x80 | len(message))) + mask + masked)
        got = bytearray()
        with contextlib.suppress(ConnectionError):
            while some := await reader.read(1 << 16):
                got += some
                if b"\x89\x04" in got[-64:]:  # it asks whether all before was read
                    writer.write(b"\x8a\x84" + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(got[-4:])))
        assert got.endswith(b"\x00\x00" * 1_000)
        writer.close()
        await until(lambda: not simulator.clients)


async def test_a_close_reason_is_sent_as_it_is() -> None:
    """Escape sequences and a forged line: what a client shows is the client's."""
    async with running(misbehave=["escapes-in-close"], misbehave_every=0.1) as (url, _, _pushing), dial(url) as client:
        await client.send(ALL)
        async with asyncio.timeout(20):
            await client.wait_closed()
        assert client.close_code == 4000
        assert "\x1b[2J" in (client.close_reason or "")
        assert "\r\n" in (client.close_reason or "")

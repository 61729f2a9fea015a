"""The bridge beside the QMT terminal: both shapes of callbacks in, the post's protocol out, without xtquant."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.producer.feeds.genuine import TIME, feed, fields, read, snapshot

SCRIPT = Path(__file__).parents[3] / "examples" / "qmt_bridge" / "qmt_bridge.py"


@pytest.fixture(scope="module")
def bridge() -> ModuleType:
    spec = importlib.util.spec_from_file_location("qmt_bridge", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shape", [lambda tick: tick, lambda tick: [tick]], ids=["a tick", "a list of ticks"])
def test_both_shapes_of_a_callback_are_ticks(bridge: ModuleType, shape: Any) -> None:
    """Whole quotes push a tick a code, single subscriptions a list; volume is lots so far, a tick has shares since."""
    converter = bridge.Converter()
    first = {"code": "600519", "price": 9.87, "time": TIME, "previous_close": 9.75}
    assert converter.ticks({"600519.SH": shape(snapshot())}) == [first]
    later = snapshot(time=TIME + 3000, volume=1203, amount=1_187_361.0, pvolume=120_300)
    assert converter.ticks({"600519.SH": shape(later)}) == [
        first | {"time": TIME + 3000, "volume": 300, "turnover": 2961.0}
    ]


@pytest.mark.parametrize(
    "time",
    [
        {"time": TIME},
        {"time": 0, "stime": "20261120093001.123"},
        {"stime": "20261120093001.123"},
        {"timetag": "20261120 09:30:01.123"},
    ],
)
def test_every_builds_time_is_read(bridge: ModuleType, time: dict[str, Any]) -> None:
    """Ms, or one of two texts in Shanghai time."""
    assert bridge.moment(time) == TIME
    assert bridge.moment({"timetag": "20261120 09:30:01"}) == TIME - 123
    assert bridge.moment({"timetag": "20261320 09:30:01"}) is None
    assert bridge.moment({}) is None


def test_repeats_late_pushes_and_resets_spoil_no_difference(bridge: ModuleType) -> None:
    """As in the adapters of cumulative feeds."""
    converter = bridge.Converter()

    def volume(**data: Any) -> Any:
        return [tick.get("volume") for tick in converter.ticks({"600519.SH": snapshot(**data)})]

    assert volume() == [None]
    assert volume() == []
    assert volume(time=TIME - 3000, volume=1100) == [None]
    assert volume(time=TIME + 3000, volume=1201) == [100]
    assert volume(time=TIME + 6000, volume=5) == [None]
    assert volume(time=TIME + 9000, volume=6) == [100]
    assert volume(time=TIME + 86_400_000, volume=9) == [None]


def test_phantoms_suspended_stocks_and_other_kinds_are_no_ticks(bridge: ModuleType) -> None:
    """26,700 instruments of a market are mostly none; a price of 0 is none; what can't be read is counted."""
    pushed = {code: snapshot() for code in ("999999.SH", "000001.SH", "510300.SH", "600519.HK", "60051.SH", "x")}
    assert bridge.Converter().ticks(pushed) == []
    assert [tick["code"] for tick in bridge.Converter(everything=True).ticks(pushed)] == [
        *("999999.SSE", "000001.SSE", "510300.SSE")
    ]
    converter = bridge.Converter()
    bad = {
        "600519.SH": [
            *(snapshot(lastPrice=0), snapshot(lastPrice=None), {"lastPrice": 1}, "x", snapshot(lastPrice=-1)),
            *(snapshot(time=2**64), snapshot(time=float("nan")), snapshot(time=True)),
        ]
    }
    assert converter.ticks(bad) == []
    assert converter.unread == 7


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["600519.SH", "000001.SZ", "920819.BJ"]),
        st.lists(
            st.dictionaries(
                st.sampled_from(["time", "stime", "lastPrice", "volume", "amount", "lastClose"]),
                st.none() | st.integers() | st.floats() | st.text(max_size=20),
            ),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_whatever_a_terminal_pushes_becomes_readable_json(bridge: ModuleType, pushed: Any) -> None:
    """No exception in the terminal's thread; NaN and infinities never reach the socket."""
    frame = orjson.dumps({"ticks": bridge.Converter().ticks(pushed)})
    assert b"null" not in frame


async def test_a_client_is_pushed_what_it_subscribed(bridge: ModuleType) -> None:
    """Over a real socket: token, array, comma string, wildcard, ping; callbacks come from another thread."""
    relay = bridge.Relay(bridge.Converter(), asyncio.get_running_loop(), "s3cret")
    async with serve(relay.serve, "127.0.0.1", 0, process_request=relay.admit) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(InvalidStatus, match="401"):
            await connect(url, proxy=None)
        live = feed("post", as_string=True)
        async with connect(live.address(url, "s3cret", None), proxy=None) as client:
            await client.send(live.subscribe(["600519"])[0])
            (answer,) = read(live, await client.recv()).answers
            assert (answer.kind, answer.codes) == ("subscribed", ("600519",))
            pushed = {"600519.SH": snapshot(), "000001.SZ": [snapshot()]}
            await asyncio.to_thread(relay.take, pushed)
            assert [tick["code"] for tick in fields(read(live, await client.recv()))] == ["600519"]
            await client.send(live.unsubscribe(["600519"])[0])
            await client.recv()
            await client.send(feed("post").subscribe(None)[0])
            await client.recv()
            later = {code: snapshot(time=TIME + 3000, volume=1201) for code in ("600519.SH", "000001.SZ")}
            await asyncio.to_thread(relay.take, later)
            ticks = fields(read(live, await client.recv()))
            assert [(tick["code"], tick["volume"]) for tick in ticks] == [("600519", 100), ("000001", 100)]
            await client.send('{"action":"ping"}')
            assert read(live, await client.recv()).answers[0].kind == "pong"
            for wrong in ("x", '{"action":"buy"}', '{"action":"subscribe","symbols":[]}'):
                await client.send(wrong)
                assert read(live, await client.recv()).answers[0].kind == "refused"


async def _to_the_end(client: ClientConnection) -> None:
    while True:
        await client.recv()


async def test_a_client_that_is_behind_is_closed(bridge: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close code 1013: it comes back, and announces the gap; nothing is dropped silently."""
    monkeypatch.setattr(bridge, "FRAMES_HELD", 2)
    monkeypatch.setattr(bridge, "TICKS_A_FRAME", 1)
    relay = bridge.Relay(bridge.Converter(), asyncio.get_running_loop())
    async with serve(relay.serve, "127.0.0.1", 0, process_request=relay.admit) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with connect(url, proxy=None) as client:
            await client.send('{"action":"subscribe","symbols":"*"}')
            await client.recv()
            thread = threading.Thread(target=relay.take, args=({f"600{i:03}.SH": snapshot() for i in range(50)},))
            thread.start()
            with pytest.raises(ConnectionClosed) as closed:
                await _to_the_end(client)
            thread.join()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "no xtquant here"), (["--host", "0.0.0.0"], "lets other machines in: give --token")]
)
def test_a_start_that_can_not_work_says_what_to_do(arguments: list[str], said: str) -> None:
    """Without the terminal's library; open to a network without a token."""
    ended = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert said in ended.stderr

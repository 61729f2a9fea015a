"""XTick's server side."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Handshake, Terms
from simulator.feeds.xtick import XTickSession
from simulator.misbehaviour.frames import unpacked

Read = Callable[..., list[Print]]


def session(*names: str, token: str | None = None, **terms: Any) -> XTickSession:
    asked = orjson.dumps({"token": "t", "authCodes": names}).decode()
    return XTickSession(Terms(token, **terms), Handshake(f"/ws/{quote(asked)}"), 0.0)


def test_the_address_subscribes_exchanges_and_codes(tape: Read) -> None:
    """Nothing is said on the socket."""
    prints = tape({}, {"code": "000001"}, {"code": "920819"})
    assert [one.code for one in session("tick.SH.1", "tick.BJ.1").select(prints)] == ["600519", "920819"]
    assert [one.code for one in session("000001.SZ").select(prints)] == ["000001"]
    assert session("tick.SH.1").receive("hello", 1.0).frames == []


@pytest.mark.parametrize(
    "one",
    [
        session(),
        session("tick.SH.10"),
        session("tick.SH.1", token="other"),
        session("600519.SH", knows=lambda _: False),
        session(*(f"60{n:04d}.SH" for n in range(51))),
        XTickSession(Terms(), Handshake("/ws/%7Bnonsense"), 0.0),
    ],
)
def test_a_bad_token_class_or_code_is_an_immediate_close(one: XTickSession) -> None:
    """Without a word."""
    reply = one.greet()
    assert reply.frames == []
    assert reply.close is not None
    assert not one.subscription


def test_packets_are_numbered_by_class_and_hold_a_code_once(tape: Read) -> None:
    """Zipped maps by code; a second tick of a code has a packet of its own; volume is the day's, in lots."""
    one = session("tick.SH.1", "tick.SZ.1")
    sent = one.encode(tape({}, {"code": "000001"}, {"volume": 200}, {"code": "600000"}))
    assert all(frame.binary and frame.payload.startswith(b"\x1f\x8b") for frame in sent)
    packets = [orjson.loads(gzip.decompress(frame.payload)) for frame in sent]
    assert [(packet["authCode"], packet["seqNo"], list(packet["data"])) for packet in packets] == [
        ("tick.SH.1", 1, ["600519.SH"]),
        ("tick.SH.1", 2, ["600519.SH", "600000.SH"]),
        ("tick.SZ.1", 1, ["000001.SZ"]),
    ]
    tick = packets[1]["data"]["600519.SH"]
    assert (tick["volume"], tick["lastPrice"], tick["lastClose"]) == (5, 1690.01, 1680.0)
    assert sent[1].ticks[0] == {
        "code": "600519", "price": 1690.01, "time": 1795150800002, "volume": 200, "turnover": 338002.0,
        "previous_close": 1680.0,
    }  # fmt: skip


def test_all_shapes_hold_the_same(tape: Read) -> None:
    """GZIP, ZIP and not packed at all."""
    starts = []
    for shape in range(3):
        one = session("600519.SH")
        one.form = Form(shape=shape)
        (sent,) = one.encode(tape({}))
        starts.append(sent.payload[:2])
        assert orjson.loads(unpacked(sent.payload))["authCode"] == "600519.SH"
    assert starts == [b"\x1f\x8b", b"PK", b'{"']

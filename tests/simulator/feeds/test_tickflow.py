"""TickFlow's server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Handshake, Terms
from simulator.feeds.tickflow import TICKFLOW, TickFlowSession

Read = Callable[..., list[Print]]


def session() -> TickFlowSession:
    return TickFlowSession(Terms(), Handshake("/v1/ws/stream?api_key=k"), 0.0)


def answer(of: TickFlowSession, message: dict[str, Any]) -> Any:
    (frame,) = of.receive(orjson.dumps(message), 1.0).frames
    return orjson.loads(frame)


def subscribe(*codes: str) -> dict[str, Any]:
    return {"op": "subscribe", "channel": "quotes", "symbols": list(codes)}


def test_answers_list_the_whole_set_and_subscriptions_add() -> None:
    """``total`` counts what the connection has."""
    one = session()
    answer(one, subscribe("600519.SH"))
    assert answer(one, subscribe("000001.SZ")) == {
        "op": "subscribed", "symbols": ["000001.SZ", "600519.SH"], "total": 2,
    }  # fmt: skip
    gone = answer(one, subscribe("600519.SH") | {"op": "unsubscribe"})
    assert gone == {"op": "unsubscribed", "symbols": ["000001.SZ"], "total": 1}


def test_another_channel_is_an_error_without_an_end() -> None:
    """As for the depth, which is not in every plan."""
    reply = session().receive(orjson.dumps(subscribe("600519.SH") | {"channel": "depth"}), 1.0)
    assert orjson.loads(reply.frames[0]) == {"op": "error", "message": "no permission for channel: depth"}
    assert reply.close is None
    assert answer(session(), {"op": "buy"})["op"] == "error"


def test_a_wrong_key_is_http_401() -> None:
    """At the handshake."""
    refusal = TICKFLOW.admit(Terms("k"), Handshake("/?api_key=wrong"))
    assert refusal is not None
    assert refusal.status == 401
    assert TICKFLOW.admit(Terms("k"), Handshake("/?api_key=k")) is None


def test_volumes_are_the_days_lots_and_the_ledger_has_the_differences(tape: Read) -> None:
    """A code's first push on a connection has no volume; a snapshot that comes again is not a tick."""
    one = session()
    prints = tape({}, {"volume": 500}, {"volume": 0, "time": 1795150800001, "side": None})
    sent = one.encode(prints)
    data = [quote for frame in sent for quote in orjson.loads(frame.payload)["data"]]
    assert [quote["volume"] for quote in data] == [3, 8, 8]
    assert data[1]["amount"] == 1690.01 * 300 + 1690.01 * 500
    assert [tick for frame in sent for tick in frame.ticks] == [
        {"code": "600519", "price": 1690.01, "time": 1795150800000},
        {"code": "600519", "price": 1690.01, "time": 1795150800001, "volume": 500, "turnover": 845005.0},
    ]
    (again,) = one.encode(prints[1:2])
    assert again.ticks == []
    (late,) = one.encode(prints[:1])
    assert late.ticks == [{"code": "600519", "price": 1690.01, "time": 1795150800000}]
    assert "volume" not in session().encode(prints[1:2])[0].ticks[0]


def test_one_object_may_stand_for_the_array(tape: Read) -> None:
    """Each tick then has a frame of its own."""
    one = session()
    one.form = Form(shape=1)
    first, second = one.encode(tape({}, {}))
    assert isinstance(orjson.loads(first.payload)["data"], dict)
    assert len(second.ticks) == 1

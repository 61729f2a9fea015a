"""Massive's server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.feeds.massive import MassiveSession
from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Handshake, Terms

Read = Callable[..., list[Print]]


def session(token: str | None = None) -> MassiveSession:
    return MassiveSession(Terms(token), Handshake("/stocks"), 0.0)


def statuses(of: MassiveSession, action: str, params: str) -> list[str]:
    reply = of.receive(orjson.dumps({"action": action, "params": params}), 1.0)
    return [event["status"] for frame in reply.frames for event in orjson.loads(frame)]


def test_authentication_is_the_first_frame() -> None:
    """Nothing can be subscribed before it, and a wrong key is the end."""
    one = session("key")
    assert orjson.loads(one.greet().frames[0])[0]["status"] == "connected"
    assert statuses(one, "subscribe", "T.*") == ["auth_required"]
    assert statuses(one, "auth", "key") == ["auth_success"]
    assert one.account == "key"
    assert session("key").receive(b'{"action":"auth","params":"other"}', 1.0).close is not None


def test_tickers_and_the_wildcard() -> None:
    """One status a channel; subscriptions add up."""
    one = session()
    statuses(one, "auth", "k")
    assert statuses(one, "subscribe", "T.GAAFBJ,T.AAAAAB") == ["success", "success"]
    assert one.subscription.codes == frozenset({"600519", "000001"})
    statuses(one, "unsubscribe", "T.AAAAAB")
    assert one.subscription.codes == frozenset({"600519"})
    statuses(one, "subscribe", "T.*")
    assert one.subscription.codes is None
    assert statuses(one, "subscribe", "Q.*") == ["not_found"]
    assert statuses(one, "unsubscribe", "T.*") == ["success"]
    assert not one.subscription


def test_trades_come_in_arrays_now_and_then_with_a_status(tape: Read) -> None:
    """``q`` rises by ticker, with holes; ``i`` names the trade."""
    one = session()
    (sent,) = one.encode(tape({}, {}))
    events: Any = orjson.loads(sent.payload)
    assert [(e["ev"], e["sym"], e["p"], e["s"], e["q"], e["i"]) for e in events] == [
        ("T", "GAAFBJ", 1690.01, 300, 3, "1"),
        ("T", "GAAFBJ", 1690.01, 300, 6, "2"),
    ]
    assert sent.ticks[0] == {"code": "GAAFBJ.US", "price": 1690.01, "time": 1795150800000, "volume": 300, "seq": 3}
    one.form = Form(shape=1)
    assert [e["ev"] for e in orjson.loads(one.encode(tape({}))[0].payload)] == ["status", "T"]

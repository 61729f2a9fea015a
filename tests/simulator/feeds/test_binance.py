"""Binance's server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.feeds.binance import BinanceSession
from simulator.feeds.prints import Print
from simulator.feeds.provider import Handshake, Terms

Read = Callable[..., list[Print]]


def session(path: str = "/ws/!miniTicker@arr") -> BinanceSession:
    return BinanceSession(Terms(), Handshake(path), 0.0)


def answer(of: BinanceSession, method: str, params: object) -> Any:
    (frame,) = of.receive(orjson.dumps({"method": method, "params": params, "id": 1}), 1.0).frames
    return orjson.loads(frame)


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("/ws/!miniTicker@arr", None),
        ("/ws/gaafbjusdt@miniTicker", frozenset({"600519"})),
        ("/ws/gaafbjusdt@miniTicker/aaaaabusdt@miniTicker", frozenset({"600519", "000001"})),
        ("/stream?streams=gaafbjusdt@miniTicker/aaaaabusdt@miniTicker", frozenset({"600519", "000001"})),
        ("/ws", frozenset()),
    ],
)
def test_streams_are_in_the_address(path: str, codes: frozenset[str] | None) -> None:
    """Raw or combined."""
    assert session(path).subscription.codes == codes


def test_streams_can_be_subscribed_by_message() -> None:
    """``result`` null; the list is told on request; nonsense is an error."""
    one = session("/ws")
    assert answer(one, "SUBSCRIBE", ["gaafbjusdt@miniTicker"]) == {"result": None, "id": 1}
    assert one.subscription.codes == frozenset({"600519"})
    assert answer(one, "LIST_SUBSCRIPTIONS", None)["result"] == ["gaafbjusdt@miniTicker"]
    answer(one, "UNSUBSCRIBE", ["gaafbjusdt@miniTicker"])
    assert not one.subscription
    assert "error" in answer(one, "SUBSCRIBE", "text")


def test_the_sixth_message_of_a_second_is_the_end() -> None:
    """Five are taken."""
    one = session()
    message = b'{"method":"LIST_SUBSCRIPTIONS","id":1}'
    assert all(one.receive(message, 1.0).close is None for _ in range(5))
    assert one.receive(message, 1.9).close is not None


def test_arrays_objects_and_wrappers_hold_text(tape: Read) -> None:
    """A symbol stands once in an array; a combined address wraps."""
    prints = tape({}, {"volume": 200}, {"code": "000001"})
    first, second = session().encode(prints)
    (ticker,) = orjson.loads(first.payload)
    assert ticker == {
        "e": "24hrMiniTicker", "E": 1795150800000, "s": "GAAFBJUSDT", "c": "1690.01", "o": "1690.01", "h": "1690.01",
        "l": "1690.01", "v": "300", "q": "507003",
    }  # fmt: skip
    assert [event["s"] for event in orjson.loads(second.payload)] == ["GAAFBJUSDT", "AAAAABUSDT"]
    assert second.ticks[0] == {"code": "GAAFBJUSDT.BINANCE", "price": 1690.01, "time": 1795150800001}
    wrapped = session("/stream?streams=gaafbjusdt@miniTicker").encode(prints[:1])[0]
    assert orjson.loads(wrapped.payload) == {"stream": "gaafbjusdt@miniTicker", "data": ticker}
    assert orjson.loads(session("/ws/gaafbjusdt@miniTicker").encode(prints[:1])[0].payload) == ticker

"""iTick's server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.feeds.itick import ITICK, ITickSession
from simulator.feeds.prints import Print
from simulator.feeds.provider import Handshake, Terms

Read = Callable[..., list[Print]]


def session(token: str | None = None, **headers: str) -> ITickSession:
    return ITickSession(Terms(token), Handshake("/stock", tuple(headers.items())), 0.0)


def answers(of: ITickSession, message: dict[str, Any]) -> list[Any]:
    return [orjson.loads(frame) for frame in of.receive(orjson.dumps(message), 1.0).frames]


def test_the_token_is_a_header_or_in_the_query_and_a_wrong_one_closes() -> None:
    """Connected, authenticated; or the failure and the end."""
    assert [orjson.loads(frame)["msg"] for frame in session("t", Token="t").greet().frames] == [
        "Connected Successfully",
        "authenticated",
    ]
    assert ITickSession(Terms("t"), Handshake("/stock?token=t"), 0.0).greet().close is None
    reply = session("t").greet()
    assert orjson.loads(reply.frames[0]) == {"code": 0, "resAc": "auth", "msg": "auth failed"}
    assert reply.close is not None
    assert (ITICK.connections, ITICK.when_full) == (1, "oldest closed")


def test_subscriptions_add_up_by_comma_string() -> None:
    """``600519$SH`` and plain forms; ``code`` 1 is success."""
    one = session()
    assert answers(one, {"ac": "subscribe", "params": "600519$SH,000001$SZ", "types": "tick"})[0]["code"] == 1
    answers(one, {"ac": "subscribe", "params": "600000"})
    assert one.subscription.codes == frozenset({"600519", "000001", "600000"})
    answers(one, {"ac": "unsubscribe", "params": "600519$SH"})
    assert one.subscription.codes == frozenset({"000001", "600000"})


def test_a_message_of_more_than_five_hundred_is_refused() -> None:
    """The documented text; the list stays."""
    one = session()
    codes = ",".join(f"60{n:04d}$SH" for n in range(501))
    assert answers(one, {"ac": "subscribe", "params": codes}) == [
        {"code": 0, "resAc": "subscribe", "msg": "exceeding the maximum subscription limit"}
    ]
    assert not one.subscription


def test_a_ping_is_answered_with_its_params_and_nonsense_with_an_error() -> None:
    """``resAc`` pong; ``code`` 0."""
    one = session()
    assert answers(one, {"ac": "ping", "params": "1731688569840"})[0] == {
        "code": 1,
        "resAc": "pong",
        "data": {"params": "1731688569840"},
    }
    assert answers(one, {"ac": "buy"})[0]["code"] == 0
    assert orjson.loads(one.receive(b"{", 1.0).frames[0])["code"] == 0


def test_side_one_is_sell_and_there_is_no_turnover(tape: Read) -> None:
    """The opposite of AllTick's."""
    sell, buy = session().encode(tape({"side": "sell"}, {}))
    data = orjson.loads(sell.payload)["data"]
    assert data == {
        "s": "600519$SH", "ld": 1690.01, "t": 1795150800000, "v": 300, "d": 1, "te": 0, "type": "tick",
    }  # fmt: skip
    assert orjson.loads(buy.payload)["data"]["d"] == 2
    assert sell.ticks == [
        {"code": "600519", "price": 1690.01, "time": 1795150800000, "volume": 300, "side": "sell"}
    ]  # fmt: skip

"""AllTick's server side, against what the vendor documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.feeds.alltick import ALLTICK, AllTickSession
from simulator.feeds.forms import suffixed
from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Handshake, Reply, Terms

Read = Callable[..., list[Print]]
CODES = [f"{prefix}{n:03d}" for prefix in ("600", "601", "603", "000") for n in range(800)]


def session(token: str | None = None, path: str = "/quote-stock-b-ws-api?token=t", **terms: Any) -> AllTickSession:
    return AllTickSession(Terms(token, **terms), Handshake(path), 0.0)


def request(command: int, data: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps({"cmd_id": command, "seq_id": 7, "trace": "abc", "data": data or {}})


def subscription(codes: list[str]) -> bytes:
    return request(22004, {"symbol_list": [{"code": code} for code in codes]})


def message(reply: Reply) -> Any:
    (frame,) = reply.frames
    return orjson.loads(frame)


def test_a_subscription_replaces_the_one_before_and_is_answered_without_codes() -> None:
    """22005 echoes ``seq_id`` and ``trace``, and its ``data`` is empty."""
    one = session()
    answer = message(one.receive(subscription(["600519.SH", "000001.SZ"]), 1.0))
    assert answer == {"ret": 200, "msg": "ok", "cmd_id": 22005, "seq_id": 7, "trace": "abc", "data": {}}
    assert one.subscription.codes == frozenset({"600519", "000001"})
    one.receive(subscription(["920819.BJ"]), 2.0)
    assert one.subscription.codes == frozenset({"920819"})
    assert message(one.receive(request(22006, {"cancel_type": 2}), 3.0))["cmd_id"] == 22007
    assert not one.subscription


def test_codes_beyond_the_limit_are_cut_off_in_silence() -> None:
    """The first 3,000 of a connection are subscribed, and the answer is the same."""
    one = session()
    assert message(one.receive(subscription([suffixed(code) for code in CODES]), 1.0))["ret"] == 200
    assert one.subscription.codes == frozenset(CODES[:3_000])


def test_a_list_of_nothing_that_exists_is_code_invalid() -> None:
    """600; an unknown code among others is only left out."""
    one = session(knows={"600519"}.__contains__)
    assert message(one.receive(subscription(["AAPL.US"]), 1.0))["ret"] == 600
    assert message(one.receive(subscription(["AAPL.US", "600519.SH"]), 2.0))["ret"] == 200
    assert one.subscription.codes == frozenset({"600519"})


def test_requests_are_a_second_apart_or_the_connection_is_closed() -> None:
    """606 and the end, whatever the request; heartbeats count."""
    one = session()
    assert message(one.receive(request(22000), 1.0))["cmd_id"] == 22001
    assert one.receive(request(22000), 2.0).beat
    reply = one.receive(subscription(["600519.SH"]), 2.5)
    assert (message(reply)["ret"], message(reply)["cmd_id"]) == (606, 0)
    assert reply.close is not None


def test_silence_of_thirty_seconds_is_the_end() -> None:
    """No heartbeat, no connection."""
    one = session()
    one.receive(request(22000), 10.0)
    assert one.watch(40.0).close is None
    assert one.watch(40.1).close is not None


@pytest.mark.parametrize("sent", [b"{", b"[]", b"{}", b'{"cmd_id":"22004"}', b'{"cmd_id":99}', b'{"cmd_id":22004}'])
def test_a_bad_request_gets_an_error_and_changes_nothing(sent: bytes) -> None:
    """201 of the header, 202 of the data."""
    one = session()
    assert message(one.receive(sent, 1.0))["ret"] in {201, 202}
    assert not one.subscription


def test_a_missing_token_is_refused_at_the_handshake_and_a_wrong_one_on_the_socket() -> None:
    """The first without ``cmd_id``, as the vendor's gate does it."""
    terms = Terms("s3cret")
    refusal = ALLTICK.admit(terms, Handshake("/"))
    assert refusal is not None
    assert orjson.loads(refusal.body) == {"msg": "token is required", "ret": 401}
    assert ALLTICK.admit(terms, Handshake("/?token=wrong")) is None
    reply = session("s3cret", "/?token=wrong").greet()
    assert message(reply)["ret"] == 401
    assert reply.close is not None
    assert session("s3cret", "/?token=s3cret").greet() == Reply()


def test_a_push_is_one_object_of_text_lots_and_side_one_for_buy(tape: Read) -> None:
    """Six decimals, ms as text, turnover of price times lots; the ledger has shares and yuan."""
    buy, sell = session().encode(tape({}, {"code": "000001", "price": 9.87, "volume": 1200, "side": "sell"}))
    assert orjson.loads(sell.payload) == {
        "cmd_id": 22998,
        "data": {
            "code": "000001.SZ",
            "seq": "2",
            "tick_time": "1795150800001",
            "price": "9.870000",
            "volume": "12",
            "turnover": "118.440000",
            "trade_direction": 2,
        },
    }
    assert sell.ticks == [
        {"code": "000001", "price": 9.87, "time": 1795150800001, "seq": 2, "volume": 1200, "turnover": 11844.0,
         "side": "sell"}
    ]  # fmt: skip
    assert orjson.loads(buy.payload)["data"]["trade_direction"] == 1


def test_numbers_and_texts_can_be_swapped_and_only_what_traded_is_pushed(tape: Read) -> None:
    """The same trade, its fields of the other type; a quote without a trade is none of AllTick's."""
    one = session()
    one.receive(subscription(["600519.SH"]), 1.0)
    (traded,) = one.select(tape({}, {"volume": 0, "side": None}))
    one.form = Form(swapped=True)
    (sent,) = one.encode([traded])
    data = orjson.loads(sent.payload)["data"]
    assert (data["price"], data["tick_time"], data["volume"], data["trade_direction"]) == (1690.01, traded.time, 3, "1")

"""AllTick, message by message: requests by number, trades one by one, errors that name no request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from producer.feeds.provider import Feed
from schemas import UsageError
from tests.producer.feeds.genuine import TIME, alltick, feed, fields, read

TICK = {
    "code": "600000",
    "exchange": "SSE",
    "price": 9.87,
    "time": TIME,
    "volume": 1200,
    "turnover": 11844.0,
    "side": "buy",
    "seq": 7,
}


@pytest.fixture
def live() -> Feed:
    return feed("alltick")


def test_a_trade_push_is_a_tick_in_shares_and_yuan(live: Feed) -> None:
    """Volume is lots; the feed's turnover is price × lots, and so it is computed from the shares."""
    assert fields(read(live, alltick())) == [TICK]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"seq": 7, "tick_time": TIME, "price": 9.87, "volume": 12, "trade_direction": "1"}, {}),  # numbers, 2026
        ({"seq": "7", "tick_time": str(TIME)}, {}),  # texts, 2024
        ({"seq": ""}, {"seq": None}),
        ({"tick_time": 1795138201}, {"time": 1_795_138_201_000}),  # ten digits are seconds
        ({"tick_time": "1795138201"}, {"time": 1_795_138_201_000}),
        ({"price": "9.870000"}, {"price": 9.87}),  # six decimals
        ({"price": 9.869999885559082}, {"price": 9.87}),  # float noise
        ({"turnover": ""}, {}),  # an empty text, which the vendor admitted
        ({"volume": "", "turnover": ""}, {"volume": None, "turnover": None}),
        ({"volume": "0.07"}, {"volume": 7, "turnover": 69.09}),
        ({"trade_direction": 2}, {"side": "sell"}),
        ({"trade_direction": 0}, {"side": None}),
        ({"code": "000001.SZ"}, {"code": "000001", "exchange": "SZSE"}),
        ({"code": "920819.BJ"}, {"code": "920819", "exchange": "BSE"}),
        ({"code": "SH600000"}, {}),
    ],
)
def test_every_form_of_a_field_is_read(live: Feed, data: dict[str, Any], expected: dict[str, Any]) -> None:
    """Text or number for the same field; s or ms by the digits; empty is null."""
    wanted = {name: value for name, value in (TICK | expected).items() if value is not None}
    assert fields(read(live, alltick(**data))) == [wanted]


@pytest.mark.parametrize("price", ["0", "0.000000", 0, 0.0])
def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed, price: Any) -> None:
    """Suspended, or before the first trade of the auction."""
    decoded = read(live, alltick(price=price))
    assert (decoded.ticks, decoded.letters, decoded.unpriced) == ([], [], 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"price": "-1"}, "price: -1"),
        ({"price": "abc"}, "price: 'abc'"),
        ({"price": None}, "price"),
        ({"tick_time": "noon"}, "time: "),
        ({"code": "999999.SH"}, "code: 999999"),
        ({"code": "900901.SH"}, "--foreign"),
        ({"code": 600000}, "code"),
    ],
)
def test_a_bad_trade_is_a_dead_letter_that_names_the_field(live: Feed, data: dict[str, Any], reason: str) -> None:
    """The frame, byte for byte."""
    payload = orjson.dumps(alltick(**data))
    (letter,) = read(live, payload).letters
    assert letter.payload == payload
    assert reason in letter.reason


def test_the_vendors_own_invalid_json_is_a_dead_letter_and_the_next_frame_is_read(live: Feed) -> None:
    """A trailing comma, as in the documentation's example."""
    payload = b'{"cmd_id":22998,"data":{"code":"600000.SH","seq":"7","tick_time":"1790000000123","price":"9.87",}}'
    (letter,) = read(live, payload).letters
    assert letter.payload == payload
    assert "not JSON" in letter.reason
    assert fields(read(live, alltick())) == [TICK]


def test_an_exact_repeat_is_dropped_and_equal_trades_are_not(live: Feed) -> None:
    """A number tells a copy. Trades of one ms, price and volume with numbers of their own are all genuine."""
    several = [read(live, alltick(seq=number)) for number in ("7", "9", "7", "9", "11")]
    assert [len(decoded.ticks) for decoded in several] == [1, 1, 0, 0, 1]
    assert [decoded.repeats for decoded in several] == [0, 0, 1, 1, 0]


def test_a_lower_number_is_a_new_count_and_no_old_tick(live: Feed) -> None:
    """The counter began anew: same number, another time. Another code's numbers are its own."""
    assert read(live, alltick(seq="7")).ticks
    assert read(live, alltick(seq="7", tick_time=TIME + 3000)).ticks
    assert read(live, alltick(seq="3", tick_time=TIME + 6000)).ticks
    assert read(live, alltick(seq="7", code="600519.SH")).ticks


def test_a_new_connection_remembers_no_numbers(live: Feed) -> None:
    """Whether they go on is not documented, so nothing is taken for a repeat."""
    assert read(live, alltick()).ticks
    live.reset()
    assert read(live, alltick()).ticks


@pytest.mark.parametrize(
    ("message", "kind", "wait"),
    [
        ({"ret": 200, "msg": "ok", "cmd_id": 22001, "seq_id": 1, "trace": "a", "data": {}}, "pong", None),
        ({"ret": 200, "msg": "ok", "cmd_id": 22005, "seq_id": 1, "trace": "a", "data": {}}, "subscribed", None),
        ({"ret": 200, "msg": "ok", "cmd_id": 22003, "seq_id": 1, "trace": "a", "data": {}}, "other", None),
        ({"ret": 200, "msg": "ok", "cmd_id": 22007, "seq_id": 1, "trace": "a", "data": {}}, "other", None),
        ({"msg": "token is required", "ret": 401}, "unauthorised", None),  # without cmd_id: the gate's own
        ({"ret": 401, "msg": "token invalid", "cmd_id": 0, "seq_id": 0, "trace": "", "data": {}}, "unauthorised", None),
        ({"ret": 400, "msg": "request header param invalid", "cmd_id": 0, "seq_id": 0, "trace": ""}, "refused", None),
        ({"ret": 201, "msg": "request header param invalid", "cmd_id": 0}, "refused", None),
        ({"ret": 202, "msg": "request data param invalid", "cmd_id": 22005}, "refused", None),
        ({"ret": 600, "msg": "code invalid", "cmd_id": 22005}, "refused", None),
        ({"ret": 603, "msg": "token level not enough", "cmd_id": 0}, "refused", None),
        ({"ret": 604, "msg": "code unauthorized", "cmd_id": 0}, "refused", None),
        ({"ret": 429, "msg": "rate limit", "cmd_id": 0}, "throttled", 60.0),
        ({"ret": 605, "msg": "too many requests", "cmd_id": 0}, "throttled", 60.0),
        ({"ret": 606, "msg": "too many requests and connection will be closed", "cmd_id": 0}, "throttled", 3.0),
        ({"cmd_id": 22999, "data": {"code": "600000.SH", "bids": [], "asks": []}}, "other", None),  # a book, one side 0
    ],
)
def test_an_answer_is_told_by_its_number(live: Feed, message: Any, kind: str, wait: float | None) -> None:
    """Acknowledgements say nothing of codes; errors without a number of a request belong to the one outstanding."""
    decoded = read(live, message)
    assert not decoded.letters
    (answer,) = decoded.answers
    assert (answer.kind, answer.wait, answer.codes) == (kind, wait, None)


@pytest.mark.parametrize("payload", ['{"data":{}}', "[]", "7", '{"cmd_id":"x"}'])
def test_what_is_no_message_is_a_dead_letter(live: Feed, payload: str) -> None:
    """JSON without command or status."""
    (letter,) = read(live, payload).letters
    assert letter.part == "frame"


def test_requests_are_text_with_the_documented_numbers(live: Feed) -> None:
    """Heartbeat 22000 is a JSON text; 22004 is the whole list, in the vendor's forms; 22006 ends it."""
    heartbeat, (request,), (end,) = live.heartbeat(), live.subscribe(["600519", "000001", "920819"]), live.subscribe([])
    assert isinstance(heartbeat, str)
    beat, asked, ended = orjson.loads(heartbeat), orjson.loads(request), orjson.loads(end)
    assert (beat["cmd_id"], beat["data"]) == (22000, {})
    assert asked["cmd_id"] == 22004
    assert asked["data"] == {"symbol_list": [{"code": "600519.SH"}, {"code": "000001.SZ"}, {"code": "920819.BJ"}]}
    assert (ended["cmd_id"], ended["data"]) == (22006, {"cancel_type": 2})
    assert len({one["seq_id"] for one in (beat, asked, ended)}) == 3
    assert all(len(one["trace"]) <= 64 for one in (beat, asked, ended))
    assert not live.unsubscribe(["600519"])


def test_no_list_is_sent_that_the_server_would_cut_off(live: Feed) -> None:
    """Above 3,000 the first are taken and the answer is the same, so it is an error here."""
    codes = [f"{prefix}{i:03}" for prefix in ("600", "601", "603", "605") for i in range(1_000)][:3_001]
    assert len(orjson.loads(live.subscribe(codes[:3_000])[0])["data"]["symbol_list"]) == 3_000
    with pytest.raises(UsageError, match="3,000 codes a connection, not 3,001: give more --lines"):
        live.subscribe(codes)

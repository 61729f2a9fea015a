"""Infoway, message by message: a sentence first, numbers for everything, heartbeats that nobody answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from producer.feeds.provider import Feed
from tests.producer.feeds.genuine import TIME, feed, fields, infoway, read

TICK = {
    "code": "600519",
    "exchange": "SSE",
    "price": 1700.01,
    "time": TIME,
    "volume": 300,
    "turnover": 510003.0,
    "side": "buy",
}


@pytest.fixture
def live() -> Feed:
    return feed("infoway")


def test_a_trade_push_is_a_tick(live: Feed) -> None:
    """Price, volume and turnover are texts, time is ms, 1 is buy."""
    assert fields(read(live, infoway())) == [TICK]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"p": 1700.01, "v": 300, "vw": 510003, "t": str(TIME), "td": "1"}, {}),
        ({"t": "1795138201"}, {"time": 1_795_138_201_000}),  # seconds as text, as in bars
        ({"v": "", "vw": ""}, {"volume": None, "turnover": None}),
        ({"td": 0}, {"side": None}),
        ({"s": "000001.SZ"}, {"code": "000001", "exchange": "SZSE"}),
    ],
)
def test_every_form_of_a_field_is_read(live: Feed, data: dict[str, Any], expected: dict[str, Any]) -> None:
    """Text or number for the same field, ms or s, empty is null."""
    wanted = {name: value for name, value in (TICK | expected).items() if value is not None}
    assert fields(read(live, infoway(**data))) == [wanted]


def test_the_greeting_is_a_sentence_and_then_json(live: Feed) -> None:
    """Non-JSON greeting: noted, and the connection goes on."""
    first, second = read(live, "Welcome to the stock service."), read(live, {"code": 200, "msg": "ok"})
    assert [a.kind for decoded in (first, second) for a in decoded.answers] == ["other", "other"]
    assert not first.letters
    assert fields(read(live, infoway())) == [TICK]


@pytest.mark.parametrize(
    ("message", "kind", "wait"),
    [
        ({"code": 10001, "trace": "a", "msg": "ok"}, "subscribed", None),
        ({"code": 11010, "trace": "a", "msg": "ok"}, "other", None),
        ({"code": 401, "msg": "unauthorized"}, "unauthorised", None),
        ({"code": 404, "msg": "not found"}, "refused", None),
        ({"code": 429, "msg": "too many requests"}, "throttled", 60.0),
        ({"code": 501, "msg": "rate"}, "throttled", 60.0),
        ({"code": 505, "msg": "too many symbols"}, "refused", None),
        ({"code": 506, "msg": "code is out of range", "traceId": "a"}, "refused", None),  # traceId instead of trace
        ({"code": 507, "msg": "Param lost", "traceId": ""}, "refused", None),
        ({"code": 513, "msg": "heartbeat timeout"}, "closing", None),
        ({"code": 515, "msg": "not JSON", "traceId": ""}, "refused", None),
        ({"code": 12345, "msg": "?"}, "other", None),
    ],
)
def test_an_answer_is_told_by_its_number(live: Feed, message: Any, kind: str, wait: float | None) -> None:
    """An acknowledgement names no codes, and comes for a wrong market too: only ticks prove a subscription."""
    decoded = read(live, message)
    assert not decoded.letters
    (answer,) = decoded.answers
    assert (answer.kind, answer.wait, answer.codes) == (kind, wait, None)


def test_too_many_connections_is_a_kick_only_after_a_subscription(live: Feed) -> None:
    """Before, the server still counts connections that are dead: to be tried again past its time-out."""
    full = {"code": 427, "msg": "too many connections"}
    (before,) = read(live, full).answers
    assert (before.kind, before.wait) == ("throttled", 60.0)
    read(live, {"code": 10001, "trace": "a", "msg": "ok"})
    assert read(live, full).answers[0].kind == "kicked"
    live.reset()
    assert read(live, full).answers[0].kind == "throttled"


def test_a_bad_trade_is_a_dead_letter_and_a_price_of_0_is_counted(live: Feed) -> None:
    """One names the field, the other is not a tick at all."""
    assert "price: 'x'" in read(live, infoway(p="x")).letters[0].reason
    assert read(live, infoway(p="0")).unpriced == 1
    assert read(live, {"trace": "a"}).letters


def test_requests_are_comma_strings_by_number(live: Feed) -> None:
    """10000 subscribes, 11000 ends it, 10010 is the heartbeat; the key is ``apikey``, beside what the address has."""
    (request,), (end,), beat = live.subscribe(["600519", "000001"]), live.unsubscribe(["000001"]), live.heartbeat()
    assert beat is not None
    asked, ended = orjson.loads(request), orjson.loads(end)
    assert (asked["code"], asked["data"]) == (10000, {"codes": "600519.SH,000001.SZ"})
    assert (ended["code"], ended["data"]) == (11000, {"codes": "000001.SZ"})
    assert orjson.loads(beat)["code"] == 10010
    address = live.address("wss://data.infoway.io/ws?business=stock", "k&y", None)
    assert address == "wss://data.infoway.io/ws?business=stock&apikey=k%26y"


def test_the_messages_of_a_minute_are_limited_with_heartbeats_among_them() -> None:
    """60 a minute, and more is a ban: the declared rate is that of every outbound frame."""
    can = feed("infoway").capabilities
    assert (can.messages, can.messages_seconds, can.heartbeat_reply) == (60, 60.0, False)

"""iTick, message by message: side 1 is sell, codes with a dollar sign, a second login that ends the first."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from producer.feeds.provider import Feed
from tests.producer.feeds.genuine import TIME, alltick, feed, fields, infoway, itick, read

TICK = {"code": "600519", "exchange": "SSE", "price": 1700.01, "time": TIME, "volume": 300, "side": "sell"}


@pytest.fixture
def live() -> Feed:
    return feed("itick", clock=lambda: TIME)


def test_a_tick_push_is_a_tick_without_turnover(live: Feed) -> None:
    """Turnover is not carried for stocks, so it is null."""
    assert fields(read(live, itick())) == [TICK]


def test_sides_are_the_opposite_of_the_others(live: Feed) -> None:
    """1 is sell at iTick, and buy at AllTick and Infoway; 2 the other way round; 0 says nothing."""
    for number, here, there in ((1, "sell", "buy"), (2, "buy", "sell"), (0, None, None), ("2", "buy", "sell")):
        assert read(live, itick(d=number)).ticks[0].side == here
        assert read(feed("alltick"), alltick(trade_direction=number)).ticks[0].side == there
        assert read(feed("infoway"), infoway(td=number)).ticks[0].side == there


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"s": "600519"}, {}),  # whether pushes carry the market is not documented: both
        ({"s": "600519.SH"}, {}),
        ({"s": "000001$SZ"}, {"code": "000001", "exchange": "SZSE"}),
        ({"ld": "1700.01", "t": str(TIME), "v": "300", "d": "1"}, {}),
        ({"ld": 1700.010009765625}, {}),
        ({"v": None, "d": None}, {"volume": None, "side": None}),
    ],
)
def test_every_form_of_a_field_is_read(live: Feed, data: dict[str, Any], expected: dict[str, Any]) -> None:
    """Codes with and without market, text or number for the same field, float noise, null."""
    wanted = {name: value for name, value in (TICK | expected).items() if value is not None}
    assert fields(read(live, itick(**data))) == [wanted]


def test_equal_trades_are_never_dropped(live: Feed) -> None:
    """There is no number: content tells no repeat from a second trade of the same ms."""
    assert sum(len(read(live, itick()).ticks) for _ in range(3)) == 3


def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed) -> None:
    """Suspended."""
    decoded = read(live, itick(ld=0))
    assert (decoded.ticks, decoded.letters, decoded.unpriced) == ([], [], 1)


@pytest.mark.parametrize(("data", "reason"), [({"ld": -1}, "price: -1"), ({"s": "x"}, "code: ")])
def test_a_bad_tick_is_a_dead_letter_that_names_the_field(live: Feed, data: dict[str, Any], reason: str) -> None:
    """The frame, whole."""
    (letter,) = read(live, itick(**data)).letters
    assert reason in letter.reason


def test_a_quote_is_not_taken_for_a_tick(live: Feed) -> None:
    """Its volume is the day's: types are not mixed."""
    bars = {"code": 0, "msg": None, "data": {"s": "600519$SH", "t": 1, "k": {"c": 1700.01, "t": TIME, "v": 28}}}
    for message in (itick(type="quote", v=3_000_000, tu=5e9), itick(type="depth", a=[], b=[]), bars):
        decoded = read(live, message)
        assert not decoded.ticks
        assert [answer.kind for answer in decoded.answers] == ["other"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"code": 1, "msg": "Connected Successfully"}, "other"),
        ({"code": 1, "resAc": "auth", "msg": "authenticated"}, "logged_in"),
        ({"code": 1, "resAc": "subscribe", "msg": "subscribe Successfully"}, "subscribed"),
        ({"code": 1, "resAc": "unsubscribe", "msg": "unsubscribe Successfully"}, "other"),
        ({"code": 1, "resAc": "pong", "data": {"params": "1795138201123"}}, "pong"),
        ({"resAc": "pong", "data": {"params": "1795138201123"}}, "pong"),  # as documented, without code
        ({"code": 0, "resAc": "auth", "msg": "auth failed"}, "unauthorised"),
        ({"code": 0, "resAc": "auth", "msg": "another connection with this token"}, "kicked"),
        ({"code": 0, "resAc": "subscribe", "msg": "exceeding the maximum subscription limit"}, "refused"),
        ({"code": 0, "resAc": "subscribe", "msg": "cannot be resolved action"}, "refused"),
        ({"code": 0, "resAc": "subscribe", "msg": "too many requests"}, "throttled"),
    ],
)
def test_an_answer_is_told_by_its_action(live: Feed, message: Any, kind: str) -> None:
    """``code`` 0 is an error; what it is about decides what follows."""
    decoded = read(live, message)
    assert not decoded.letters
    assert [answer.kind for answer in decoded.answers] == [kind]


def test_the_answer_that_repeats_the_token_is_shown_without_it(live: Feed) -> None:
    """A secret is never printed, whoever sends it back."""
    message = {"code": 1, "resAc": "auth", "msg": "authenticated", "data": {"params": "s3cret"}}
    (answer,) = read(live, message).answers
    assert answer.kind == "logged_in"
    assert "authenticated" in answer.text
    assert "s3cret" not in answer.text


def test_requests_are_comma_strings_with_the_market(live: Feed) -> None:
    """Ticks alone; the ping carries the time in ms; the token is a header."""
    (request,), (end,), beat = live.subscribe(["600519", "000001"]), live.unsubscribe(["600519"]), live.heartbeat()
    assert orjson.loads(request) == {"ac": "subscribe", "params": "600519$SH,000001$SZ", "types": "tick"}
    assert orjson.loads(end) == {"ac": "unsubscribe", "params": "600519$SH", "types": "tick"}
    assert beat is not None
    assert orjson.loads(beat) == {"ac": "ping", "params": str(TIME)}
    assert live.headers("s3cret") == {"token": "s3cret"}

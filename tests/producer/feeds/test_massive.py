"""Massive, message by message: mixed arrays, the token as a frame, instruments that are not A shares."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from market.codes import instrument
from producer.feeds.provider import Feed
from schemas import UsageError
from tests.producer.feeds.genuine import TIME, feed, fields, read, trade

TICK = {"code": "AAPL.US", "exchange": "US", "price": 201.125, "time": TIME, "volume": 100, "seq": 3}


@pytest.fixture
def live() -> Feed:
    return feed("massive")


def status(word: str, message: str = "") -> dict[str, Any]:
    return {"ev": "status", "status": word, "message": message}


def test_a_trade_is_a_tick_under_symbol_and_exchange(live: Feed) -> None:
    """In the one form that the rest of the pipeline reads; sizes are shares, the SIP's time is ms, ``q`` the number."""
    assert fields(read(live, [trade()])) == [TICK]
    assert instrument("AAPL.US").exchange == "US"


def test_control_and_data_come_in_one_array(live: Feed) -> None:
    """Each element for itself, in its order; events that were not asked for are passed over."""
    quote = {"ev": "Q", "sym": "AAPL", "bp": 201.1, "ap": 201.2, "t": TIME}
    decoded = read(live, [status("success", "subscribed to: T.AAPL"), trade(), quote, trade(sym="MSFT", q=9)])
    assert [tick.code for tick in decoded.ticks] == ["AAPL.US", "MSFT.US"]
    assert [answer.kind for answer in decoded.answers] == ["subscribed", "other"]
    assert not decoded.letters


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"p": "201.125", "s": "100", "t": str(TIME), "q": "3"}, {}),
        ({"t": TIME * 1_000_000}, {}),  # nanoseconds
        ({"s": 0.5}, {"volume": 0.5}),
        ({"q": None, "i": "52"}, {"seq": None}),
        ({"sym": "BRK.B"}, {"code": "BRK-B.US"}),
        ({"p": 0.00012345}, {"price": 0.00012345}),
    ],
)
def test_every_form_of_a_field_is_read(live: Feed, data: dict[str, Any], expected: dict[str, Any]) -> None:
    """Text or number, ms to ns, fractional shares; a dollar's price is not rounded to a yuan's tick."""
    wanted = {name: value for name, value in (TICK | expected).items() if value is not None}
    assert fields(read(live, [trade(**data)])) == [wanted]


def test_a_repeat_is_told_by_its_number_and_equal_trades_are_kept(live: Feed) -> None:
    """``q`` rises with holes: only the same number at the same time is the same trade."""
    decoded = read(live, [trade(q=3), trade(q=5), trade(q=3), trade(q=50, i="x")])
    assert [tick.seq for tick in decoded.ticks] == [3, 5, 50]
    assert decoded.repeats == 1


def test_a_bad_trade_costs_its_neighbours_nothing_and_doubles_none(live: Feed) -> None:
    """Small letters have no form here; a frame that is read again enters its numbers once."""
    bad = trade(sym="BACpA")
    decoded = read(live, [trade(), bad, trade(sym="MSFT")])
    assert [tick.code for tick in decoded.ticks] == ["AAPL.US", "MSFT.US"]
    assert decoded.repeats == 0
    (letter,) = decoded.letters
    assert (letter.part, orjson.loads(letter.payload)) == ("tick", bad)


def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed) -> None:
    """And no repeat of anything."""
    decoded = read(live, [trade(p=0), trade()])
    assert (len(decoded.ticks), decoded.unpriced) == (1, 1)


@pytest.mark.parametrize(
    ("message", "kind", "codes"),
    [
        (status("connected", "Connected Successfully"), "other", None),
        (status("auth_success", "authenticated"), "logged_in", None),
        (status("auth_failed", "authentication failed"), "unauthorised", None),
        (status("auth_required", "authentication required"), "refused", None),
        (status("auth_timeout", "no authentication in time"), "closing", None),
        (status("success", "subscribed to: T.AAPL"), "subscribed", ("AAPL.US",)),
        (status("success", "subscribed to: T.BRK.B"), "subscribed", ("BRK-B.US",)),
        (status("success", "subscribed to: T.*"), "subscribed", None),
        (status("success", "unsubscribed from: T.AAPL"), "other", None),
        (status("max_connections", "Maximum number of websocket connections exceeded."), "kicked", None),
        (status("not_found", "no such channel"), "refused", None),
        (status("error", "too many requests"), "throttled", None),
        (status("error", "maximum number of subscriptions exceeded"), "refused", None),
    ],
)
def test_an_answer_is_told_by_its_status(live: Feed, message: Any, kind: str, codes: Any) -> None:
    """In an array of one, or not even that."""
    for form in ([message], message):
        decoded = read(live, form)
        assert not decoded.letters
        (answer,) = decoded.answers
        assert (answer.kind, answer.codes) == (kind, codes)


@pytest.mark.parametrize("payload", ["{}", "7", '{"ev":"T"}'])
def test_what_is_no_array_is_a_dead_letter(live: Feed, payload: str) -> None:
    """JSON of another shape."""
    assert [letter.part for letter in read(live, payload).letters] == ["frame"]


def test_requests_are_channels_in_a_comma_string(live: Feed) -> None:
    """The token first, then single symbols or all."""
    assert [orjson.loads(one) for one in live.greeting("s3cret")] == [{"action": "auth", "params": "s3cret"}]
    assert live.capabilities.logged_in_by_answer
    (some,), (everything,) = live.subscribe(["AAPL.US", "BRK-B.US"]), live.subscribe(None)
    assert orjson.loads(some) == {"action": "subscribe", "params": "T.AAPL,T.BRK.B"}
    assert orjson.loads(everything) == {"action": "subscribe", "params": "T.*"}
    (end,) = live.unsubscribe(["AAPL.US"])
    assert orjson.loads(end) == {"action": "unsubscribe", "params": "T.AAPL"}
    with pytest.raises(UsageError, match=r"massive needs a token: give --token"):
        live.greeting(None)
    with pytest.raises(UsageError, match=r"massive has no 600519: its codes are written SYMBOL\.US"):
        live.subscribe(["600519"])

"""Binance, message by message: mini tickers bare, in arrays and wrapped; 24-hour sums that are not traded volume."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from market.codes import instrument
from producer.feeds.provider import Feed
from schemas import UsageError
from tests.producer.feeds.genuine import TIME, feed, fields, read, ticker

TICK = {"code": "BTCUSDT.BINANCE", "exchange": "BINANCE", "price": 98000.1, "time": TIME}


@pytest.fixture
def live() -> Feed:
    return feed("binance")


@pytest.mark.parametrize(
    "message",
    [
        ticker(),
        [ticker()],
        {"stream": "btcusdt@miniTicker", "data": ticker()},
        {"stream": "!miniTicker@arr", "data": [ticker()]},
        ticker(c=98000.1, v=1200.5, E=str(TIME)),
        ticker(E=TIME * 1000),  # timeUnit=MICROSECOND
    ],
)
def test_object_array_and_wrapper_are_one_tick(live: Feed, message: Any) -> None:
    """Numbers are texts, times ms or µs; the code is symbol and exchange."""
    assert fields(read(live, message)) == [TICK]
    assert instrument("BTCUSDT.BINANCE").exchange == "BINANCE"


def test_the_sum_of_24_hours_is_no_volume(live: Feed) -> None:
    """Its difference is what was traded less what fell out of the window: a tick carries none, and no turnover."""
    for one in (ticker(), ticker(E=TIME + 1000, v="1201.5", q="117700000"), ticker(E=TIME + 2000, v="1100")):
        (tick,) = read(live, [one]).ticks
        assert (tick.volume, tick.turnover, tick.cumulative) == (None, None, None)


def test_a_ticker_that_comes_again_is_recognised(live: Feed) -> None:
    """Same time and sum; another symbol's is its own."""
    read(live, [ticker(), ticker(s="ETHUSDT")])
    decoded = read(live, [ticker(), ticker(s="ETHUSDT", E=TIME + 1000)])
    assert (decoded.repeats, [tick.code for tick in decoded.ticks]) == (1, ["ETHUSDT.BINANCE"])
    live.reset()
    assert read(live, ticker()).ticks


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (ticker(c="-1"), "price: -1"),
        (ticker(c="0.00001"), "price: 1e-05 is outside"),
        (ticker(s="币安人生USDT"), "code: "),
        (ticker(E=0), "time: "),
        ({"s": "BTCUSDT"}, "`c`"),
        (7, "object"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_bad_ticker_costs_its_neighbours_nothing(live: Feed, bad: Any, reason: str, wrapped: bool) -> None:
    """Its own bytes are the letter, wrapped or not."""
    data = [ticker(), bad, ticker(s="ETHUSDT")]
    decoded = read(live, {"stream": "!miniTicker@arr", "data": data} if wrapped else data)
    assert [tick.code for tick in decoded.ticks] == ["BTCUSDT.BINANCE", "ETHUSDT.BINANCE"]
    (letter,) = decoded.letters
    assert (letter.part, orjson.loads(letter.payload)) == ("tick", bad)
    assert reason in letter.reason
    assert decoded.repeats == 0


def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed) -> None:
    """Not traded yet."""
    assert read(live, ticker(c="0.00000000")).unpriced == 1


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"result": None, "id": 1}, "subscribed"),
        ({"result": None, "id": 2}, "other"),
        ({"error": {"code": 2, "msg": "Invalid request"}, "id": 1}, "refused"),
        ({"code": 3, "msg": "Invalid JSON"}, "refused"),
        ({"error": {"code": 1000, "msg": "Too many requests"}, "id": None}, "throttled"),
        ({"e": "serverShutdown", "E": TIME}, "closing"),
    ],
)
def test_an_answer_is_told_by_its_keys(live: Feed, message: Any, kind: str) -> None:
    """Odd numbers are subscriptions here; a shutdown is announced before it comes."""
    decoded = read(live, message)
    assert not decoded.letters
    assert [answer.kind for answer in decoded.answers] == [kind]


@pytest.mark.parametrize("payload", ["{}", '{"stream":"x"}', '{"e":"trade","s":"BTCUSDT"}'])
def test_what_is_no_message_is_a_dead_letter(live: Feed, payload: str) -> None:
    """JSON of another shape."""
    assert [letter.payload for letter in read(live, payload).letters] == [payload.encode()]


@pytest.mark.parametrize(
    ("url", "everything", "some"),
    [
        ("wss://h:9443", "wss://h:9443/ws/!miniTicker@arr", "wss://h:9443/ws"),
        ("wss://h:9443/ws/", "wss://h:9443/ws/!miniTicker@arr", "wss://h:9443/ws"),
        ("wss://h/stream", "wss://h/stream?streams=%21miniTicker%40arr", "wss://h/stream"),
        (
            "wss://h/ws?timeUnit=MICROSECOND",
            "wss://h/ws/!miniTicker@arr?timeUnit=MICROSECOND",
            "wss://h/ws?timeUnit=MICROSECOND",
        ),
    ],
)
def test_the_whole_market_is_in_the_address(live: Feed, url: str, everything: str, some: str) -> None:
    """Raw and combined streams; single symbols are asked for on the socket. Nobody's token goes anywhere."""
    assert live.address(url, "s3cret", None) == everything
    assert live.address(url, None, ["BTCUSDT.BINANCE"]) == some
    assert not live.subscribe(None)


def test_requests_are_arrays_with_numbers(live: Feed) -> None:
    """Streams are in small letters; each request has a number of its own, odd to subscribe and even to end."""
    first, second = live.subscribe(["BTCUSDT.BINANCE"]), live.subscribe([f"S{i}USDT.BINANCE" for i in range(201)])
    end = live.unsubscribe(["BTCUSDT.BINANCE"])
    assert orjson.loads(first[0]) == {"method": "SUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 1}
    assert [orjson.loads(one)["id"] for one in second] == [3, 5]
    assert orjson.loads(end[0]) == {"method": "UNSUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 2}
    with pytest.raises(UsageError, match=r"binance has no 600519: its codes are written SYMBOL\.BINANCE"):
        live.subscribe(["600519"])

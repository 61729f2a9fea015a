"""The post's protocol through the seam that every provider has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.producer.feeds.genuine import feed, read


@pytest.mark.parametrize(
    ("options", "codes", "symbols"),
    [
        ({}, ["600519", "000001"], ["600519", "000001"]),
        ({"as_string": True}, ["600519", "000001"], "600519,000001"),
        ({}, None, "*"),
        ({"as_string": True}, None, "*"),
    ],
)
def test_codes_are_an_array_a_comma_string_or_the_wildcard(options: Any, codes: Any, symbols: Any) -> None:
    """The three forms of the post, in and out."""
    live = feed("post", **options)
    (request,), (end,) = live.subscribe(codes), live.unsubscribe(codes)
    assert orjson.loads(request) == {"action": "subscribe", "symbols": symbols}
    assert orjson.loads(end) == {"action": "unsubscribe", "symbols": symbols}


def test_the_trades_filter_is_asked_for_where_it_is_wanted() -> None:
    """And the answer says whether the server does it."""
    live = feed("post", trades_only=True)
    assert orjson.loads(live.subscribe(None)[0])["trades_only"] is True
    (answer,) = read(live, {"type": "subscribed", "symbols": ["600519"], "trades_only": True}).answers
    assert (answer.kind, answer.codes, answer.trades_only) == ("subscribed", ("600519",), True)


@pytest.mark.parametrize(
    ("message", "kind", "codes"),
    [
        ({"type": "error", "code": "unauthorized", "message": "wrong or missing token"}, "unauthorised", None),
        ({"type": "error", "code": "kicked", "message": "another connection"}, "kicked", None),
        ({"type": "error", "code": "throttled", "message": "too many requests"}, "throttled", None),
        ({"type": "error", "code": "unknown_symbol", "symbols": ["999999"]}, "refused", ("999999",)),
        ({"type": "error", "code": 7}, "refused", None),
        ({"type": "pong"}, "pong", None),
        ({"type": "subscribed", "symbols": "*"}, "subscribed", None),
        ({"status": [], "type": "welcome"}, "other", None),
    ],
)
def test_an_error_says_its_cause_under_code(message: Any, kind: str, codes: Any) -> None:
    """What a line does next depends on it."""
    decoded = read(feed("post"), message)
    assert not decoded.letters
    (answer,) = decoded.answers
    assert (answer.kind, answer.codes) == (kind, codes)


def test_the_token_joins_what_the_query_has() -> None:
    """Encoded; without one the address stays as it is."""
    live = feed("post")
    assert live.address("ws://h:1/p?a=b", "t&k", None) == "ws://h:1/p?a=b&token=t%26k"
    assert live.address("ws://h:1/p?a=b", None, None) == "ws://h:1/p?a=b"

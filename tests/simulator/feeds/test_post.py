"""The protocol without I/O: each message and its answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.feed import Batch, Subscription
from simulator.feeds.post import PostSession, authorised
from simulator.feeds.provider import Handshake, Terms

CODES = frozenset({"000001", "000002", "600519"})


def session(*, all_market: bool = True) -> PostSession:
    return PostSession(Terms(knows=CODES.__contains__, all_market=all_market), Handshake("/"), 0.0)


def answers(of: PostSession, message: Any) -> list[Any]:
    text = message if isinstance(message, str | bytes) else orjson.dumps(message)
    return [orjson.loads(answer) for answer in of.receive(text, 1.0).frames]


@pytest.mark.parametrize(
    "symbols", [["000001", "600519"], "000001,600519", " 000001 , 600519", ["000001", "600519", "000001"]]
)
def test_codes_are_subscribed_by_array_and_by_comma_string(symbols: object) -> None:
    """Both forms mean the same, and the answer says what was understood."""
    one = session()
    assert answers(one, {"action": "subscribe", "symbols": symbols}) == [
        {"type": "subscribed", "symbols": ["000001", "600519"], "trades_only": False}
    ]
    assert one.subscription == Subscription(frozenset({"000001", "600519"}))


@pytest.mark.parametrize("symbols", ["*", ["*"], ["000001", "*"]])
def test_the_wildcard_is_the_whole_market(symbols: object) -> None:
    """It holds for every code, and takes in what was subscribed before."""
    one = session()
    assert answers(one, {"action": "subscribe", "symbols": symbols}) == [
        {"type": "subscribed", "symbols": "*", "trades_only": False}
    ]
    assert one.subscription.codes is None


@pytest.mark.parametrize("symbols", ["*", ["*"]])
def test_the_wildcard_is_refused_below_the_all_market_tier(symbols: object) -> None:
    """The refusal says why and what to do; the subscription stays as it was."""
    one = session(all_market=False)
    answers(one, {"action": "subscribe", "symbols": "000001"})
    (refusal,) = answers(one, {"action": "subscribe", "symbols": symbols})
    assert (refusal["type"], refusal["code"]) == ("error", "wildcard_refused")
    assert "all-market" in refusal["message"]
    assert one.subscription.codes == frozenset({"000001"})


def test_an_unknown_code_is_named_and_the_known_ones_beside_it_are_subscribed() -> None:
    """One typo in a list of thousands does not cost the others."""
    one = session()
    subscribed, error = answers(one, {"action": "subscribe", "symbols": ["000001", "999999", "sh600519"]})
    assert subscribed["symbols"] == ["000001"]
    assert error == {
        "type": "error",
        "code": "unknown_symbol",
        "message": "no such code: 999999, sh600519",
        "symbols": ["999999", "sh600519"],
    }
    assert [answer["type"] for answer in answers(session(), {"action": "subscribe", "symbols": "1"})] == ["error"]


def test_subscriptions_add_up_and_unsubscribing_takes_away() -> None:
    """Unsubscribing codes leaves the others, ``*`` leaves nothing."""
    one = session()
    answers(one, {"action": "subscribe", "symbols": "000001"})
    answers(one, {"action": "subscribe", "symbols": ["600519"]})
    assert answers(one, {"action": "unsubscribe", "symbols": ["000001"]}) == [
        {"type": "unsubscribed", "symbols": ["000001"]}
    ]
    assert one.subscription.codes == frozenset({"600519"})
    assert answers(one, {"action": "unsubscribe", "symbols": "*"}) == [{"type": "unsubscribed", "symbols": "*"}]
    assert not one.subscription


def test_single_codes_cannot_be_taken_out_of_the_whole_market() -> None:
    """That would push ticks that the client believes to have switched off, so it is an error."""
    one = session()
    answers(one, {"action": "subscribe", "symbols": "*"})
    assert answers(one, {"action": "unsubscribe", "symbols": "000001"})[0]["code"] == "invalid_symbols"
    assert one.subscription.codes is None


def test_trades_only_leaves_ticks_without_volume_out() -> None:
    """The filter holds for the whole connection, with codes as with the wildcard, until it is switched off."""
    batch = Batch(["000001", "600519", "000001"], ["a", "b", "c"], [True, True, False])
    one = session()
    assert answers(one, {"action": "subscribe", "symbols": "*", "trades_only": True})[0]["trades_only"] is True
    assert one.subscription.select(batch) == ["a", "b"]
    answers(one, {"action": "unsubscribe", "symbols": "*"})
    answers(one, {"action": "subscribe", "symbols": "000001"})
    assert one.subscription.select(batch) == ["a"]
    answers(one, {"action": "subscribe", "symbols": "000001", "trades_only": False})
    assert one.subscription.select(batch) == ["a", "c"]


def test_a_ping_is_answered() -> None:
    """The heartbeat of clients that can't send WebSocket pings."""
    assert answers(session(), {"action": "ping"}) == [{"type": "pong"}]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "malformed"),
        (b"\xff\xfe", "malformed"),
        ("[]", "malformed"),
        ("null", "malformed"),
        ("{}", "unknown_action"),
        ('{"action":"buy"}', "unknown_action"),
        ('{"action":"subscribe"}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":[]}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":""}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":"000001,,000002"}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":[1]}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":1}', "invalid_symbols"),
        ('{"action":"subscribe","symbols":"*","trades_only":"yes"}', "malformed"),
        ('{"action":"unsubscribe"}', "invalid_symbols"),
    ],
)
def test_what_is_malformed_gets_an_error_and_changes_nothing(message: str | bytes, code: str) -> None:
    """Each mistake has its code for programs and its text for people."""
    one = session()
    (error,) = answers(one, message)
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert one.subscription == Subscription()


@given(
    st.text() | st.binary() | st.dictionaries(st.sampled_from(["action", "symbols"]), st.text() | st.lists(st.text()))
)
def test_any_message_gets_an_answer(message: Any) -> None:
    """Nothing that a client sends raises."""
    try:
        text = message if isinstance(message, str | bytes) else orjson.dumps(message)
    except orjson.JSONEncodeError:
        return
    assert session().receive(text, 1.0).frames


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/?token=s3cret", []),
        ("/feed?a=b&token=s3cret", []),
        ("/", [("Authorization", "Bearer s3cret")]),
        ("/", [("authorization", "bearer s3cret")]),
        ("/", [("X-Token", "s3cret")]),
        ("/", [("token", "s3cret")]),
        ("/?token=wrong", [("token", "s3cret")]),
    ],
)
def test_a_token_is_taken_from_the_query_or_a_header(path: str, headers: list[tuple[str, str]]) -> None:
    """All the ways in which providers ask for it."""
    assert authorised(Terms("s3cret"), Handshake(path, headers))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", []),
        ("/?token=", []),
        ("/?token=S3CRET", []),
        ("/?token=s3cret1", []),
        ("/?tok=s3cret", []),
        ("/", [("Authorization", "Basic s3cret")]),
        ("/", [("Authorization", "s3cret")]),
        ("/", [("Cookie", "token=s3cret")]),
        ("/", [("token", "s3cret\udcff")]),
    ],
)
def test_a_wrong_or_missing_token_is_refused(path: str, headers: list[tuple[str, str]]) -> None:
    """Without a token of its own the market lets everybody in."""
    assert not authorised(Terms("s3cret"), Handshake(path, headers))
    assert authorised(Terms(), Handshake(path, headers))

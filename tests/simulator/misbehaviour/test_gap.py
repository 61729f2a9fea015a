"""What is withheld while a connection's codes are nobody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.feed import Subscription
from simulator.feeds.post import PostSession
from simulator.feeds.prints import Print
from simulator.feeds.provider import Handshake, Terms
from simulator.misbehaviour.gap import Fault, Gap

Read = Callable[..., list[Print]]


def gap(codes: set[str] | None) -> tuple[Gap, list[Any]]:
    session = PostSession(Terms(), Handshake("/"), 0.0)
    session.subscription = Subscription(None if codes is None else frozenset(codes))
    withheld: list[Any] = []
    fault = Fault("kill", "connection-0001", 1, session.subscription.codes, loses_ticks=True)
    return Gap(fault, session, withheld.extend), withheld


def test_ticks_of_the_codes_are_withheld_until_they_are_subscribed(tape: Read) -> None:
    """Part by part, as chunks of a subscription come."""
    one, withheld = gap({"600519", "000001"})
    one.take(tape({}, {"code": "000001"}, {"code": "600000"}))
    assert [tick["code"] for tick in withheld] == ["600519", "000001"]
    assert not one.concerns(frozenset({"600000"}))
    assert one.concerns(frozenset({"600519", "600000"}))
    one.subscribed(frozenset({"600519", "600000"}))
    assert not one.over
    one.take(tape({}, {"code": "000001"}))
    assert [tick["code"] for tick in withheld] == ["600519", "000001", "000001"]
    one.subscribed(frozenset({"000001"}))
    assert one.over
    assert one.fault.withheld == 3


def test_the_whole_market_ends_with_any_subscription_that_takes_it() -> None:
    """And codes end with the whole market."""
    for codes in (None, {"600519"}):
        one, _ = gap(codes)
        assert one.concerns(None)
        one.subscribed(None)
        assert one.over


def test_a_price_of_zero_is_not_withheld(tape: Read) -> None:
    """It is not a tick."""
    one, withheld = gap(None)
    (zero,) = tape({})
    zero.genuine = False
    one.take([zero])
    assert withheld == []


def test_a_fault_is_a_line_of_json() -> None:
    """Codes sorted, or "all"; ``to`` is behind the last withheld tick."""
    fault = Fault("kill", "connection-0001", 5, frozenset({"600519", "000001"}), True, ended=9, first=2, withheld=3)
    assert orjson.loads(orjson.dumps(fault.line())) == {
        "at": 5, "ended": 9, "connection": "connection-0001", "kind": "kill", "codes": ["000001", "600519"],
        "from": 2, "to": 5, "loses_ticks": True,
    }  # fmt: skip
    assert Fault("kill", "x", 1).line()["codes"] == "all"

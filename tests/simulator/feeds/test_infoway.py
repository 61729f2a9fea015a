"""Infoway's server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.feeds.infoway import InfowaySession
from simulator.feeds.prints import Print
from simulator.feeds.provider import Handshake, Terms

Read = Callable[..., list[Print]]


def session(token: str | None = None) -> InfowaySession:
    return InfowaySession(Terms(token), Handshake("/ws?business=stock&apikey=k"), 0.0)


def subscription(codes: str) -> bytes:
    return orjson.dumps({"code": 10000, "trace": "t1", "data": {"codes": codes}})


def answer(of: InfowaySession, message: bytes, now: float = 1.0) -> Any:
    (frame,) = of.receive(message, now).frames
    return orjson.loads(frame)


def test_the_greeting_is_a_sentence_and_then_json() -> None:
    """What is not JSON comes first; a wrong key gets 401 and the end."""
    sentence, ready = session().greet().frames
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(sentence)
    assert orjson.loads(ready)["code"] == 200
    refused = session("other").greet()
    assert orjson.loads(refused.frames[0])["code"] == 401
    assert refused.close is not None


def test_a_wrong_market_is_acknowledged_and_never_pushed(tape: Read) -> None:
    """Beijing's codes are not covered: 10001 all the same."""
    one = session()
    assert answer(one, subscription("600519.SH,000001.SZ"))["code"] == 10001
    assert answer(one, subscription("920819.BJ"))["code"] == 10001
    assert one.subscription.codes == frozenset({"600519", "000001", "920819"})
    assert [print_.code for print_ in one.select(tape({}, {"code": "920819"}))] == ["600519"]
    ended = answer(one, orjson.dumps({"code": 11000, "trace": "t2", "data": {"codes": "600519.SH"}}))
    assert (ended["code"], ended["trace"]) == (11010, "t2")
    assert one.subscription.codes == frozenset({"000001", "920819"})


def test_more_than_six_hundred_codes_are_refused() -> None:
    """505; the list stays."""
    one = session()
    assert answer(one, subscription(",".join(f"60{n:04d}.SH" for n in range(600))))["code"] == 10001
    assert answer(one, subscription("000001.SZ"))["code"] == 505
    assert len(one.subscription.codes or ()) == 600


def test_a_heartbeat_has_no_answer_and_silence_is_error_513() -> None:
    """More than 60 s without a message."""
    one = session()
    assert one.receive(b'{"code":10010,"trace":"x"}', 30.0).frames == []
    assert one.watch(90.0).close is None
    assert orjson.loads(one.watch(90.1).frames[0])["code"] == 513


def test_the_sixty_first_message_of_a_minute_is_the_end() -> None:
    """Heartbeats count."""
    one = session()
    for n in range(60):
        assert one.receive(b'{"code":10010}', n / 2).close is None
    assert one.receive(b'{"code":10010}', 59.0).close is not None


@pytest.mark.parametrize(("message", "code"), [(b"no JSON", 515), (b'{"code":1}', 506), (b'{"code":10000}', 507)])
def test_mistakes_have_their_numbers(message: bytes, code: int) -> None:
    """As they were observed."""
    assert answer(session(), message)["code"] == code


def test_prices_and_volumes_are_text_and_time_is_an_integer(tape: Read) -> None:
    """Side 1 is buy; ``vw`` is turnover in yuan."""
    (sent,) = session().encode(tape({}))
    assert orjson.loads(sent.payload) == {
        "code": 10002,
        "data": {"s": "600519.SH", "p": "1690.01", "t": 1795150800000, "td": 1, "v": "300", "vw": "507003"},
    }
    assert sent.ticks[0]["turnover"] == 507003.0

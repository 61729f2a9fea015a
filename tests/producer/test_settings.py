"""Address and symbols: what is accepted, what is refused with the fix, and what is never shown."""

from __future__ import annotations

import pytest

from producer.line import address
from producer.watchlist import symbols
from schemas import UsageError

TOKEN = "s3cret/+ token"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://feed.example", "ws://"),
        ("feed.example:8765", "ws://"),
        ("", "ws://"),
        ("ws://", "names no host"),
        ("ws://:8765", "names no host"),
        ("ws://feed.example:port", "can't be read"),
        ("ws://feed.example:99999", "can't be read"),
        ("ws://feed.example/#part", "fragment"),
        ("ws://[::1", "can't be read"),
    ],
)
def test_a_wrong_address_is_refused_with_the_fix(url: str, says: str) -> None:
    """Before anything is dialled."""
    with pytest.raises(UsageError, match=says):
        address.read(url, TOKEN)


def test_the_token_goes_into_the_query_and_nowhere_else() -> None:
    """Encoded in what is dialled, masked in what is shown, scrubbed from texts of others in every spelling."""
    where = address.read("wss://user:pa55word@feed.example/stock?business=cn", TOKEN)
    assert where.url == "wss://user:pa55word@feed.example/stock?business=cn&token=s3cret%2F%2B+token"
    assert where.shown == "wss://***@feed.example/stock?business=***&token=***"
    said = where.scrub(f"GET {where.url}: {TOKEN}, s3cret%2F%2B%20token")
    for secret in ("s3cret", "pa55word"):
        assert secret not in said
        assert secret not in repr(where)


def test_a_token_is_given_once() -> None:
    """Two tokens would leave open which one counts."""
    with pytest.raises(UsageError, match="keep one"):
        address.read("ws://feed.example/?token=a", "b")
    assert address.read("ws://feed.example/?token=abc").shown == "ws://feed.example/?token=***"
    assert address.read("ws://feed.example:1").shown == "ws://feed.example:1"


def test_symbols_keep_their_form() -> None:
    """A JSON array is sent as an array, a text as the text."""
    assert symbols.read("*") == "*"
    assert symbols.read("600519,000001") == "600519,000001"
    assert symbols.read(' ["600519", "000001"] ') == ["600519", "000001"]
    assert symbols.codes("*") is None
    assert symbols.codes("600519, 000001") == symbols.codes(["600519", "000001"]) == ["600519", "000001"]
    assert symbols.codes(["600519", "*"]) == ["600519", "*"]


@pytest.mark.parametrize("text", ["", " ", ",", "600519,,000001", "[]", "[600519]", '["600519"', '[""]'])
def test_symbols_that_cannot_be_meant_are_refused(text: str) -> None:
    """An empty code, numbers without quotes, an array cut short."""
    with pytest.raises(UsageError, match="--symbols"):
        symbols.read(text)

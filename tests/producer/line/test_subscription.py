"""What a connection asks for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from producer.errors import ReconnectNeededError
from producer.feeds.decoded import Answer, FeedTick
from producer.line.subscription import Changes, Subscription


class Protocol:
    """A provider that takes two codes a message."""

    def subscribe(self, codes: Sequence[str] | None) -> list[str | bytes]:
        """One request a pair."""
        if codes is None:
            return ["+*"]
        return ["+" + ",".join(codes[i : i + 2]) for i in range(0, len(codes), 2)]

    def unsubscribe(self, codes: Sequence[str]) -> list[str | bytes]:
        """One request for all."""
        return ["-" + ",".join(codes)]


def subscription(codes: str | None, changes: Changes = "add_remove") -> Subscription:
    made = Subscription(Protocol(), None if codes is None else tuple(codes), changes, "bare")
    made.opened()
    return made


def test_a_list_is_asked_for_in_chunks_and_again_on_every_connection() -> None:
    """With the list of that moment, not of the start."""
    asked = subscription("abc")
    assert asked.begin() == ["+a,b", "+c"]
    asked.want(("a", "d"))
    asked.opened()
    assert asked.begin() == ["+a,d"]
    assert asked.due() == []


def test_added_and_removed_codes_are_all_that_is_sent() -> None:
    """Where the provider adds; those that stay are not touched."""
    asked = subscription("abcd")
    asked.begin()
    asked.want(tuple("bdef"))
    assert asked.due() == ["-a,c", "+e,f"]
    assert asked.due() == []


def test_where_a_request_replaces_the_list_it_is_sent_whole() -> None:
    """As AllTick wants it."""
    asked = subscription("ab", "replace")
    asked.begin()
    asked.want(("b", "c"))
    assert asked.due() == ["+b,c"]


@pytest.mark.parametrize(("before", "after"), [("ab", "abc")])
def test_where_the_list_stands_in_the_address_only_a_new_connection_changes_it(before: str, after: str) -> None:
    """As XTick's does."""
    asked = subscription(before, "reconnect")
    asked.begin()
    asked.want(tuple(after))
    with pytest.raises(ReconnectNeededError):
        asked.due()


@pytest.mark.parametrize(("before", "after"), [("ab", None), (None, "ab"), ("ab", "")])
def test_to_and_from_the_whole_market_takes_a_new_connection(before: str | None, after: str | None) -> None:
    """Providers do not say what remains of one when the other is asked for; nothing wanted is not a connection."""
    asked = subscription(before)
    asked.begin()
    asked.want(None if after is None else tuple(after))
    with pytest.raises(ReconnectNeededError):
        asked.due()


def test_it_is_answered_when_every_request_is() -> None:
    """Two of two chunks acknowledged; one refused and one acknowledged; all refused."""
    asked = subscription("abc")
    asked.begin()
    asked.answered(Answer("subscribed", ""))
    assert not asked.answered_in_full
    asked.answered(Answer("refused", "", codes=("c",)))
    assert asked.answered_in_full
    assert not asked.rejected
    assert asked.refused == {"c"}
    asked.opened()
    assert asked.refused == set()
    asked.begin()
    asked.answered(Answer("refused", ""))
    assert not asked.rejected
    asked.answered(Answer("refused", ""))
    assert asked.rejected


def test_codes_that_the_provider_does_not_list_are_missing() -> None:
    """Said once."""
    asked = subscription("abc")
    asked.begin()
    first, last = (Answer("subscribed", "", codes=codes, whole=True) for codes in (("a", "x"), ("a", "c", "x")))
    asked.answered(first)
    assert asked.missing(first) == [], "the second chunk is not answered yet"
    asked.answered(last)
    assert asked.missing(last) == ["b"]
    assert asked.missing(last) == []
    assert asked.concerned() == ["a", "c"]


def test_codes_are_seen_or_not() -> None:
    """Through changes of the list; another session begins with none seen."""
    asked = subscription("abc")
    asked.saw([FeedTick("a", "SSE", 1.0, 1), FeedTick("z", "SSE", 1.0, 1)])
    assert asked.unseen == {"b", "c"}
    asked.want(tuple("abd"))
    assert asked.unseen == {"b", "d"}
    asked.new_session()
    assert asked.unseen == {"a", "b", "d"}
    assert subscription(None).unseen == set()


def test_a_code_is_seen_in_whatever_form_it_was_asked_for() -> None:
    """The post's server gets codes as they were given, and its ticks carry the one form."""
    asked = Subscription(Protocol(), ("600519.SH", "sz000001"))
    asked.saw([FeedTick("600519", "SSE", 1.0, 1)])
    assert asked.unseen == {"000001"}

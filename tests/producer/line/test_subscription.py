"""What a connection asks for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from producer.feeds.decoded import Answer, FeedTick
from producer.gaps.outage import DOORS_SECONDS, MOST_KICKS, Absence, Kicks, ShutDoors
from producer.line.subscription import Changes, MustReconnect, Subscription


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
    with pytest.raises(MustReconnect):
        asked.due()


@pytest.mark.parametrize(("before", "after"), [("ab", None), (None, "ab"), ("ab", "")])
def test_to_and_from_the_whole_market_takes_a_new_connection(before: str | None, after: str | None) -> None:
    """Providers do not say what remains of one when the other is asked for; nothing wanted is no connection."""
    asked = subscription(before)
    asked.begin()
    asked.want(None if after is None else tuple(after))
    with pytest.raises(MustReconnect):
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


def test_an_absence_is_one_gap_however_many_attempts_fail_in_it() -> None:
    """From the first loss to the next subscription, of the codes that are still wanted."""
    absence = Absence()
    assert absence.end(5, None) is None
    absence.begin(10, ["a", "b"], "silence", "no tick")
    absence.begin(20, ["b"], "disconnect", "refused")
    hole = absence.end(30, ["b", "c"])
    assert hole is not None
    assert (hole.start, hole.end, hole.codes, hole.detected) == (10, 30, ["b"], "silence")
    assert absence.end(40, None) is None
    absence.begin(50, ["a"], "disconnect", "")
    assert absence.end(60, ["c"]) is None, "nothing that is still wanted was missed"


def test_an_absence_of_the_whole_market_concerns_all() -> None:
    """Whatever is wanted now."""
    absence = Absence()
    absence.begin(10, "all", "disconnect", "lost")
    hole = absence.end(5, ["a"])
    assert hole is not None
    assert (hole.start, hole.end, hole.codes) == (10, 10, "all")


def test_only_rapid_kicks_in_a_row_are_two_producers() -> None:
    """Once in a while somebody logs in elsewhere; a connection that lives begins the count anew."""
    kicks = Kicks()
    assert [kicks.kicked(1.0) for _ in range(MOST_KICKS)] == [False] * (MOST_KICKS - 1) + [True]
    kicks.stayed()
    assert not any(kicks.kicked(3_600.0) for _ in range(20))


def test_what_is_not_wanted_any_more_is_not_missed() -> None:
    """A code that was taken off the list and put back later was not wanted in between."""
    absence = Absence()
    absence.begin(10, ["a", "b"], "disconnect", "lost")
    absence.keep(["b"])
    hole = absence.end(20, ["a", "b"])
    assert hole is not None
    assert hole.codes == ["b"]
    absence.begin(30, ["a"], "disconnect", "lost")
    absence.keep([])
    assert absence.end(40, ["a"]) is None


def test_a_feed_that_closes_every_connection_without_a_word_refuses_the_token() -> None:
    """For longer than any server counts a dead connection, and several times; a word in between begins anew."""
    doors = ShutDoors()
    assert not any(doors.shut(at, speechless=True) for at in (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, DOORS_SECONDS - 0.1))
    assert doors.shut(DOORS_SECONDS, speechless=True)
    assert not doors.shut(DOORS_SECONDS + 1, speechless=False)
    assert not doors.shut(DOORS_SECONDS + 2, speechless=True)
    rare = ShutDoors()
    assert not any(rare.shut(at, speechless=True) for at in (0.0, 100.0, 200.0))
    assert rare.shut(300.0, speechless=True)

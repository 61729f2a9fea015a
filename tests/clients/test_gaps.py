"""When ticks may be missing, told from the feed's own announcements."""

from __future__ import annotations

from typing import Any

from ashare_client import Gap, PriceChanges
from ashare_client.gaps import find_gaps
from ashare_client.records import FeedEvent
from broker.publisher import Publisher
from schemas import encode
from schemas.records import FeedEvent as Announced
from schemas.topics import FEED_EVENTS


def event(kind: str, at: int, source: str = "a", **fields: Any) -> FeedEvent:
    return FeedEvent(event=kind, source=source, run=1, n=0, at=at, **fields)


def every(_: str) -> bool:
    return True


def test_a_lost_connection_is_one_gap() -> None:
    """While it lasts it has no end; then the producer's own gap says when it began and ended."""
    events = [event("subscribed", 1, codes=["600519"]), event("disconnected", 10, reason="closed")]
    assert find_gaps(events, every) == [Gap("a", 10, None, frozenset({"600519"}), "closed")]
    events += [event("resubscribed", 20, codes=["600519"]), event("gap", 20, start=9, end=20, codes=["600519"])]
    assert find_gaps(events, every) == [Gap("a", 9, 20, frozenset({"600519"}), "gap")]


def test_a_loss_begins_with_the_last_tick_and_not_when_it_was_noticed() -> None:
    """A line that had been silent is given up late: `start` says since when; without it, the event's own time counts.

    So a gap that still lasts is not shorter than the one that the producer will announce, nor is one that only the
    next run's subscription ends; a later `stopped` of the same loss changes nothing.
    """
    silent = event("disconnected", 25, start=10, reason="silent")
    assert find_gaps([silent], every) == [Gap("a", 10, None, None, "silent")]
    assert find_gaps([silent], every, since=30) == [Gap("a", 10, None, None, "silent")]
    again = [silent, event("stopped", 27), event("subscribed", 40, codes=["600519"])]
    assert find_gaps(again, every) == [Gap("a", 10, 40, frozenset({"600519"}), "silent")]
    assert find_gaps([event("disconnected", 25, start=None)], every)[0].start == 25
    assert find_gaps([event("disconnected", 25, start=26)], every)[0].start == 25


def test_between_two_runs_nothing_is_known() -> None:
    """A producer that was stopped announces no gap; its next subscription ends one all the same."""
    events = [event("subscribed", 1, codes="all"), event("stopped", 10), event("subscribed", 30, codes="all")]
    assert find_gaps(events, every) == [Gap("a", 10, 30, None, "stopped")]


def test_lines_are_apart_and_only_what_is_asked_for_counts() -> None:
    """By code and by time; what concerns all codes concerns each."""
    events = [
        event("gap", 5, "a", start=1, end=5, codes=["600519", "000001"]),
        event("gap", 6, "b", start=2, end=6, codes=["688981"]),
        event("overflow", 9, "b", start=8, end=9, codes="all"),
    ]
    found = find_gaps(events, lambda code: code == "600519")
    assert [(gap.source, gap.codes) for gap in found] == [("a", frozenset({"600519"})), ("b", None)]
    assert [gap.end for gap in find_gaps(events, every, since=6)] == [6, 9]


async def test_a_reader_tells_the_gaps_of_its_codes(bootstrap: str) -> None:
    """From the feed's topic; by default since where it begins."""
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(FEED_EVENTS)
    at = 1_795_138_200_000_000
    for codes in (["920999"], ["920998"]):
        announced = Announced("gap", f"client-{codes[0]}", 7, 0, at, "lost", at - 10, at, codes)
        publisher.queue(FEED_EVENTS, 0).add(announced.source.encode(), encode(announced), at // 1000)
    await publisher.flush()
    await publisher.stop()
    reader = PriceChanges(bootstrap, codes="920999", start="earliest")
    ours = [gap for gap in await reader.gaps() if gap.source.startswith("client-")]
    assert ours == [Gap("client-920999", at - 10, at, frozenset({"920999"}), "lost")]
    assert not [gap for gap in await reader.gaps((at + 1) // 1000 + 1) if gap.source.startswith("client-")]

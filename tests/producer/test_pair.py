"""Two lines of the same codes are told as one stream."""

from __future__ import annotations

from typing import Any

import pytest

from producer.arbitration import Arbiter
from producer.clock import now
from producer.continuity import Hole
from producer.feeds.decoded import Frame
from producer.intake import Intake
from producer.numbering import Numbering
from producer.pair import OVERDUE_US, Pair, Side
from schemas import FeedEvent, decode
from schemas.topics import FEED_EVENTS, TICKS
from tests.producer.scripted import ScriptedFeed

SECOND = 1_000_000


class Kept:
    """A publisher that keeps what it is given."""

    full = False

    def __init__(self) -> None:
        """Nothing yet."""
        self.records: dict[str, list[bytes]] = {}

    def queue(self, topic: str, _partition: int) -> Any:
        """A queue that adds here."""

        class PartitionQueue:
            @staticmethod
            def add(_key: bytes, value: bytes, _ms: int, _headers: Any = ()) -> None:
                self.records.setdefault(topic, []).append(value)

        return PartitionQueue

    @property
    def events(self) -> list[FeedEvent]:
        """What was announced."""
        return [decode(FeedEvent, value) for value in self.records.get(FEED_EVENTS, [])]

    @property
    def happenings(self) -> list[str]:
        """The kinds, in order."""
        return [event.event for event in self.events]


class Two:
    """Lines a and b."""

    def __init__(self) -> None:
        """Neither is connected."""
        self.kept = Kept()
        publisher: Any = self.kept
        arbiter, numbering = Arbiter(2), Numbering("post-1", 7)
        intakes = [
            Intake(publisher, numbering, ScriptedFeed(), trades_only=False, arbiter=arbiter, line=line)
            for line in range(2)
        ]
        self.arbiter = arbiter
        self.pair = Pair(["post-1/a", "post-1/b"], intakes)
        self.a, self.b = self.pair.sides

    def both_up(self) -> None:
        """As after a start."""
        for side in (self.a, self.b):
            side.say("started")
            side.say("connected", reason="ws://feed")
            up(side)


def up(side: Side, event: Any = "subscribed") -> None:
    side.up(["600519"])
    side.say(event, reason="acknowledged", codes=["600519"])


def down(side: Side, since: int) -> None:
    side.down(since, "lost")
    side.say("disconnected", reason="lost")


async def ticks(side: Side, received: int, time: int = 1_795_138_201_000) -> None:
    payload = b'{"ticks":[["600519",%d,100,null]]}' % time
    await side.send(side.read(Frame(payload, False, received)).ticks, received)


@pytest.fixture
def two() -> Two:
    made = Two()
    made.both_up()
    return made


def test_the_stream_starts_once(two: Two) -> None:
    """Whichever line is first; each connection is told, and the subscription once."""
    assert two.kept.happenings == ["started", "connected", "subscribed", "connected"]
    assert [event.id for event in two.kept.events] == [f"post-1/7/{count}" for count in range(1, 5)]


async def test_while_one_delivers_the_loss_of_the_other_is_a_switch(two: Two) -> None:
    """No gap, no disconnection: a consumer has lost nothing. What went through one line is not doubled by the other."""
    at = now()
    await ticks(two.a, at)
    await ticks(two.b, at + 1_000)
    down(two.a, at + 2_000)
    await ticks(two.b, at + 3_000, 1_795_138_202_000)
    up(two.a, "resubscribed")
    two.a.gap(Hole(at + 2_000, now(), ["600519"], "disconnect", "lost"), two.a.n)
    (switched,) = two.kept.events[4:]
    assert (switched.event, switched.line, switched.reason) == ("switched", "post-1/b", "post-1/a: lost")
    assert len(two.kept.records[TICKS]) == 2
    assert (two.pair.switches, two.pair.covered) == (1, 1)


def test_where_no_line_was_there_is_a_gap_of_the_stream(two: Two) -> None:
    """From the later loss to the first return; it is disconnected in between."""
    at = now()
    down(two.a, at + 1)
    down(two.b, at + 2)
    assert two.kept.happenings[4:] == ["switched", "disconnected"]
    up(two.a, "resubscribed")
    up(two.b, "resubscribed")
    *_, gap, again = two.kept.events[6:]
    assert (gap.event, gap.codes, again.event) == ("gap", ["600519"], "resubscribed")
    assert gap.start is not None
    assert gap.end is not None
    assert gap.start == at + 2
    assert gap.end <= now()
    assert two.kept.happenings.count("gap") == 1


def test_a_line_that_joins_while_the_other_is_away_resubscribes_the_stream() -> None:
    """Its own first subscription is the stream's second; a changed list is told once, by the line that is followed."""
    two = Two()
    two.a.say("started")
    up(two.a)
    down(two.a, now() + 1)
    up(two.b)
    assert two.kept.happenings[-2:] == ["gap", "resubscribed"]
    up(two.a, "resubscribed")
    for side in (two.a, two.b):
        side.say("subscribed", reason="the list of codes changed", codes=["000001"])
    assert two.kept.happenings[-2:] == ["resubscribed", "subscribed"]


async def test_a_line_that_falls_silent_is_not_followed_any_more(two: Two) -> None:
    """After a second in which the other has delivered and it has not; a moment's lead is none."""
    at = now()
    await ticks(two.a, at)
    for step in range(5):
        await ticks(two.b, at + 1_000 + step * OVERDUE_US // 4)
    assert two.pair.switches == 0
    await ticks(two.a, at + OVERDUE_US + 2_000)
    for step in range(6):
        await ticks(two.b, at + 2 * OVERDUE_US + step * OVERDUE_US // 4)
    assert two.pair.switches == 1
    assert two.kept.events[-1].line == "post-1/b"
    assert two.a.behind() == pytest.approx(1.25)
    assert two.b.behind() == 0
    await ticks(two.a, at + 4 * OVERDUE_US)
    assert two.a.behind() == 0


def test_what_one_line_lost_and_the_other_had_is_no_gap(two: Two) -> None:
    """A hole in one line's packets, while the other was subscribed."""
    at = now()
    hole = Hole(at + SECOND, at + 2 * SECOND, "all", "sequence", "packet 9 did not come")
    two.a.gap(hole, 5)
    assert two.pair.covered == 1
    down(two.b, at)
    two.a.gap(hole, 5)
    assert two.kept.events[-1].event == "gap"
    assert two.kept.events[-1].detected == "sequence"


def test_gaps_that_are_told_as_one_are_made_up_for_as_one(two: Two) -> None:
    """Each of them counts; where the other was not there all the time, the one that covers them is told."""
    at = now()
    merged = Hole(at + SECOND, at + 9 * SECOND, "all", "merged", "17 gaps", None, 17)
    two.a.gap(merged, 5)
    assert two.pair.covered == 17
    down(two.b, at)
    two.a.gap(merged, 5)
    gap = two.kept.events[-1]
    assert (gap.event, gap.detected, gap.count) == ("gap", "merged", 17)


def test_never_seen_is_what_no_line_saw(two: Two) -> None:
    """One line alone may have been away when a code traded."""
    two.a.say("never_seen", codes=["600519", "000001"])
    assert "never_seen" not in two.kept.happenings
    two.b.say("never_seen", codes=["000001", "688981"])
    assert two.kept.events[-1].codes == ["000001"]


def test_the_stream_ends_with_its_last_line(two: Two) -> None:
    """One that is refused ends alone."""
    two.a.down(now(), "refused")
    two.a.say("stopped", reason="refused")
    assert "stopped" not in two.kept.happenings
    two.b.down(now(), "told to stop", ending=True)
    two.b.say("stopped", reason="told to stop")
    assert two.kept.happenings.count("stopped") == 1


async def test_who_was_first_is_told(two: Two) -> None:
    """In words, for the log."""
    at = now()
    await ticks(two.a, at)
    await ticks(two.b, at + 5_000)
    said = two.pair.told(two.arbiter)
    assert "post-1/a first with 1 ticks" in said
    assert "post-1/b first with 0 ticks, else 5." in said

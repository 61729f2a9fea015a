"""Two lines of the same codes are told as one stream."""

from __future__ import annotations

from typing import Any

import pytest

from producer.clock import now
from producer.feeds.decoded import FeedTick
from producer.gaps.gap import Gap
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.event import Event, Kind
from producer.pipeline.events import Events
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Pipeline
from producer.pipeline.redundancy import OVERDUE_US, RedundantLines
from schemas import FeedEvent, decode
from schemas.topics import FEED_EVENTS, TICKS

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
        self.arbiter = Arbiter(2)
        self.events = Events(publisher, Numbering("post-1", 7))
        self.lines = RedundantLines(["post-1/a", "post-1/b"], self.events)
        self.a, self.b = (
            Pipeline(publisher, self.events, trades_only=False, arbiter=self.arbiter, redundant=line)
            for line in self.lines.members
        )

    def both_up(self) -> None:
        """As after a start."""
        for line in (self.a, self.b):
            say(line, "started")
            say(line, "connected", reason="ws://feed")
            up(line)


def say(line: Pipeline, kind: Kind, **fields: Any) -> None:
    line.event(Event(kind, line.n, **fields))


def up(line: Pipeline, kind: Kind = "subscribed") -> None:
    say(line, kind, reason="acknowledged", codes=["600519"], delivers=True)


def down(line: Pipeline, since: int) -> None:
    say(line, "disconnected", reason="lost", delivers=False, since=since)


def shows(line: Pipeline, gap: Gap, n: int) -> None:
    line.event(Event.of_gap(gap, n))


async def ticks(line: Pipeline, received: int, time: int = 1_795_138_201_000) -> None:
    await line.ticks([FeedTick("600519", "SSE", 10.0, time, volume=100)], received)


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
    shows(two.a, Gap(at + 2_000, now(), ["600519"], "disconnect", "lost"), two.a.n)
    (switched,) = two.kept.events[4:]
    assert (switched.event, switched.line, switched.reason) == ("switched", "post-1/b", "post-1/a: lost")
    assert len(two.kept.records[TICKS]) == 2
    assert (two.lines.switches, two.lines.covered) == (1, 1)


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
    say(two.a, "started")
    up(two.a)
    down(two.a, now() + 1)
    up(two.b)
    assert two.kept.happenings[-2:] == ["gap", "resubscribed"]
    up(two.a, "resubscribed")
    for line in (two.a, two.b):
        say(line, "subscribed", reason="the list of codes changed", codes=["000001"])
    assert two.kept.happenings[-2:] == ["resubscribed", "subscribed"]


async def test_a_line_that_falls_silent_is_not_followed_any_more(two: Two) -> None:
    """After a second in which the other has delivered and it has not; a moment's lead is none."""
    at = now()
    await ticks(two.a, at)
    for step in range(5):
        await ticks(two.b, at + 1_000 + step * OVERDUE_US // 4)
    assert two.lines.switches == 0
    await ticks(two.a, at + OVERDUE_US + 2_000)
    for step in range(6):
        await ticks(two.b, at + 2 * OVERDUE_US + step * OVERDUE_US // 4)
    assert two.lines.switches == 1
    assert two.kept.events[-1].line == "post-1/b"
    assert two.a.behind() == pytest.approx(1.25)
    assert two.b.behind() == 0
    await ticks(two.a, at + 4 * OVERDUE_US)
    assert two.a.behind() == 0


def test_what_one_line_lost_and_the_other_had_is_no_gap(two: Two) -> None:
    """A hole in one line's packets, while the other was subscribed."""
    at = now()
    lost = Gap(at + SECOND, at + 2 * SECOND, "all", "sequence", "packet 9 did not come")
    shows(two.a, lost, 5)
    assert two.lines.covered == 1
    down(two.b, at)
    shows(two.a, lost, 5)
    assert two.kept.events[-1].event == "gap"
    assert two.kept.events[-1].detected == "sequence"


def test_gaps_that_are_told_as_one_are_made_up_for_as_one(two: Two) -> None:
    """Each of them counts; where the other was not there all the time, the one that covers them is told."""
    at = now()
    merged = Gap(at + SECOND, at + 9 * SECOND, "all", "merged", "17 gaps", None, 17)
    shows(two.a, merged, 5)
    assert two.lines.covered == 17
    down(two.b, at)
    shows(two.a, merged, 5)
    gap = two.kept.events[-1]
    assert (gap.event, gap.detected, gap.count) == ("gap", "merged", 17)


def test_never_seen_is_what_no_line_saw(two: Two) -> None:
    """One line alone may have been away when a code traded."""
    say(two.a, "never_seen", codes=["600519", "000001"])
    assert "never_seen" not in two.kept.happenings
    say(two.b, "never_seen", codes=["000001", "688981"])
    assert two.kept.events[-1].codes == ["000001"]


def test_the_stream_ends_with_its_last_line(two: Two) -> None:
    """One that is refused ends alone."""
    say(two.a, "stopped", reason="refused", delivers=False, since=now())
    assert "stopped" not in two.kept.happenings
    say(two.b, "stopped", reason="told to stop", delivers=False, since=now(), ending=True)
    assert two.kept.happenings.count("stopped") == 1


async def test_who_was_first_is_told(two: Two) -> None:
    """In words, for the log."""
    at = now()
    await ticks(two.a, at)
    await ticks(two.b, at + 5_000)
    said = two.lines.described(two.arbiter)
    assert "post-1/a first with 1 ticks" in said
    assert "post-1/b first with 0 ticks, else 5." in said

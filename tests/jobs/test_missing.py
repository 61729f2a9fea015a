"""What is known to be missing, and which snapshots are marked by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import missing
from jobs.missing import Concerned, Missing
from jobs.snapshots import SnapshotRow, Snapshots
from schemas import FeedEvent, GapMark, Tick, encode
from tests.jobs.chunks import NINE_THIRTY, chunk, tick

SECOND = 1_000_000
MORNING = NINE_THIRTY * 1000
"""µs since the epoch: local time is exchange time here, but where a test says otherwise."""
DAY = 86_400_000


class Feed:
    """A line's producer: its events, numbered."""

    def __init__(self, source: str = "line", run: int = 1) -> None:
        """Nothing was said."""
        self._source, self._run, self._count = source, run, 0

    def say(self, event: str, at: int, **fields: Any) -> FeedEvent:
        """The next event, ``at`` µs after 09:30."""
        self._count += 1
        named = f"{self._source}/{self._run}/{self._count}"
        return FeedEvent(event, self._source, self._run, 0, MORNING + at, id=named, **fields)  # type: ignore[arg-type]

    def gap(self, start: int, end: int, codes: Any = "all") -> FeedEvent:
        """A gap, in µs after 09:30."""
        return self.say("gap", end, start=MORNING + start, end=MORNING + end, codes=codes, detected="disconnect")


def known(*events: FeedEvent) -> Missing:
    """What the events tell."""
    made = Missing()
    for event in events:
        made.take(event)
    return made


def row(ticks: list[Tick], missed: Missing | None = None, code: str = "600519") -> SnapshotRow:
    """A code's row after these ticks."""
    rows: dict[str, SnapshotRow] = {}
    Snapshots(missed).apply(rows, chunk(list(ticks)))
    return rows[code]


def marked(missed: Missing, of: SnapshotRow) -> GapMark | None:
    """The row's mark by now."""
    missed.mark(of)
    return of.gap


def test_a_gap_marks_the_codes_that_it_names_and_no_other() -> None:
    """The event is named, with its times."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes=["600519", "000001"]), feed.gap(SECOND, 3 * SECOND, ["600519"]))
    assert marked(missed, row([tick(1, 10.0)])) == GapMark("line/1/2", MORNING + SECOND, MORNING + 3 * SECOND)
    assert marked(missed, row([tick(1, 10.0, code="000001")], code="000001")) is None


def test_a_gap_of_all_codes_marks_those_that_came_by_that_line() -> None:
    """And none of another line's."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.gap(SECOND, 2 * SECOND))
    assert marked(missed, row([tick(1, 10.0)])) is not None
    assert marked(missed, row([tick(1, 10.0, source="other")])) is None
    assert marked(missed, row([tick(1, 10.0), tick(1, 10.0, source="other")])) is not None


def test_a_lost_line_is_marked_at_once_and_its_end_when_it_is_back() -> None:
    """By the gap that the producer announces then."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.say("disconnected", 2 * SECOND, start=MORNING + SECOND))
    of = row([tick(1, 10.0)])
    assert marked(missed, of) == GapMark("line/1/2", MORNING + SECOND, None)
    assert missed.take(feed.say("resubscribed", 5 * SECOND, codes="all")) == [Concerned("line", None)]
    assert marked(missed, of) is None
    assert missed.take(feed.gap(SECOND, 5 * SECOND)) == [Concerned("line", None)]
    assert marked(missed, of) == GapMark("line/1/4", MORNING + SECOND, MORNING + 5 * SECOND)


def test_attempts_that_fail_make_one_gap_longer() -> None:
    """A line that drops before it was subscribed again has told nothing new."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.say("disconnected", 0, start=MORNING))
    assert missed.take(feed.say("connected", SECOND)) == []
    assert missed.take(feed.say("disconnected", 2 * SECOND, start=MORNING + 2 * SECOND)) == []
    assert marked(missed, row([tick(1, 10.0)])) == GapMark("line/1/2", MORNING, None)


def test_a_stopped_producer_leaves_a_gap_until_another_subscribes() -> None:
    """The new one can't know of it and announces none."""
    feed, after = Feed(), Feed(run=2)
    missed = known(feed.say("started", 0), feed.say("subscribed", 0, codes="all"), feed.say("stopped", SECOND))
    of = row([tick(1, 10.0)])
    assert marked(missed, of) == GapMark("line/1/3", MORNING + SECOND, None)
    for event in (after.say("started", 8 * SECOND), after.say("subscribed", 9 * SECOND, codes="all")):
        missed.take(event)
    assert marked(missed, of) == GapMark("line/1/3", MORNING + SECOND, MORNING + 9 * SECOND)


def test_a_killed_producer_leaves_a_gap_from_the_codes_last_tick() -> None:
    """It said nothing of its end; that another begins tells."""
    feed, after = Feed(), Feed(run=2)
    missed = known(feed.say("started", 0), feed.say("subscribed", 0, codes="all"), after.say("started", 60 * SECOND))
    of = row([tick(40_000, 10.0)])
    assert marked(missed, of) == GapMark("line/2/1", MORNING + 40 * SECOND, None)
    missed.take(after.say("subscribed", 61 * SECOND, codes="all"))
    assert marked(missed, of) == GapMark("line/2/1", MORNING + 40 * SECOND, MORNING + 61 * SECOND)
    # A row that has gone on before the events were read can only tell when the producer last said anything.
    late = row([tick(62_000, 10.0)])
    assert marked(missed, late) == GapMark("line/2/1", MORNING, MORNING + 61 * SECOND)


def test_a_line_misses_nothing_before_its_first_subscription() -> None:
    """Whatever fails until then."""
    feed = Feed()
    missed = known(feed.say("started", 0), feed.say("disconnected", 1, start=None), feed.say("stopped", 2))
    assert marked(missed, row([tick(1, 10.0)])) is None


def test_what_happens_while_the_market_is_closed_is_no_gap() -> None:
    """Night and lunch; a producer that is stopped after hours included."""
    feed = Feed()
    hour = 3600 * SECOND
    missed = known(feed.say("subscribed", -3 * hour, codes="all"), feed.gap(-2 * hour, -hour))
    of = row([tick(1, 10.0)])
    assert marked(missed, of) is None
    missed.take(feed.gap(round(2.1 * hour), 3 * hour))
    assert marked(missed, of) is None
    missed.take(feed.say("stopped", round(6.1 * hour)))
    assert marked(missed, of) is None


def test_outside_the_known_exchanges_the_whole_day_counts() -> None:
    """Their hours are not known here."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.gap(-7200 * SECOND, -3600 * SECOND))
    traded = Tick("BTCUSDT.BINANCE", "BINANCE", 10.0, NINE_THIRTY, MORNING, "line", 1, 1)
    assert marked(missed, row([traded], code="BTCUSDT.BINANCE")) is not None


def test_a_market_of_another_time_has_no_hours() -> None:
    """It may be played at night; a gap of the day before is none of it."""
    feed = Feed()
    later = 9 * DAY * 1000 + 12 * 3600 * SECOND
    missed = known(
        feed.say("subscribed", later - 2 * DAY * 1000, codes="all"),
        feed.gap(later - 2 * DAY * 1000, later - DAY * 1000 - 1),
    )
    of = row([tick(1, 10.0, received=MORNING + later)])
    assert marked(missed, of) is None
    missed.take(feed.gap(later + SECOND, later + 2 * SECOND))
    assert marked(missed, of) is not None


def test_a_market_that_is_played_before_its_time_has_no_hours_either() -> None:
    """Today's opening at 08:50; a live feed is never ahead by more than the local clock is wrong."""
    feed, early = Feed(), -2400 * SECOND
    missed = known(feed.say("subscribed", early, codes="all"), feed.gap(early + SECOND, early + 2 * SECOND))
    assert marked(missed, row([tick(1, 10.0, received=MORNING + early)])) is not None
    assert marked(missed, row([tick(1, 10.0, received=MORNING - 30 * SECOND)])) is None


def test_a_new_session_is_whole_but_for_the_gaps_that_reach_into_it() -> None:
    """Yesterday's mark goes; a line that came back at 09:40 leaves one on the day's first tick."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.gap(0, SECOND))
    first, second = tick(1, 10.0), tick(2, 10.0, time=NINE_THIRTY + DAY, received=MORNING + DAY * 1000)
    assert row([first], missed).gap is not None
    assert row([first, second], missed).gap is None
    missed.take(feed.gap(DAY * 1000 - 3600 * SECOND, DAY * 1000 - SECOND))
    assert row([first, second], missed).gap == GapMark(
        "line/1/3", MORNING + DAY * 1000 - 3600 * SECOND, MORNING + DAY * 1000 - SECOND
    )


def test_an_event_that_is_sent_again_changes_nothing() -> None:
    """Nor does the last word of a producer after which another has begun."""
    feed, after = Feed(), Feed(run=2)
    subscribed = feed.say("subscribed", 0, codes="all")
    lost, stopped = feed.say("disconnected", 0, start=MORNING), feed.say("stopped", 4 * SECOND)
    missed = known(subscribed, lost)
    missed.take(after.say("subscribed", SECOND, codes="all"))
    of = row([tick(1, 10.0)])
    before = marked(missed, of)
    assert before is not None
    assert before.end == MORNING + SECOND
    for again in (lost, stopped):
        assert missed.take(again) == []
    assert marked(missed, of) == before


def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, of the line that has most; marks that rows have stay."""
    monkeypatch.setattr(missing, "CODES", 10)
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.gap(0, SECOND, ["600519"]))
    of = row([tick(1, 10.0)])
    first = marked(missed, of)
    for number in range(20):
        missed.take(feed.gap(0, SECOND, [f"{number:06}"]))
    assert marked(missed, row([tick(1, 10.0)])) is None
    assert marked(missed, of) == first
    assert first is not None


def test_a_mark_covers_every_gap_of_the_session() -> None:
    """Its earliest start and its latest end, and how many: the volume of the first one is missing still."""
    feed = Feed()
    missed = known(feed.say("subscribed", 0, codes="all"), feed.gap(SECOND, 2 * SECOND))
    of = row([tick(1, 10.0)])
    assert marked(missed, of) == GapMark("line/1/2", MORNING + SECOND, MORNING + 2 * SECOND, 1)
    missed.take(feed.gap(8 * SECOND, 9 * SECOND, ["600519"]))
    missed.take(feed.gap(6 * SECOND, 7 * SECOND, ["000001"]))
    assert marked(missed, of) == GapMark("line/1/3", MORNING + SECOND, MORNING + 9 * SECOND, 2)
    missed.take(feed.say("disconnected", 20 * SECOND, start=MORNING + 19 * SECOND))
    assert marked(missed, of) == GapMark("line/1/5", MORNING + SECOND, None, 3)
    missed.take(feed.say("resubscribed", 30 * SECOND, codes="all"))
    missed.take(feed.gap(19 * SECOND, 30 * SECOND))
    assert marked(missed, of) == GapMark("line/1/7", MORNING + SECOND, MORNING + 30 * SECOND, 3)
    # Read anew by another worker, it is the same; and the next session is whole.
    anew = row([tick(1, 10.0)], missed)
    assert anew.gap == of.gap
    assert (
        row([tick(1, 10.0), tick(2, 10.0, time=NINE_THIRTY + DAY, received=MORNING + DAY * 1000)], missed).gap is None
    )


def test_a_gap_of_two_lines_is_covered_by_one_mark() -> None:
    """Of a code that both bring: whichever began first, and both count."""
    one, other = Feed("a"), Feed("b")
    missed = known(
        one.say("subscribed", 0, codes="all"),
        other.say("subscribed", 0, codes="all"),
        one.gap(5 * SECOND, 9 * SECOND),
        other.gap(2 * SECOND, 3 * SECOND),
    )
    of = row([tick(1, 10.0, source="a"), tick(1, 10.0, source="b")])
    assert marked(missed, of) == GapMark("a/1/2", MORNING + 2 * SECOND, MORNING + 9 * SECOND, 2)


def test_what_the_next_producer_says_of_a_killed_one_counts_once() -> None:
    """Its gap takes the place of what was taken for one until then; codes that it does not bring keep theirs."""
    feed, after = Feed(), Feed(run=2)
    missed = known(
        feed.say("started", 0),
        feed.say("subscribed", SECOND, codes=["600519", "000001"]),
        after.say("started", 60 * SECOND),
    )
    mine, others = row([tick(40_000, 10.0)]), row([tick(40_000, 10.0, code="000001")], code="000001")
    assert marked(missed, mine) == GapMark("line/2/1", MORNING + 40 * SECOND, None, 1)
    told = {"start": MORNING + 41 * SECOND, "end": MORNING + 61 * SECOND, "detected": "killed", "codes": ["600519"]}
    for event in (after.say("subscribed", 61 * SECOND, codes=["600519"]), after.say("gap", 61 * SECOND, **told)):
        missed.take(event)
    assert marked(missed, mine) == GapMark("line/2/3", MORNING + 41 * SECOND, MORNING + 61 * SECOND, 1)
    assert marked(missed, others) == GapMark("line/2/1", MORNING + 40 * SECOND, MORNING + 61 * SECOND, 1)


def test_what_a_partition_lost_marks_all_its_codes() -> None:
    """Those that no row was known of as well: the log lost records before they were read."""
    lost = FeedEvent(
        *("gap", "ashare-snapshots@host:1", 5, 0, MORNING + 9 * SECOND),
        start=MORNING + SECOND,
        end=MORNING + 5 * SECOND,
        codes=["000001"],
        detected="retention",
        line="ashare.ticks.v1/3",
        id="w/5/1",
    )
    missed = known(lost)
    assert marked(missed, row([tick(1, 10.0)])) == GapMark("w/5/1", MORNING + SECOND, MORNING + 5 * SECOND, 1)
    other: dict[str, SnapshotRow] = {}
    Snapshots(missed).apply(other, chunk([tick(1, 10.0, code="000001")], partition=4))
    assert other["000001"].gap is None


def test_a_day_of_many_gaps_is_marked_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the first ones are not remembered any more; lists of codes are held once, however often they are named."""
    monkeypatch.setattr(missing, "REMEMBERED", 10)
    feed, codes = Feed(), [f"{number:06}" for number in range(600_000, 605_000)] + ["600519"]
    missed, of = known(feed.say("subscribed", 0, codes=codes)), row([tick(1, 10.0)])
    for number in range(100):
        missed.take(feed.gap(number * SECOND, number * SECOND + 1, codes))
        marked(missed, of)
    assert of.gap is not None
    assert (of.gap.start, of.gap.end, of.gap.count) == (MORNING, MORNING + 99 * SECOND + 1, 10)
    assert missed._named == 5_000


GAPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.booleans()), min_size=1, max_size=20)


@given(GAPS)
def test_marks_are_the_decision_s(gaps: list[tuple[int, int, bool]]) -> None:
    """The rule of ``docs/decisions.md``, written a second time."""
    feed = Feed()
    missed, of, mine = known(feed.say("subscribed", 0, codes="all")), row([tick(1, 10.0)]), []
    for start, length, concerns in gaps:
        event = feed.gap(start * SECOND, (start + length) * SECOND, ["600519"] if concerns else ["000001"])
        missed.take(event)
        if concerns:
            mine.append(event)
    if not mine:
        assert marked(missed, of) is None
        return
    last = max(mine, key=lambda event: event.at)
    covered = (min(event.start or 0 for event in mine), max(event.end or 0 for event in mine))
    assert marked(missed, of) == GapMark(last.id or "", *covered, len(mine))


EVENTS = st.lists(
    st.sampled_from(["disconnected", "gap", "resubscribed", "stopped", "started", "subscribed"]), max_size=12
)


@given(EVENTS, st.integers(0, 12), st.data())
def test_the_mark_does_not_depend_on_when_events_are_read(names: list[str], ticks: int, data: st.DataObject) -> None:
    """A row that lived through the events ends as one that is restored from any state and meets them all at once."""
    feeds, events, run = Feed(), [], 1
    for place, name in enumerate(["started", "subscribed", *names], 1):
        if name == "started" and place > 1:
            run += 1
            feeds = Feed(run=run)
        at = place * SECOND
        start = MORNING + at - SECOND // 2 if name in {"disconnected", "gap"} else None
        end = MORNING + at if name == "gap" else None
        events.append(feeds.say(name, at, start=start, end=end, codes="all"))
    # Ticks only before the events: of a killed producer a row that lived through knows more.
    pushed = [tick(n, 10.0) for n in range(1, ticks + 2)]
    lived: dict[str, SnapshotRow] = {}
    job = Snapshots()
    cut = data.draw(st.integers(0, len(events)))
    job.apply(lived, chunk(list(pushed)))
    kept = [encode(of.record()) for of in lived.values()]
    for number, event in enumerate(events, 1):
        job.missing.take(event)
        for of in lived.values():
            job.missing.mark(of)
        if number == cut:
            kept = [encode(of.record()) for of in lived.values()]
    restored = Snapshots(known(*events))
    for value in kept:
        _, of = restored.restore(value)
        restored.missing.mark(of)
        assert of.record() == lived["600519"].record()

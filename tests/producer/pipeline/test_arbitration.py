"""Two lines become one stream: everything that one of them brought, nothing twice, in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.feeds import feeds
from producer.feeds.decoded import FeedTick
from producer.feeds.provider import Capabilities, Units
from producer.pipeline.arbitration import HOLD, WINDOW, Admitted, Arbiter
from producer.pipeline.matching import Matching
from producer.pipeline.statistics import Quantiles

START = 1_795_138_200_000_000  # 2026-11-20 09:30 in Shanghai, µs since the epoch
MS = 1_000
SECOND = 1_000_000
CODES = ("600519", "000001")

Named = tuple[str, int, float, int | float | None, int | None]


def tick(ms: int = 0, *, code: str = "600519", price: float = 10.0, volume: int | None = 100, **more: Any) -> FeedTick:
    return FeedTick(code, "SSE", price, START // 1000 + ms, volume, **more)


def name(one: FeedTick) -> Named:
    return one.code, one.time, one.price, one.volume, one.seq


def flat(admitted: Admitted) -> list[FeedTick]:
    return [one for _, ticks in admitted for one in ticks]


@dataclass
class Stream:
    """An arbiter and all that it let on."""

    arbiter: Arbiter = field(default_factory=Arbiter)
    out: list[FeedTick] = field(default_factory=list)
    now: int = START

    def bring(self, line: int, *ticks: FeedTick, at: int | None = None) -> list[FeedTick]:
        """A frame of a line; gives what went on."""
        self.now = self.now if at is None else START + at
        on = flat(self.arbiter.admit(line, ticks, self.now))
        self.out += on
        return on

    def lose(self, line: int, at: int | None = None) -> list[FeedTick]:
        """The end of a line's connection; gives what went on."""
        self.now = self.now if at is None else START + at
        on = flat(self.arbiter.reset(line, self.now))
        self.out += on
        return on

    def wait(self, at: int) -> list[FeedTick]:
        """Let time pass; gives what went on."""
        self.now = START + at
        on = flat(self.arbiter.expire(self.now))
        self.out += on
        return on


# Few times, prices and volumes, so that many ticks are alike; of some, one line or the other has none.
EQUALS = st.builds(
    tick,
    st.integers(0, 2),
    code=st.sampled_from(CODES),
    price=st.sampled_from([10.0, 10.01]),
    volume=st.sampled_from([100, None]),
)
BROUGHT = st.lists(st.tuples(EQUALS, st.sampled_from(["both", "both", "first", "second"])), max_size=40)


@settings(max_examples=400, deadline=None)
@given(BROUGHT, st.data())
def test_the_union_of_both_lines_and_nothing_twice(brought: list[tuple[FeedTick, str]], data: st.DataObject) -> None:
    """Whatever either line lost unnoticed, in any interleaving: of each key, as many as the line with most brought."""
    lines = [
        [one for one, who in brought if who in {"both", "first"}],
        [one for one, who in brought if who in {"both", "second"}],
    ]
    stream, places = Stream(), [0, 0]
    while left := [line for line in (0, 1) if places[line] < len(lines[line])]:
        line = data.draw(st.sampled_from(left))
        size = data.draw(st.integers(1, 4))
        stream.now += data.draw(st.sampled_from([0, MS, HOLD]))
        stream.bring(line, *lines[line][places[line] : places[line] + size])
        places[line] += size
    stream.wait(stream.now - START + HOLD)
    counted = [Counter(map(name, line)) for line in lines]
    assert Counter(map(name, stream.out)) == counted[0] | counted[1]
    assert stream.arbiter.due is None


STEPS = 60
STEP = 10 * MS
SPELLS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


@dataclass
class Way:
    """A line over time: while it is up it brings all, after a lag of its own; what is under way at its end is lost."""

    spells: list[int]
    lags: list[int]

    def events(self, emitted: list[list[FeedTick]], *, up: bool) -> list[tuple[int, int, list[FeedTick]]]:
        """With its time and kind, each loss (0), connection (1) and delivery (2)."""
        events: list[tuple[int, int, list[FeedTick]]] = []
        step, at = 0, -1
        for number in range(STEPS):
            spell = self.spells[number % len(self.spells)]
            end = min(step + spell, STEPS)
            last = end * STEP if end < STEPS else STEPS * STEP * 100
            if up:
                events.append((step * STEP, 1, []))
                for each in range(step, end):
                    at = max(at + 1, each * STEP + self.lags[each % len(self.lags)])
                    if at < last:
                        events.append((at, 2, emitted[each]))
                if end < STEPS:
                    events.append((last, 0, []))
                    at = last
            step, up = end, not up
            if step == STEPS:
                break
        return events


LAGS = st.lists(st.integers(0, HOLD // MS - 30).map(lambda ms: ms * MS), min_size=1, max_size=6)
WAYS = st.builds(Way, SPELLS, LAGS)
EMITTED = st.lists(
    st.tuples(st.sampled_from(CODES), st.sampled_from([10.0, 10.01]), st.integers(1, 3)), min_size=STEPS, max_size=STEPS
)


@settings(max_examples=400, deadline=None)
@given(EMITTED, WAYS, WAYS, st.booleans())
def test_lines_that_come_and_go_leave_the_feeds_own_order(
    drawn: list[tuple[str, float, int]], first: Way, second: Way, both: bool
) -> None:
    """However often either is lost and comes back, and whichever is ahead: what any brought, once, in order."""
    emitted = [
        [tick(step * STEP // MS, code=code, price=price)] * count for step, (code, price, count) in enumerate(drawn)
    ]
    events = sorted(
        (at, kind, line, number, ticks)
        for line, way in enumerate([first, second])
        for number, (at, kind, ticks) in enumerate(way.events(emitted, up=both or line == 0))
    )
    stream = Stream()
    brought: set[int] = set()
    for at, kind, line, _, ticks in events:
        if stream.arbiter.due is not None and stream.arbiter.due <= START + at:
            stream.wait(stream.arbiter.due - START)
        if kind == 0:
            stream.lose(line, at)
        elif kind == 1:
            stream.arbiter.connected(line)
        else:
            stream.bring(line, *ticks, at=at)
            brought.add(ticks[0].time)
    stream.wait(stream.now - START + HOLD)
    for code in CODES:
        expected = [one for ticks in emitted for one in ticks if one.time in brought and one.code == code]
        assert [one for one in stream.out if one.code == code] == expected


def test_equal_trades_of_one_millisecond_all_go_on() -> None:
    """Three genuine trades alike are three, whichever line brings which of them first."""
    stream = Stream()
    stream.bring(0, tick(), tick())
    stream.bring(1, tick(), tick(), tick())
    stream.bring(0, tick())
    assert len(stream.out) == 3


def test_a_number_says_what_counting_can_not() -> None:
    """With a sequence, each line may lose another of two equal trades, and a true repeat goes on once."""
    stream = Stream(Arbiter(matching=Matching(sequence=True)))
    stream.bring(0, tick(seq=1), tick(seq=1))
    stream.bring(1, tick(seq=2))
    stream.bring(0, tick(seq=3))
    stream.bring(1, tick(seq=3), tick(seq=None), tick(seq=None))
    stream.wait(HOLD * 2)
    assert Counter(one.seq for one in stream.out) == Counter([1, 2, 3, None, None])
    assert stream.arbiter.statistics[0].repeated == 1


def test_a_number_that_begins_again_is_another_tick() -> None:
    """A counter that is reset over night does not hide the next day's ticks."""
    stream = Stream(Arbiter(matching=Matching(sequence=True)))
    stream.bring(0, tick(0, seq=7), tick(1, seq=7))
    assert len(stream.out) == 2


@pytest.mark.parametrize(
    ("matching", "other"),
    [
        (Matching(volume=None), tick(500, volume=None)),
        (Matching(volume="cumulative"), tick(500, volume=None)),
        (Matching(resolution=1000), tick(0)),
    ],
)
def test_only_what_both_lines_carry_is_compared(matching: Matching, other: FeedTick) -> None:
    """Lines of two providers: one without comparable volume, one whose time is in seconds."""
    stream = Stream(Arbiter(matching=matching))
    stream.bring(0, tick(500))
    stream.bring(1, other)
    assert stream.out == [tick(500)]


def test_a_push_that_comes_late_is_not_traded_twice() -> None:
    """Of a cumulative feed: the line ahead lost a push, whose shares are in its next one's volume."""
    stream = Stream(Arbiter(matching=Matching(volume="cumulative")))
    pushes = [tick(ms, volume=100, turnover=1000.0, cumulative=100 * ms) for ms in (1, 2, 3)]
    stream.bring(0, pushes[0])
    stream.bring(1, pushes[0])
    ahead = tick(3, volume=200, turnover=2000.0, cumulative=300)
    assert stream.bring(0, ahead) == [ahead]
    assert stream.bring(1, *pushes[1:]) == [tick(2, volume=None, turnover=None, cumulative=200)]
    again = tick(4, volume=5, cumulative=5)
    assert stream.bring(1, again) == [again]


def test_what_two_providers_have_in_common() -> None:
    """Numbers only within one provider; volumes that are of one kind; the coarser time."""
    post = feeds()["post"].capabilities
    assert Matching.of(post, post) == Matching()
    one = Capabilities("", "", "none", carries=("volume",), sequence="code")
    assert Matching.of(one, one) == Matching(sequence=True)
    assert Matching.of(one, replace(one, about="another")) == Matching()
    assert Matching.of(one, replace(one, carries=())) == Matching(volume=None)
    assert Matching.of(one, replace(one, volume_is="cumulative")) == Matching(volume=None)
    total = replace(one, volume_is="cumulative", units=Units(time="s"))
    assert Matching.of(total, total) == Matching(sequence=True, volume="cumulative", resolution=1000)


def test_a_line_that_comes_back_ahead_waits_for_what_it_missed() -> None:
    """Ticks that are still under way on the other line go on before; then both run free."""
    stream = Stream()
    stream.bring(0, tick(1))
    stream.bring(1, tick(1))
    stream.lose(0)
    assert stream.bring(0, tick(4), tick(5), at=10 * MS) == []
    assert stream.arbiter.due == START + 10 * MS + HOLD
    assert stream.bring(1, tick(2), tick(3), at=20 * MS) == [tick(2), tick(3)]
    assert stream.bring(1, tick(4), at=30 * MS) == [tick(4), tick(5)]
    assert stream.bring(0, tick(6)) == [tick(6)]
    assert stream.bring(1, tick(5), tick(6)) == []


def test_what_was_held_keeps_its_own_receipt() -> None:
    """`received` is when the frame came off its own line's socket, also of ticks that waited."""
    arbiter = Arbiter()
    arbiter.admit(0, [tick(1)], START)
    arbiter.admit(1, [tick(3), tick(4)], START + 1)
    assert arbiter.admit(0, [tick(2), tick(3), tick(5)], START + 2) == [
        (START + 2, [tick(2), tick(3)]),
        (START + 1, [tick(4)]),
        (START + 2, [tick(5)]),
    ]


def test_a_line_waits_half_a_second_at_the_most() -> None:
    """Where the older line stays silent, the younger one takes over; so it does at once where the older one is lost."""
    stream = Stream()
    stream.bring(0, tick(1))
    assert stream.bring(1, tick(5)) == []
    assert stream.wait(HOLD - 1) == []
    assert stream.wait(HOLD) == [tick(5)]
    assert stream.arbiter.statistics[1].expired == 1
    assert stream.bring(1, tick(6)) == [tick(6)]
    assert stream.bring(1, tick(7, code="000001"), at=HOLD + MS) == []
    assert stream.lose(0) == [tick(7, code="000001")]
    assert stream.bring(1, tick(8, code="688981")) == [tick(8, code="688981")]


def test_a_silent_line_holds_nobody_up() -> None:
    """Of two lines that run, the one that goes silent costs the stream not a millisecond."""
    stream = Stream()
    for ms in range(3):
        stream.bring(0, tick(ms))
        stream.bring(1, tick(ms))
    assert stream.bring(1, tick(4), at=4 * MS) == [tick(4)]


def test_a_cached_snapshot_after_a_reconnect_is_no_new_tick() -> None:
    """A feed that pushes the latest tick again when it is subscribed again does not double it, even hours later."""
    stream = Stream()
    stream.bring(0, tick(1))
    stream.bring(1, tick(1))
    for other in range(3):
        stream.bring(1, tick(other, code="000001"), at=(other + 1) * WINDOW)
    stream.lose(0)
    assert stream.bring(0, tick(1)) == []
    assert stream.bring(0, tick(9)) == [tick(9)]


def test_what_is_forgotten_does_not_come_twice() -> None:
    """A line that lags behind the window brings what went on long ago: dropped, and counted."""
    stream = Stream()
    for step in range(4):
        stream.bring(0, tick(step * 1000), at=step * SECOND)
    stream.bring(0, tick(90_000), at=90 * SECOND)
    for step in range(4):
        assert stream.bring(1, tick(step * 1000), at=91 * SECOND) == []
    stream.wait(92 * SECOND)
    assert len(stream.out) == 5
    assert stream.arbiter.statistics[1].too_late == 4


def test_a_time_that_can_not_be_true_stops_no_line() -> None:
    """One line's tick of the year 2099, forgotten, does not make the other's look old."""
    stream = Stream()
    stream.bring(0, tick(10**12), tick(1))
    stream.bring(0, tick(60_000), at=60 * SECOND)
    stream.lose(0)
    assert stream.bring(1, tick(61_000), at=61 * SECOND) == [tick(61_000)]


def test_memory_is_bounded() -> None:
    """Beyond its limit the oldest ticks are forgotten early, and that is counted; none is lost by it."""
    stream = Stream(Arbiter(limit=10))
    for ms in range(100):
        stream.bring(0, tick(ms))
    assert len(stream.out) == 100
    assert stream.arbiter.forgotten >= 89
    remembered = sum(len(row.entries) for row in stream.arbiter._rows.values())
    assert remembered <= 12


def test_who_was_first_and_by_how_much() -> None:
    """Of each line: what it brought first, what second, and how far behind."""
    stream = Stream()
    for ms in range(100):
        stream.bring(0, tick(ms * 10), at=ms * 10 * MS)
        stream.bring(1, tick(ms * 10), at=ms * 10 * MS + 2 * MS)
    ahead, behind = stream.arbiter.statistics
    assert (ahead.first, ahead.second, behind.first, behind.second) == (100, 0, 0, 100)
    assert behind.behind.count == 100
    assert 2 * MS <= (behind.behind.at(0.5) or 0) <= 2 * MS * 9 // 8
    assert ahead.behind.at(0.5) is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_quantiles_are_right_to_an_eighth(values: list[int], share: float) -> None:
    """Never below the true quantile, and above it by no more than an eighth."""
    quantiles = Quantiles()
    for value in values:
        quantiles.add(value)
    true = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    found = quantiles.at(share)
    assert found is not None
    assert true <= found <= true + true // 8 + 1


def test_three_lines() -> None:
    """Any number of lines; each waits for the one that has been there longest."""
    stream = Stream(Arbiter(3))
    stream.bring(2, tick(1))
    assert stream.bring(0, tick(3)) == []
    assert stream.bring(1, tick(2)) == []
    assert stream.bring(2, tick(2), tick(3)) == [tick(2), tick(3)]
    assert stream.bring(1, tick(3)) == []
    assert stream.bring(0, tick(4)) == [tick(4)]

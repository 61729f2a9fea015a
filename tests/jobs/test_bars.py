"""The bars job: bars of one minute, closed by market time, the same wherever the log is cut or read again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.bar_rows import BarRow
from jobs.bars import KEPT, Bars, Made
from schemas import Bar, FeedEvent, Tick, encode
from tests.jobs.chunks import chunk
from tests.jobs.days import Key, at, days, plain_bars, shown, tick


def key(bar: Bar) -> Key:
    return bar.code, bar.start, bar.auction


def last(made: Sequence[Made]) -> dict[Key, Bar]:
    """The last record of each bar."""
    return {key(one.bar): one.bar for one in made}


def run(ticks: Sequence[Tick], job: Bars | None = None, *, finish: bool = True) -> list[Made]:
    """What a job makes of ticks in one chunk, to the end of the log."""
    job = job or Bars()
    made, _ = job.apply({}, chunk(list(ticks)))
    return made + (job.finish(3) if finish else [])


def test_other_codes_close_a_bar() -> None:
    """Two seconds of market time after its end, whether the code itself ever ticks again."""
    made = run(
        [
            tick(1, at("09:30:05"), 10.0),
            tick(2, at("09:30:59"), 10.2),
            tick(3, at("09:31:01.999"), 5.0, "000001"),
            tick(4, at("09:31:02"), 5.1, "000001"),
        ],
        finish=False,
    )
    (only,) = made
    assert only.offset == 3
    assert (only.bar.start, only.bar.end, only.bar.session) == (at("09:30"), at("09:31"), "2026-11-20")
    assert (only.bar.open, only.bar.close, only.bar.ticks, only.bar.revision, only.bar.auction) == (
        10,
        10.2,
        2,
        0,
        None,
    )
    assert (only.bar.origin.partition, only.bar.origin.offset) == (3, 1)


@pytest.mark.parametrize(
    ("clock", "start", "auction"),
    [
        ("09:25:00", "09:25", "opening"),
        ("09:29:59.999", "09:25", "opening"),
        ("09:30:00", "09:30", None),
        ("11:29:59.999", "11:29", None),
        ("11:30:00", "11:29", None),
        ("11:30:59.999", "11:29", None),
        ("13:00:00", "13:00", None),
        ("14:57:00", "14:57", None),
        ("14:59:59.999", "14:59", None),
        ("15:00:00", "14:59", "closing"),
        ("15:00:03", "14:59", "closing"),
    ],
)
def test_the_minute_of_an_instant(clock: str, start: str, auction: str | None) -> None:
    """11:30:00 and 15:00:00 belong to the bar before, and each auction is a bar of its own."""
    (made,) = run([tick(1, at(clock), 10.0)])
    assert (made.bar.start, made.bar.end, made.bar.auction) == (at(start), at(start) + 60_000, auction)


@pytest.mark.parametrize("clock", ["09:24:59.999", "11:31:00", "12:59:59", "15:01:00", "15:05:00", "15:29:00"])
def test_out_of_hours_there_is_no_bar(clock: str) -> None:
    """The trading at a fixed price after the close is in none."""
    job = Bars()
    assert run([tick(1, at(clock), 10.0)], job) == []
    assert job.outside == 1


def test_no_trade_no_record() -> None:
    """A push with a volume of 0 is none; one whose volume nobody knows is."""
    assert run([tick(1, at("09:30"), 10.0, volume=0)]) == []
    (made,) = run([tick(1, at("09:30"), 10.0, volume=None, turnover=None)])
    assert (made.bar.volume, made.bar.turnover, made.bar.ticks) == (None, None, 1)


def test_what_traded_between_two_pushes_raises_high_and_low() -> None:
    """Where the day's own high or low moved, and only then: at the first push nobody knows since when it stands."""
    (made,) = run(
        [
            tick(1, at("09:40:01"), 10.0, day_high=11.0, day_low=9.0),
            tick(2, at("09:40:04"), 10.1, day_high=11.0, day_low=9.0),
            tick(3, at("09:40:07"), 10.2, day_high=11.3, day_low=8.9),
            tick(4, at("09:40:10"), 10.0, day_high=11.1, day_low=8.95, quality="day_figures"),
        ]
    )
    assert (made.bar.open, made.bar.high, made.bar.low, made.bar.close) == (10.0, 11.3, 8.9, 10.0)


def test_a_price_that_breaks_a_rule_moves_none_of_the_others() -> None:
    """It counts, with its volume; a bar of nothing else shows it."""
    doubtful = {"quality": "outside_limits"}
    (made,) = run([tick(1, at("09:30:01"), 99.0, **doubtful), tick(2, at("09:30:02"), 98.0, **doubtful)])
    assert shown(made.bar)[:4] == (99.0, 99.0, 98.0, 98.0)
    (made,) = run(
        [
            tick(1, at("09:30:01"), 99.0, **doubtful),
            tick(2, at("09:30:02"), 10.0),
            tick(3, at("09:30:03"), 10.1),
            tick(4, at("09:30:04"), 1.0, **doubtful),
        ]
    )
    assert (*shown(made.bar)[:4], made.bar.doubtful, made.bar.ticks, made.bar.volume) == (10, 10.1, 10, 10.1, 2, 4, 400)


def test_a_late_tick_makes_the_next_revision() -> None:
    """At once, with all that the bar held before."""
    made = run(
        [
            tick(1, at("09:30:05"), 10.0),
            tick(2, at("09:31:05"), 5.0, "000001"),
            tick(3, at("09:30:58"), 10.4),
            tick(4, at("09:30:30"), 10.3, "000001"),
        ],
        finish=False,
    )
    assert [(one.bar.code, one.offset, one.bar.revision, one.bar.ticks) for one in made] == [
        ("600519", 1, 0, 1),
        ("600519", 2, 1, 2),
        ("000001", 3, 0, 1),
    ]
    assert shown(made[1].bar)[:5] == (10.0, 10.4, 10.0, 10.4, 200)


def test_a_tick_that_is_too_late_changes_nothing() -> None:
    """A bar that is not kept any more can't be made anew from a single tick."""
    job = Bars()
    ticks = [tick(n, at(f"09:3{n}:05"), 10.0) for n in range(KEPT + 1)]
    made = run([*ticks, tick(9, at("09:30:30"), 99.0)], job)
    assert job.late == 1
    assert len(made) == KEPT + 1
    assert last(made)["600519", at("09:30"), None].high == 10.0


def test_a_tick_that_is_dated_ahead_closes_nothing() -> None:
    """One wrong tick never keeps a later right one out."""
    job = Bars()
    made = run(
        [
            tick(1, at("09:30:05"), 10.0),
            tick(2, at("10:30:05"), 10.0, quality="future", received=at("09:30:06") * 1000),
            tick(3, at("09:30:05", day=3), 10.0, "000001", received=at("09:30:06") * 1000),
            tick(4, at("12:00:05"), 10.0, quality="off_session", received=at("12:00:06") * 1000),
            tick(5, at("09:30:58"), 10.1),
            tick(6, at("09:30:59"), 5.0, "000001"),
        ],
        job,
        finish=False,
    )
    assert (made, job.outside) == ([], 3)
    assert [(one.bar.code, one.bar.ticks) for one in job.finish(3)] == [("000001", 1), ("600519", 2)]


def test_a_new_day_leaves_nothing_open_and_an_old_one_changes_nothing() -> None:
    """The bars of a session are whole when the next one begins."""
    job = Bars()
    made = run(
        [
            tick(1, at("15:00:01"), 10.0),
            tick(2, at("09:25:00", day=3), 11.0),
            tick(3, at("14:59:59"), 12.0),
            tick(4, at("09:25:01", day=3), 11.1),
        ],
        job,
    )
    assert [(one.bar.session, one.bar.auction, one.bar.ticks) for one in made] == [
        ("2026-11-20", "closing", 1),
        ("2026-11-23", "opening", 2),
    ]
    assert job.late == 1


def test_a_clock_closes_what_no_tick_does() -> None:
    """Before a pause ten seconds after its end. What comes then is late."""
    job, rows = Bars(), dict[str, BarRow]()
    job.apply(rows, chunk([tick(1, at("11:29:58"), 10.0)]))
    assert job.close(3, at("11:30:09.999")) == ([], set())
    (first,), touched = job.close(3, at("11:30:10"))
    assert touched == {rows["600519"]}
    (second,), _ = job.apply(rows, chunk([tick(2, at("11:30:03"), 10.1)], start=1))
    assert (first.bar.revision, second.bar.revision, second.bar.ticks) == (0, 1, 2)
    assert job.market(3) == at("11:30:03")


def test_a_code_of_another_market_has_bars_all_day() -> None:
    """Its hours are not known here: each minute has its bar, and none is an auction's."""
    other = Tick("BTC.BINANCE", "BINANCE", 1e5, at("03:00:30"), at("03:00:30") * 1000, "line", 1, 1, volume=0.5)
    (made,) = run([other])
    assert (made.bar.start, made.bar.end, made.bar.auction, made.bar.volume) == (at("03:00"), at("03:01"), None, 0.5)


def test_a_bar_says_what_may_be_missing_of_it() -> None:
    """Gaps of its minute, by the clock at which its ticks came; one told of later makes a new revision."""
    job, rows = Bars(), dict[str, BarRow]()
    begin, end = at("09:31:10.2") * 1000, at("09:31:20.2") * 1000
    for code in ("600519", "000001"):
        job.apply(rows, chunk([tick(1, at("09:30:30"), 10.0, code)]))
    made, _ = job.apply(rows, chunk([tick(2, at("09:31:30"), 10.1), tick(3, at("09:32:30"), 10.2)], start=2))
    gap = FeedEvent("gap", "line", 1, 3, end, start=begin, end=end, codes=["600519"], id="line/1/1")
    job.missing.take(gap)
    marked, changed = job.remark(rows["600519"])
    assert changed
    (anew,) = marked
    assert (anew.bar.start, anew.bar.revision) == (at("09:31"), 1)
    assert anew.bar.gap is not None
    assert (anew.bar.gap.start, anew.bar.gap.end, anew.bar.gap.id) == (begin, end, "line/1/1")
    assert job.remark(rows["600519"]) == ([], False)
    assert {one.bar.gap for one in made} == {None}


@given(days())
def test_any_day_gives_the_bars_of_the_plain_computation(ticks: list[Tick]) -> None:
    """Open, high, low, close, volume, turnover and ticks, to the last digit."""
    made = run(ticks)
    assert {of: shown(bar) for of, bar in last(made).items()} == plain_bars(ticks)
    revisions: dict[Key, int] = {}
    for one in made:
        assert one.bar.revision == revisions.get(key(one.bar), -1) + 1
        revisions[key(one.bar)] = one.bar.revision


@given(days(), st.data())
def test_wherever_it_is_resumed_the_last_revisions_are_the_same(ticks: list[Tick], data: st.DataObject) -> None:
    """Whatever rows were published last, and however the log is cut."""
    uninterrupted = Bars()
    whole = last(run(ticks, uninterrupted))
    committed = data.draw(st.integers(0, len(ticks)))
    before, rows = Bars(), dict[str, BarRow]()
    made, _ = before.apply(rows, chunk(ticks[:committed]))
    published = {code: encode(row.record()) for code, row in rows.items()}
    # Rows may be ahead of the commit, each as it was after some later chunk; what they published went out before them.
    ahead = sorted(data.draw(st.lists(st.integers(committed, len(ticks)), max_size=3)))
    for end in ahead:
        more, touched = before.apply(rows, chunk(ticks[committed:end], start=committed))
        made += more
        some = data.draw(st.sets(st.sampled_from(sorted(row.code for row in touched)))) if touched else set()
        published |= {code: encode(rows[code].record()) for code in some}
    job, resumed = Bars(), {}
    for value in published.values():
        code, row = job.restore(value)
        resumed[code] = row
    at_offset = committed
    while at_offset < len(ticks):
        until = data.draw(st.integers(at_offset + 1, len(ticks)))
        more, _ = job.apply(resumed, chunk(ticks[at_offset:until], start=at_offset))
        made += more
        at_offset = until
    job.apply(resumed, chunk([], start=committed))
    made += job.finish(3)
    found = last(made)
    assert {of: shown(bar) for of, bar in found.items()} == {of: shown(bar) for of, bar in whole.items()}
    # What a tick without a trade said of the market's time is in no row: then a bar may be revised once less.
    if not ahead and not uninterrupted.outside and all(one.volume for one in ticks):
        assert {of: bar.revision for of, bar in found.items()} == {of: bar.revision for of, bar in whole.items()}


@given(days())
def test_the_order_of_codes_does_not_matter(ticks: list[Tick]) -> None:
    """Each code's bars follow from its own ticks; of others only when they are closed."""
    by_code = sorted(ticks, key=lambda one: one.code)
    assert {of: shown(bar) for of, bar in last(run(by_code)).items()} == {
        of: shown(bar) for of, bar in last(run(ticks)).items()
    }


@given(days())
def test_restored_rows_are_the_rows(ticks: list[Tick]) -> None:
    """To the byte."""
    rows: dict[str, BarRow] = {}
    Bars().apply(rows, chunk(ticks))
    for row in rows.values():
        kept = encode(row.record())
        assert encode(Bars().restore(kept)[1].record()) == kept

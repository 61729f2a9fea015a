"""What a repeat is, and that neither a run that fell nor a forged name keeps a code's ticks out for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.changes import Changes
from jobs.marks import HANDFUL, HEALS_US, Marked, Repeats
from jobs.snapshots import Snapshots
from jobs.thresholds import parse_overrides
from schemas import LineMark, Tick, encode
from schemas.bounds import EXACT, MAX_LINES
from tests.jobs.chunks import NINE_THIRTY, chunk, tick

SECOND = 1_000_000
MORNING = NINE_THIRTY * 1000

Jobs = Callable[[], Any]
JOBS = pytest.mark.parametrize(
    "make", [Snapshots, lambda: Changes(parse_overrides("0", ""))], ids=["snapshots", "changes"]
)


def nothing() -> dict[str, Any]:
    """No rows yet."""
    return {}


def applied(job: Any, rows: dict[str, Any], ticks: list[Tick], start: int = 0) -> list[float]:
    """The prices that took effect, tick by tick."""
    before = job.repeated
    prices = []
    for offset, one in enumerate(ticks, start):
        job.apply(rows, chunk([one], start=offset))
        if job.repeated == before:
            prices.append(one.price)
        before = job.repeated
    return prices


def at(n: int, seconds: float, *, run: int = 1, code: str = "600519", source: str = "line") -> Tick:
    """A tick received so many seconds after 09:30."""
    return tick(n, 10 + n / 100, run=run, code=code, source=source, received=MORNING + int(seconds * SECOND))


@JOBS
def test_a_run_that_fell_is_dropped_for_a_minute_at_most_and_told_of(make: Jobs) -> None:
    """49 ticks of a run below the last one: those of the first 60 s are dropped and told of, the others count."""
    job, rows = make(), nothing()
    applied(job, rows, [at(500, 0, run=2)])
    fallen = [at(n, 3 * n) for n in range(1, 50)]
    took = applied(job, rows, fallen, 1)
    assert took == [one.price for one in fallen if one.received > MORNING + HEALS_US]
    assert job.repeats.suspicious == 20
    (told,) = job.repeats.news()
    assert (told.source, told.count, told.last, told.got) == ("line", 20, (2, 500), (1, 20))
    assert "line" in str(told)
    assert job.repeats.news() == []


@JOBS
def test_a_forged_name_holds_a_code_for_a_minute(make: Jobs) -> None:
    """The largest run and number that a tick may have; then the right one is the last again."""
    job, rows = make(), nothing()
    forged = tick(EXACT, 99.0, run=NINE_THIRTY + 80_000_000, received=MORNING, time=NINE_THIRTY)
    assert applied(job, rows, [at(1, -1), forged, at(2, 1), at(3, 61), at(4, 62)]) == [10.01, 99.0, 10.03, 10.04]


@JOBS
def test_ticks_that_are_sent_again_are_no_news(make: Jobs) -> None:
    """However many, however long after: what is sent again has the receive time that it had."""
    job, rows = make(), nothing()
    ticks = [at(n, 10 * n) for n in range(1, 101)]
    applied(job, rows, ticks)
    assert applied(job, rows, ticks, 100) == []
    assert job.repeats.count == 100
    assert job.repeats.suspicious == 0
    assert job.repeats.many() == []


@JOBS
def test_the_rule_outlives_a_restart(make: Jobs) -> None:
    """Each line's receive time is kept with its mark: what is sent again stays out, what fell heals."""
    job, rows = make(), nothing()
    applied(job, rows, [at(7, 0, run=2), at(9, 100, run=2, source="other")])
    (row,) = rows.values()
    restored = make()
    kept = dict([restored.restore(encode(row.record()))])
    assert kept["600519"].record() == row.record()
    late = [at(7, 0, run=2), at(8, 50), at(9, 60.1), at(3, 159, source="other"), at(10, 161, source="other")]
    assert applied(restored, kept, late, 2) == [10.09, 10.1]
    assert restored.repeats.suspicious == 2


@JOBS
def test_a_row_of_an_older_version_does_not_heal_by_guess(make: Jobs) -> None:
    """Where the receive time of a mark is not known, what is below it stays a repeat: it may well be one."""
    job, rows = make(), nothing()
    applied(job, rows, [at(7, 0)])
    (row,) = rows.values()
    record = encode(row.record()).replace(b',"received":%d}' % MORNING, b"}")
    restored = make()
    kept = dict([restored.restore(record)])
    assert applied(restored, kept, [at(6, 0), at(7, 0), at(8, 1)], 1) == [10.08]


@JOBS
def test_what_a_worker_reads_again_is_a_repeat_though_a_clock_stepped_back(make: Jobs) -> None:
    """An hour between two runs: the rows are ahead of the commit after a kill, so the old run's ticks come again."""
    job, rows = make(), nothing()
    ticks = [*(at(n, 3600 + n) for n in range(1, 20)), *(at(n, n, run=2) for n in range(1, 20))]
    assert len(applied(job, rows, ticks)) == 38
    restored = make()
    kept = dict([restored.restore(encode(row.record())) for row in rows.values()])
    assert applied(restored, kept, ticks) == []
    assert applied(restored, kept, [at(20, 20, run=2)], 38) == [10.2]


def test_a_late_tick_moves_the_marks_receive_time_too() -> None:
    """It took effect on the marks: one that is sent again a minute later is a repeat all the same."""
    job, rows = Snapshots(), nothing()
    late = tick(2, 10.0, time=NINE_THIRTY - 86_400_000, received=MORNING + 90 * SECOND)
    applied(job, rows, [at(1, 0), late])
    assert rows["600519"].record().received == MORNING
    applied(job, rows, [late, at(1, 89)], 2)
    assert job.repeats.count == 2


def test_a_handful_is_not_told_and_an_effect_ends_the_row() -> None:
    """16 in a row are not told of; nor are 16 more after a tick that counted; 17 are, for each source by itself."""
    now = [0.0]
    job, rows = Snapshots(), nothing()
    job.repeats = Repeats(lambda: now[0])
    applied(job, rows, [at(100, 0), at(100, 0, source="other")])
    applied(job, rows, [at(n, 1) for n in range(HANDFUL)])
    applied(job, rows, [at(101, 2)])
    applied(job, rows, [at(n, 3) for n in range(HANDFUL)])
    assert job.repeats.many() == []
    applied(job, rows, [at(99, 4)])
    (many,) = job.repeats.many()
    assert (many.source, many.count, many.codes) == ("line", HANDFUL + 1, 1)
    now[0] += 61
    assert job.repeats.many() == []


def test_a_source_is_told_of_whose_codes_drop_one_each() -> None:
    """Of a whole market each code may drop a tick or two before its run is noticed: they add up."""
    job, rows = Snapshots(), nothing()
    codes = [f"{n}" for n in range(600_000, 600_020)]
    applied(job, rows, [at(50, 0, run=2, code=code) for code in codes])
    applied(job, rows, [at(n, 1, code=code) for n, code in enumerate(codes, 1)])
    assert [(many.count, many.codes) for many in job.repeats.news()] == [(20, 20)]


def test_what_lasts_is_told_of_once_a_minute() -> None:
    """Not with every tick."""
    now = [0.0]
    repeats, row = Repeats(lambda: now[0]), Marked()
    row.renew("line", 5, 5, MORNING)
    row.received = MORNING
    told = 0
    for second in range(181):
        now[0] = float(second)
        repeats.dropped(row, at(1, 1))
        told += len(repeats.news())
    assert told == 3


def test_memory_has_a_bound() -> None:
    """A writer that invents sources makes a row forget the ones that were heard of longest ago."""
    row = Marked()
    for number in range(MAX_LINES + 50):
        assert row.renew(f"s{number}", 1, 1, MORNING + number)
        row.received = MORNING + number
    assert len(row.lines()) == MAX_LINES
    assert row.came_by(f"s{MAX_LINES + 49}")
    assert not row.came_by("s0")


NAMES = st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(1, 4), st.integers(0, 200))


@given(st.lists(NAMES, max_size=40), st.integers(0, 40))
def test_marks_are_the_decisions_rule_whenever_they_are_restored(
    names: list[tuple[str, int, int, int]], cut: int
) -> None:
    """A second way to write the rule: one dictionary, nothing remembered apart."""
    row, last = Marked(), dict[str, tuple[tuple[int, int], int]]()
    for place, (source, run, n, seconds) in enumerate(names):
        received = MORNING + seconds * SECOND
        before = last.get(source)
        counts = before is None or (run, n) > before[0] or received > before[1] + 60 * SECOND
        if counts:
            last[source] = ((run, n), received)
        assert row.renew(source, run, n, received) is counts
        if counts:
            row.received = received
        if place == cut:
            lines = row.lines()
            row = Marked()
            row.restore_lines(lines)
    assert row.lines() == [LineMark(source, *name, received) for source, (name, received) in sorted(last.items())]

"""Thresholds set at run time: which is in force at which tick, and that a crash at any point changes nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from jobs.changes import ChangeRow, Changes
from jobs.in_force import HISTORY, InForce, MarkRow, Wanted, restore
from jobs.thresholds import parse_overrides
from schemas import PriceChange, RecordError, Threshold, Tick, encode
from tests.jobs import chunks
from tests.jobs.chunks import tick

BASE = parse_overrides("0.10", "board:STAR=0.20,code:688981=0.30")
PARTITION = 5
"""That of 600519."""


def chunk(ticks: Sequence[Tick | bytes], *, start: int = 0) -> Chunk:
    """Ticks of the partition."""
    return chunks.chunk(ticks, start=start, partition=PARTITION)


def wanted(*records: tuple[str, str | None]) -> Wanted:
    """The thresholds' topic with these records."""
    made = Wanted()
    for scope, threshold in records:
        put(made, scope, threshold)
    return made


def put(topic: Wanted, scope: str, threshold: str | None) -> None:
    """One more record."""
    value = None if threshold is None else encode(Threshold(scope, threshold))
    topic.take(scope.encode(), value, topic.position)


def settle(in_force: InForce, topic: Wanted, committed: int | None = None) -> list[bytes]:
    """Make durable what is due; gives the marks' records."""
    due, complete = in_force.due(topic, committed)
    assert complete
    in_force.take(due)
    return [encode(row.record()) for row in due]


def at(in_force: InForce, offset: int, code: str = "600519") -> str:
    """The threshold of a code at an offset."""
    ((_, thresholds),) = in_force.spans(offset, offset + 1)
    return str(thresholds.of(code))


def emitted(changes: list[PriceChange]) -> list[tuple[int, float]]:
    """Offset and threshold of each change."""
    return [(change.origin.offset, change.threshold) for change in changes]


def test_run_time_beats_the_setting_of_the_same_scope_and_a_narrower_scope_beats_both() -> None:
    """Code beats board beats default, wherever each comes from."""
    in_force = InForce(BASE, PARTITION, {}, 0)
    settle(in_force, wanted(("default", "1ticks"), ("board:STAR", "50bp")))
    assert at(in_force, 0) == "1ticks"
    assert at(in_force, 0, "688001") == "50bp", "the board's, not the run-time default"
    assert at(in_force, 0, "688981") == "0.3", "the code's setting, not the board's run-time threshold"


def test_a_threshold_begins_at_the_first_tick_that_nobody_can_have_judged() -> None:
    """Not before what was applied, and not within what may have been applied by a worker before this one."""
    in_force = InForce(BASE, PARTITION, {}, 100)
    settle(in_force, wanted(("default", "0.5")))
    assert [at(in_force, offset) for offset in (0, 99, 100)] == ["0.1", "0.1", "0.5"]


def test_a_threshold_takes_effect_in_the_middle_of_a_chunk() -> None:
    """The ticks before its offset are judged by the one before, those from it by the new one."""
    in_force = InForce(parse_overrides("0.10", ""), PARTITION, {}, 2)
    settle(in_force, wanted(("default", "0.02")))
    ticks: list[Tick | bytes] = [tick(n, 10 + n * 0.05) for n in range(5)]
    assert emitted(Changes(BASE).apply({}, chunk(ticks), in_force)[0]) == [(0, 0.1), (2, 0.02), (3, 0.02), (4, 0.02)]


def test_moves_still_count_from_the_last_emitted_price() -> None:
    """A smaller threshold emits a move that an earlier tick had made already; basis points are of that price."""
    in_force = InForce(parse_overrides("0.10", ""), PARTITION, {}, 0)
    job, rows = Changes(BASE), dict[str, ChangeRow]()
    first, _ = job.apply(rows, chunk([tick(1, 10.0), tick(2, 10.05)]), in_force)
    settle(in_force, wanted(("code:600519", "20bp")))
    (second,), _ = job.apply(rows, chunk([tick(3, 10.05)], start=2), in_force)
    assert len(first) == 1
    assert (second.previous, second.price, second.threshold, second.ticks) == (10.0, 10.05, 0.02, 2)


def test_unset_puts_the_setting_in_force_again() -> None:
    """A tombstone, with its own offset; what was set before stays known for ticks that come again."""
    in_force = InForce(BASE, PARTITION, {}, 0)
    topic = wanted(("default", "1ticks"))
    settle(in_force, topic)
    in_force.judged(10)
    put(topic, "default", None)
    (mark,) = settle(in_force, topic, committed=4)
    assert [at(in_force, 9), at(in_force, 10)] == ["1ticks", "0.1"]
    scope, row = restore(mark)
    again = InForce(BASE, PARTITION, {scope: row}, 50)
    assert [at(again, 9), at(again, 10)] == ["1ticks", "0.1"]
    assert in_force.now() == {}


def test_what_is_as_it_was_needs_no_mark() -> None:
    """The same threshold again, one that is unset without having been set, and a code of another partition."""
    in_force = InForce(BASE, PARTITION, {}, 0)
    topic = wanted(("default", "0.5"), ("code:000001", "0.5"), ("board:STAR", None))
    assert len(settle(in_force, topic)) == 1
    in_force.judged(5)
    put(topic, "default", "0.5")
    assert settle(in_force, topic) == []


def test_a_worker_that_has_read_less_changes_nothing() -> None:
    """The partition came from one that had seen a newer threshold: an older view does not bring back the old."""
    topic = wanted(("default", "0.5"))
    behind = wanted(("default", "0.5"))
    put(topic, "default", "0.7")
    put(topic, "board:STAR", "0.1")
    first = InForce(BASE, PARTITION, {}, 0)
    settle(first, topic)
    second = InForce(BASE, PARTITION, dict(first.rows), 9)
    assert settle(second, behind) == []
    assert at(second, 9) == "0.7"


def test_what_compaction_took_away_was_unset() -> None:
    """A worker that was down for longer than tombstones are kept finds nothing of the scope in the topic."""
    first = InForce(BASE, PARTITION, {}, 0)
    settle(first, wanted(("default", "0.5")))
    topic = Wanted()
    topic.reached(2)
    second = InForce(BASE, PARTITION, first.rows, 7)
    settle(second, topic)
    assert [at(second, 6), at(second, 7)] == ["0.5", "0.1"]


def test_topics_that_were_made_anew_do_not_hold_newer_thresholds_up() -> None:
    """Marks of versions and offsets that no longer exist give way."""
    old = MarkRow("default", [(5_000, "0.5")], version=70, number=3)
    in_force = InForce(BASE, PARTITION, {"default": old}, 8, versions=1)
    (mark,) = settle(in_force, wanted(("default", "0.7")))
    assert at(in_force, 8) == "0.7"
    assert restore(mark)[1].number == 4, "not to be taken for a late copy of an older mark"
    later = InForce(BASE, PARTITION, {"default": old}, 8, versions=100)
    assert len(settle(later, wanted(*[("default", "0.5")] * 71))) == 1, "the tick log is shorter than the mark's start"
    assert at(later, 8) == "0.5"


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (b"board:MOON", encode(Threshold("board:STAR", "0.5")), "boards are"),
        (b"default", b"{", "Threshold"),
        (b"default", encode(Threshold("default", "5%")), "not understood"),
        (b"default", encode(Threshold("board:STAR", "0.5")), "the key repeats the scope"),
        (b"600519", None, "write code:600519"),
        (None, None, "not understood"),
    ],
)
def test_what_is_no_threshold_is_named_and_leaves_what_was_in_force(
    key: bytes | None, value: bytes | None, why: str
) -> None:
    """Somebody else wrote it: the worker goes on."""
    in_force = InForce(BASE, PARTITION, {}, 0)
    topic = wanted(("default", "0.7"))
    settle(in_force, topic)
    with pytest.raises(RecordError, match=why):
        topic.take(key, value, topic.position)
    assert settle(in_force, topic) == []
    assert at(in_force, 0) == "0.7"


def test_history_is_bounded_and_a_full_one_waits_for_a_commit() -> None:
    """What ticks after the commit may need is never thrown away."""
    in_force = InForce(BASE, PARTITION, {}, 0)
    topic = Wanted()
    for number in range(HISTORY):
        put(topic, "default", f"0.{number + 1:02}")
        settle(in_force, topic)
        in_force.judged((number + 1) * 10)
    put(topic, "default", "9")
    assert in_force.due(topic, None) == ([], False)
    ((row,), complete) = in_force.due(topic, 25)
    assert complete
    assert [start for start, _ in row.steps][:2] == [20, 30]
    assert row.threshold == "9"


def test_a_mark_that_is_none_is_refused() -> None:
    """A worker must not go on with half of its marks."""
    good = MarkRow("default", [(5, "0.5")], 1)
    assert restore(encode(good.record()))[1].steps == good.steps
    for field, value in ((b"0.5", b"5%"), (b"default", b"board:MOON")):
        with pytest.raises(RecordError):
            restore(encode(good.record()).replace(field, value))


PRICES = st.lists(st.tuples(st.sampled_from(["600519", "688001"]), st.integers(990, 1010)), max_size=40)
SETTINGS = st.tuples(
    st.sampled_from(["default", "board:STAR", "code:600519"]), st.sampled_from(["0", "0.02", "2ticks", "40bp", None])
)
STEPS = st.lists(
    st.tuples(
        st.integers(1, 7),
        st.lists(SETTINGS, max_size=2),
        st.sampled_from(["no crash", "after marks", "after changes", "after rows", "after the commit"]),
    ),
    max_size=25,
)


@given(PRICES, STEPS)
def test_a_crash_at_any_point_changes_nothing(
    prices: list[tuple[str, int]], steps: list[tuple[int, list[tuple[str, str | None]], str]]
) -> None:
    """What is emitted again, cut elsewhere and while thresholds change, is what was emitted.

    And all of it is what one uninterrupted pass over the ticks gives by the marks that were made.
    """
    ticks: list[Tick | bytes] = [tick(n, cents / 100, code=code) for n, (code, cents) in enumerate(prices, 1)]
    topic = Wanted()
    emitted: dict[int, bytes] = {}
    published: dict[str, bytes] = {}
    marks: list[MarkRow] = []
    job, rows = Changes(BASE), dict[str, ChangeRow]()
    in_force = InForce(BASE, PARTITION, {}, 0)
    position = judged = 0
    plan = iter(steps)
    while position < len(ticks):
        size, settings, crash = next(plan, (10, [], "no crash"))
        for scope, threshold in settings:
            put(topic, scope, threshold)
        due, complete = in_force.due(topic, position)
        assert complete
        marks += due
        if crash != "after marks":
            in_force.take(due)
            some = chunk(ticks[position : position + size], start=position)
            judged = max(judged, some.end)
            found, touched = job.apply(rows, some, in_force)
            for change in found:
                assert emitted.setdefault(change.origin.offset, encode(change)) == encode(change)
            if crash != "after changes":
                published.update((row.code, encode(row.record())) for row in touched)
            if crash in ("no crash", "after the commit"):
                position += size
        if crash != "no crash":
            job = Changes(BASE)
            rows = dict(job.restore(value) for value in published.values())
            restored = dict(restore(encode(row.record())) for row in marks)
            # The log may have gone on; nobody has judged beyond its end.
            in_force = InForce(BASE, PARTITION, restored, judged + 1)
    assert [emitted[offset] for offset in sorted(emitted)] == _uninterrupted(ticks, marks)


def _uninterrupted(ticks: list[Tick | bytes], marks: list[MarkRow]) -> list[bytes]:
    """One pass, tick by tick, by every mark in the order in which they were made."""
    steps: dict[str, dict[int, str | None]] = {}
    for row in marks:
        of_scope = steps.setdefault(row.scope, {-1: None})
        for start in [start for start in of_scope if start >= row.start]:
            del of_scope[start]
        of_scope[row.start] = row.threshold
    job, rows, found = Changes(BASE), dict[str, ChangeRow](), list[PriceChange]()
    for offset, entry in enumerate(ticks):
        in_force = {
            scope: of_scope[max(s for s in (-1, *of_scope) if s <= offset)] for scope, of_scope in steps.items()
        }
        one = {scope: MarkRow(scope, [(0, text)], 0) for scope, text in in_force.items()}
        found += job.apply(rows, chunk([entry], start=offset), InForce(BASE, PARTITION, one, 0))[0]
    return [encode(change) for change in found]

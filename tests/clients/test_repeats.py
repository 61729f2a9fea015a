"""What came before is dropped, what is new never, and memory has a bound."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashare_client.records import FeedEvent, GapMark, LineMark, Origin, PriceChange, Snapshot, Tick
from ashare_client.repeats import HANDFUL, HEALS_US, Causes, Events, Numbers, Origins, States, Suspects


def change(
    code: str, offset: int, received: int | None = None, partition: int = 0, cause: LineMark | None = None
) -> PriceChange:
    return PriceChange(
        code=code,
        price=10.0,
        previous=None,
        change=None,
        change_bp=None,
        time=1,
        received=1_000 + offset if received is None else received,
        volume=None,
        ticks=1,
        threshold=0.01,
        origin=Origin(partition=partition, offset=offset),
        cause=cause,
    )


def named(run: int, n: int, source: str = "a") -> LineMark:
    return LineMark(source=source, run=run, n=n)


def snapshot(code: str, offset: int, gap: GapMark | None = None) -> Snapshot:
    return Snapshot(
        code=code,
        exchange="SSE",
        price=10.0,
        time=1,
        received=1_000 + offset,
        session="2026-11-20",
        open=10.0,
        high=10.0,
        low=10.0,
        ticks=1,
        origin=Origin(partition=0, offset=offset),
        lines=[],
        gap=gap,
    )


def tick(code: str, run: int, n: int, source: str = "a", received: int = 1) -> Tick:
    return Tick(code=code, exchange="SSE", price=1.0, time=1, received=received, source=source, run=run, n=n)


@given(st.data())
def test_whatever_a_crash_emits_again_every_change_passes_once_and_in_order(data: st.DataObject) -> None:
    """A worker emits a stretch, dies anywhere, and begins again anywhere before: any number of times."""
    emitted = [
        change(code, offset) for offset, code in enumerate(data.draw(st.lists(st.sampled_from("abc"), max_size=40)))
    ]
    log: list[PriceChange] = []
    at = 0
    while at < len(emitted):
        upto = data.draw(st.integers(at, len(emitted)))
        log += emitted[at:upto]
        again = data.draw(st.booleans()) and len(log) < 300
        at = data.draw(st.integers(0, upto)) if again else upto
        if not again and upto < len(emitted):
            log += emitted[upto:]
            break
    begin = data.draw(st.integers(0, len(log)))
    for start in (0, begin):
        seen = Origins()
        passed = [record for record in log[start:] if not seen.seen(0, record)]
        assert len({record.origin.offset for record in passed}) == len(passed)
        for code in "abc":
            offsets = [record.origin.offset for record in passed if record.code == code]
            assert offsets == sorted(offsets)
        if start == 0:
            assert {record.origin.offset for record in passed} == set(range(len(emitted)))


def test_a_tick_topic_made_anew_is_not_taken_for_repeats() -> None:
    """Its offsets begin at 0 again: the receive time tells, and the whole partition's memory begins anew."""
    seen = Origins()
    old = [change("a", 100), change("b", 101), change("a", 102)]
    assert not any(seen.seen(0, record) for record in old)
    assert all(seen.seen(0, record) for record in old)
    # The second was received a little before the first, over another line.
    new = [change("a", 0, 9_000), change("b", 1, 8_900), change("a", 2, 9_100)]
    assert not any(seen.seen(0, record) for record in new)
    assert all(seen.seen(0, record) for record in new)


def test_a_snapshot_that_is_marked_without_a_tick_is_no_repeat() -> None:
    """Nor is one whose mark goes; the same again is, and so is one from before other ticks, marked or not."""
    lasting = GapMark(id="a/1/2", start=1, end=None)
    seen = States()
    told = [snapshot("a", 1), snapshot("a", 1, lasting), snapshot("b", 2), snapshot("a", 1), snapshot("a", 3)]
    assert [seen.seen(0, record) for record in told] == [False] * 5
    assert seen.seen(0, snapshot("a", 3))
    assert seen.seen(0, snapshot("a", 1, lasting))


def test_memory_of_marks_has_a_bound() -> None:
    """What came up first is forgotten, and may come once more."""
    seen = States(2)
    for code in "abcd":
        assert not seen.seen(0, snapshot(code, 1))
    assert not seen.seen(0, snapshot("a", 1))


def test_partitions_are_apart() -> None:
    """One that is made anew does not make others forget."""
    seen = Origins()
    assert not seen.seen(0, change("a", 5))
    assert not seen.seen(1, change("b", 5))
    assert not seen.seen(0, change("a", 0, 9_000))
    assert seen.seen(1, change("b", 5))


def test_ticks_are_told_by_line_run_and_number() -> None:
    """For one code they only rise; another line counts for itself."""
    seen = Numbers()
    assert not seen.seen(0, tick("a", 1, 5))
    assert seen.seen(0, tick("a", 1, 5))
    assert seen.seen(0, tick("a", 1, 4))
    assert not seen.seen(0, tick("a", 2, 0))
    assert not seen.seen(0, tick("a", 1, 0, "other"))
    assert not seen.seen(0, tick("b", 1, 5))


def test_events_are_told_whole() -> None:
    """Two of one moment are two."""
    seen = Events()
    first = FeedEvent(event="disconnected", source="a", run=1, n=5, at=9)
    second = FeedEvent(event="gap", source="a", run=1, n=5, at=9)
    assert [seen.seen(0, event) for event in (first, second, first, second)] == [False, False, True, True]


def test_memory_has_a_bound() -> None:
    """What came first is forgotten first: then a repeat may pass, and nothing new is lost."""
    origins, numbers, events = Origins(2), Numbers(2), Events(2)
    for code in "abc":
        assert not origins.seen(0, change(code, 1))
        assert not numbers.seen(0, tick(code, 1, 1))
        assert not events.seen(0, FeedEvent(event="gap", source=code, run=1, n=1, at=1))
    assert origins.seen(0, change("c", 1))
    assert not origins.seen(0, change("a", 1))
    assert numbers.seen(0, tick("c", 1, 1))
    assert not numbers.seen(0, tick("a", 1, 1))
    assert not events.seen(0, FeedEvent(event="gap", source="a", run=1, n=1, at=1))


def test_a_run_that_fell_is_held_back_for_a_minute_counted_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """49 ticks of a run below the last one, one in 3 s: 20 are dropped, and the others come."""
    seen = Numbers()
    assert not seen.seen(0, tick("a", 2, 500))
    fallen = [tick("a", 1, n, received=1 + 3_000_000 * n) for n in range(1, 50)]
    assert [seen.seen(0, record) for record in fallen] == [record.received <= 1 + HEALS_US for record in fallen]
    assert seen.suspects.count == 20
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a in a row" in caplog.text


def test_what_is_sent_again_is_not_suspicious() -> None:
    """It was received when it was, however late it comes."""
    seen, changes = Numbers(), Causes()
    ticks = [tick("a", 1, n, received=10_000_000 * n) for n in range(1, 101)]
    caused = [change("a", n, 10_000_000 * n, cause=named(1, n)) for n in range(1, 101)]
    assert [seen.seen(0, record) for record in [*ticks, *ticks]] == [False] * 100 + [True] * 100
    assert [changes.seen(0, record) for record in [*caused, *caused]] == [False] * 100 + [True] * 100
    assert seen.suspects.count == changes.suspects.count == 0


def test_changes_are_told_by_their_cause_wherever_their_ticks_lie() -> None:
    """A topic of ticks made again, and a clock that stepped back: by its receive time it would be a repeat."""
    seen = Causes()
    old = [change("a", n, 10_000_000_000 + n, cause=named(5, n)) for n in range(10)]
    assert not any(seen.seen(0, record) for record in old)
    assert all(seen.seen(0, record) for record in old)
    new = [change("a", n, 1_000 + n, cause=named(6, n)) for n in range(10)]
    assert not any(seen.seen(0, record) for record in new)
    assert all(seen.seen(0, record) for record in new)


def test_what_is_emitted_again_is_a_repeat_though_a_clock_stepped_back() -> None:
    """An hour between two runs: what a worker emits again after a kill was received long after the last one."""
    seen = Causes()
    old = [change("a", n, 10_000_000_000 + n, cause=named(5, n)) for n in range(10)]
    new = [change("a", 10 + n, 1_000 + n, cause=named(6, n)) for n in range(10)]
    assert [seen.seen(0, record) for record in [*old, *new, *old, *new]] == [False] * 20 + [True] * 20


def test_a_change_that_comes_again_with_a_cause_had_come_before() -> None:
    """The worker was renewed between the two; and it may be an older one again."""
    seen = Causes()
    assert not seen.seen(0, change("a", 5))
    assert seen.seen(0, change("a", 5, cause=named(1, 9)))
    assert not seen.seen(0, change("a", 6, cause=named(1, 10)))
    assert seen.seen(0, change("a", 6))
    assert not seen.seen(0, change("a", 7))


def test_a_forged_cause_holds_a_code_back_for_a_minute() -> None:
    """Then the right ones come."""
    seen = Causes()
    assert not seen.seen(0, change("a", 1, 1_000, cause=named(2**53 - 1, 2**53 - 1)))
    assert seen.seen(0, change("a", 2, 1_000 + HEALS_US, cause=named(1, 2)))
    assert not seen.seen(0, change("a", 3, 1_001 + HEALS_US, cause=named(1, 3)))
    assert not seen.seen(0, change("a", 4, 1_002 + HEALS_US, cause=named(1, 4)))
    assert seen.suspects.count == 1


def test_a_snapshot_whose_lines_have_gone_on_is_no_repeat() -> None:
    """Its ticks lie in a topic that was made again, and its clock stepped back."""
    seen = States()
    old = msgspec.structs.replace(snapshot("a", 100), lines=[named(5, 7)])
    new = msgspec.structs.replace(snapshot("a", 0), lines=[named(6, 1)], received=1)
    newer = msgspec.structs.replace(snapshot("a", 1), lines=[named(6, 2)], received=2)
    assert [seen.seen(0, record) for record in (old, old, new, new, newer, newer)] == [False, True] * 3


def test_a_handful_is_not_warned_of_and_what_lasts_is_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a row that ends with a record that passes."""
    now = [0.0]
    suspects = Suspects(lambda: now[0])
    for mark in (1, 2):
        for _ in range(HANDFUL):
            suspects.add("line", "a", (1, mark), (0, 0))
    assert not caplog.records
    for second in range(1, 182):
        now[0] = float(second)
        suspects.add("line", "a", (1, 2), (0, 0))
    assert len(caplog.records) == 3


NAMES = st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(1, 4), st.integers(0, 200))


@given(st.lists(NAMES, max_size=40))
def test_ticks_and_changes_follow_the_decision(names: list[tuple[str, int, int, int]]) -> None:
    """The rule of `docs/decisions.md`, written a second time."""
    ticks, changes = Numbers(), Causes()
    last = dict[str, tuple[tuple[int, int], int]]()
    for offset, (source, run, n, seconds) in enumerate(names):
        received = seconds * 1_000_000
        before = last.get(source)
        counts = before is None or (run, n) > before[0] or received > before[1] + 60_000_000
        if counts:
            last[source] = ((run, n), received)
        assert ticks.seen(0, tick("x", run, n, source, received)) is not counts
        assert changes.seen(0, change("x", offset, received, cause=named(run, n, source))) is not counts

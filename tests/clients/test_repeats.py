"""What came before is dropped, what is new never, and memory has a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ashare_client.records import FeedEvent, GapMark, Origin, PriceChange, Snapshot, Tick
from ashare_client.repeats import Events, Numbers, Origins, States


def change(code: str, offset: int, received: int | None = None, partition: int = 0) -> PriceChange:
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
    )


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


def tick(code: str, run: int, n: int, source: str = "a") -> Tick:
    return Tick(code=code, exchange="SSE", price=1.0, time=1, received=1, source=source, run=run, n=n)


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

"""Whatever usable ticks and whatever state others have written: no job raises, and what it writes can be restored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from jobs import in_force, thresholds
from jobs.changes import Changes
from jobs.flaws import MEANINGS
from jobs.in_force import Wanted
from jobs.missing import Missing
from jobs.snapshots import Snapshots
from schemas import FeedEvent, PriceChange, RecordError, Snapshot, Tick, UsageError, bounds, cloudevents, decode, encode
from tests.jobs.chunks import NINE_THIRTY, chunk, tick
from tests.schemas.foreign import TEXTS, foreign

MS = st.one_of(
    st.integers(bounds.EARLIEST_MS, bounds.LATEST_MS),
    st.integers(-2, 2).map(lambda days: NINE_THIRTY + days * 86_400_000),
)
PRICES = st.one_of(
    st.floats(bounds.MIN_PRICE, bounds.MAX_PRICE),
    st.sampled_from([bounds.MIN_PRICE, 0.00012, 10.0, 10.01, bounds.MAX_PRICE]),
)
FLAWS = st.lists(st.sampled_from([*MEANINGS, "invented"]), min_size=1, max_size=3).map(",".join)
USABLE = st.builds(
    Tick,
    code=st.sampled_from(["600519", "000001.SSE", "8", "\x00", "é" * 32]),
    exchange=st.sampled_from(["SSE", "", "x" * 32]),
    price=PRICES,
    time=MS,
    received=MS.map(lambda ms: ms * 1000),
    source=st.sampled_from(["a", "b", "é" * 255]),
    run=st.integers(0, bounds.EARLIEST_MS),
    n=st.integers(0, 9) | st.integers(0, bounds.EXACT),
    volume=st.none() | st.integers(0, bounds.MAX_VOLUME) | st.floats(0, bounds.MAX_VOLUME),
    turnover=st.none() | st.floats(0, bounds.MAX_TURNOVER),
    previous_close=st.none() | PRICES,
    quality=st.none() | FLAWS,
)
SETTINGS = st.sampled_from(["0", "0.05", "2ticks", "50bp", "1000000000", "1000000000ticks", "1000000000bp"])


@given(st.lists(USABLE, max_size=30))
def test_snapshots_of_any_usable_ticks_are_restored_as_they_were(ticks: list[Tick]) -> None:
    """Every row's record is within the contract, and restoring it gives a row of the same record."""
    job = Snapshots()
    rows: dict[str, Any] = {}
    made = chunk(ticks)
    job.apply(rows, made)
    assert not made.failed
    for row in rows.values():
        if row.ticks:
            record = encode(row.record())
            code, again = Snapshots().restore(record)
            assert code == row.code
            assert encode(again.record()) == record


@given(st.lists(USABLE, max_size=30), SETTINGS)
def test_changes_of_any_usable_ticks_are_restored_as_they_were(ticks: list[Tick], setting: str) -> None:
    """The changes too are within the contract, headers included."""
    job = Changes(thresholds.parse_overrides(setting, ""))
    rows: dict[str, Any] = {}
    made = chunk(ticks)
    changes, _ = job.apply(rows, made)
    assert not made.failed
    for change in changes:
        assert decode(PriceChange, encode(change)) == change
        assert cloudevents.headers(change)
    for row in rows.values():
        record = encode(row.record())
        code, again = job.restore(record)
        assert code == row.code
        assert encode(again.record()) == record


@given(st.lists(st.none() | foreign("tick"), max_size=8))
def test_no_record_of_the_tick_topic_makes_a_job_raise(values: list[bytes | None]) -> None:
    """Arbitrary and nearly right ones, good ones between them: the good ones count, each of them."""
    good = [encode(tick(n, 10 + n / 100, source="good", code="600000")) for n in range(len(values))]
    made = Chunk("ashare.ticks.v1", 0, 0)
    made.values = [value for pair in zip(values, good, strict=True) for value in pair]
    made.offsets = list(range(len(made.values)))
    made.timestamps = [NINE_THIRTY] * len(made.values)
    made.keys = [b"key"] * len(made.values)
    made.end = len(made.values)
    rows: dict[str, Any] = {}
    Snapshots().apply(rows, made)
    Changes(thresholds.parse_overrides("0", "")).apply({}, made)
    assert not made.failed
    assert not good or rows["600000"].ticks == len(good)


@pytest.mark.parametrize("kind", ["snapshot", "change-state", "threshold-mark"])
@given(st.data())
def test_any_state_is_restored_or_refused(kind: str, data: st.DataObject) -> None:
    """A row, or the one error that costs no other row; a row that was taken can be written again."""
    restore: Any = {
        "snapshot": Snapshots().restore,
        "change-state": Changes(thresholds.parse_overrides("0.05", "")).restore,
        "threshold-mark": in_force.restore,
    }[kind]
    value = data.draw(foreign(kind))
    try:
        key, row = restore(value)
    except RecordError:
        return
    again = restore(encode(row.record()))
    assert again[0] == key
    assert encode(again[1].record()) == encode(row.record())


@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from([b"default", b"board:STAR", b"code:600519"]) | st.binary(max_size=99),
                  st.none() | foreign("threshold")),
        max_size=6,
    )
)  # fmt: skip
def test_no_record_of_the_thresholds_ends_whoever_follows_them(
    records: list[tuple[bytes | None, bytes | None]],
) -> None:
    """What can't be read is refused, and what is taken makes marks that can be restored."""
    wanted = Wanted()
    for offset, (key, value) in enumerate(records):
        try:
            wanted.take(key, value, offset)
        except RecordError as error:
            assert len(str(error)) < 400  # noqa: PT017 - a log line
    partition = in_force.InForce(thresholds.parse_overrides("0.05", ""), 0, {}, 0)
    marks, _ = partition.due(wanted, None)
    for mark in marks:
        assert encode(in_force.restore(encode(mark.record()))[1].record()) == encode(mark.record())
    partition.take(marks)
    list(partition.spans(0, 5))


@given(st.lists(foreign("feed-event"), max_size=6))
def test_no_event_ends_whoever_follows_them(values: list[bytes]) -> None:
    """An event of any id: its end is a count, or else nothing."""
    missing = Missing()
    rows: dict[str, Any] = {}
    job = Snapshots(missing)
    for value in values:
        try:
            missing.take(decode(FeedEvent, value))
        except RecordError:
            continue
        job.apply(rows, chunk([tick(len(rows), 10.0, source="post-1", code=f"{600000 + len(rows)}")]))
    for row in rows.values():
        assert decode(Snapshot, encode(row.record())) == row.record()


@given(st.sampled_from(TEXTS) | st.text(max_size=40) | st.text("0123456789. tickbp", max_size=40))
def test_any_text_is_a_threshold_that_is_written_as_it_is_read_or_refused(text: str) -> None:
    """What is taken fits the record, and means the same again."""
    try:
        threshold = thresholds.parse(text)
    except UsageError as error:
        # 32 characters are shown; one is escaped by ten at most.
        assert len(str(error)) < 32 * 10 + 100  # noqa: PT017
        return
    assert len(str(threshold)) <= bounds.MAX_THRESHOLD
    assert thresholds.parse(str(threshold)) == threshold
    assert json.dumps(thresholds.limit(threshold, "600519", 10**13)[1])


class Failing(Missing):
    """Raises over one code."""

    def mark(self, row: Any) -> bool:
        """As if there were a bug."""
        if row.code == "600519":
            raise OverflowError("a bug")
        return False


def test_what_a_job_raises_over_a_record_is_named_and_the_rest_counts() -> None:
    """Offset and error are kept for the dead letters; a fault of the machinery is none of a record's."""
    made = chunk([tick(1, 10.0), tick(1, 11.0, code="600000"), tick(2, 10.0)])
    rows: dict[str, Any] = {}
    Snapshots(Failing()).apply(rows, made)
    assert made.failed == {0: "a job failed on it: OverflowError('a bug')"}
    assert rows["600000"].record().price == 11.0
    with pytest.raises(MemoryError):
        made.fail(1, MemoryError())


def test_a_large_turnover_is_restored_exactly() -> None:
    """Its product with 10,000 is more than a float holds."""
    job, rows = Snapshots(), dict[str, Any]()
    few, many = (
        Tick(code="600519", exchange="SSE", price=1.0, time=1_795_138_200_000, received=1_795_138_200_000_000 + n,
             source="a", run=0, n=n, turnover=turnover)
        for n, turnover in enumerate((3.0, 1002584496565368.0))
    )  # fmt: skip
    job.apply(rows, chunk([few, many]))
    record = encode(rows["600519"].record())
    assert encode(Snapshots().restore(record)[1].record()) == record

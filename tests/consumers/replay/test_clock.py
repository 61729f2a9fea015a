"""Times of records, and merge keys that never fall."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from consumers.replay.clock import ERA, REWIND_MS, PartitionClock, exchange_times, time_of


def chunk(*values: bytes | None) -> Chunk:
    made = Chunk("topic", 0, 0)
    made.values = list(values)
    made.offsets = list(range(len(values)))
    made.timestamps = [1_000 + index for index in range(len(values))]
    made.keys = [None] * len(values)
    return made


def test_a_record_without_a_time_has_that_of_its_receipt() -> None:
    """Deleted keys, what is not JSON, what has no time or an impossible one."""
    values = [b'{"time":5}', None, b"\xff", b"{}", b'{"time":"x"}', b'{"time":-1}', b'{"time":%d}' % ERA, b'{"time":7}']
    assert exchange_times("tick", chunk(*values)) == [5, 1_001, 1_002, 1_003, 1_004, 1_005, 1_006, 7]


def test_an_event_happened_when_it_says() -> None:
    """``at`` is in µs; dead letters and thresholds have no exchange time at all."""
    assert exchange_times("feed-event", chunk(b'{"at":5000999}', b"{}")) == [5_000, 1_001]
    assert exchange_times("dead-letter", chunk(b'{"time":5}')) == [1_000]


@given(st.lists(st.integers(0, 10**13)), st.lists(st.integers(0, 40)))
def test_keys_never_fall_and_do_not_depend_on_the_chunks(times: list[int], cuts: list[int]) -> None:
    """However the times are cut, the keys are the same; a restored clock goes on with them."""
    whole = PartitionClock().keys(times)
    assert whole == sorted(whole)
    clock, keys, at = PartitionClock(), [], 0
    for cut in [*cuts, len(times)]:
        keys += clock.keys(times[at : at + cut])
        at += cut
        clock = PartitionClock(clock.state)
    assert keys == whole


def test_a_late_record_is_due_with_the_one_before_and_a_rewind_begins_an_era() -> None:
    """The same session twice in one log is two sessions in a row."""
    day = 10**12
    keys = PartitionClock().keys([day, day + 5, day + 3, day + 6, day + 6 - REWIND_MS, day - REWIND_MS, day + 1])
    assert [key // ERA for key in keys] == [0, 0, 0, 0, 0, 1, 1]
    assert [time_of(key) - day for key in keys] == [0, 5, 5, 6, 6, -REWIND_MS, 1]

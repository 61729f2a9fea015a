"""Times of records, and merge keys that never fall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from consumers.replay.clock import AGREEING, ERA, REWIND_MS, PartitionClock, exchange_times, time_of

DAY = 1_795_138_200_000


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


NEAR = st.integers(-3 * REWIND_MS, 3 * REWIND_MS).map(lambda shift: DAY + shift)
TIMES = st.lists(st.tuples(st.integers(0, 10**13) | NEAR, st.integers(0, 10**13) | NEAR))


@given(TIMES, st.lists(st.integers(0, 40)))
def test_keys_never_fall_and_do_not_depend_on_the_chunks(records: list[tuple[int, int]], cuts: list[int]) -> None:
    """However the records are cut, the keys are the same; a restored clock goes on with them."""
    times, stamps = [time for time, _ in records], [stamp for _, stamp in records]
    whole = PartitionClock().keys(times, stamps)
    assert whole == sorted(whole)
    clock, keys, at = PartitionClock(), [], 0
    for cut in [*cuts, len(times)]:
        keys += clock.keys(times[at : at + cut], stamps[at : at + cut])
        at += cut
        clock = PartitionClock(clock.state)
    assert keys == whole


def played(times: list[int], stamps: list[int] | None = None) -> list[tuple[int, int]]:
    """Era of each record's key, and its time after ``DAY``."""
    return [(key // ERA, time_of(key) - DAY) for key in PartitionClock().keys(times, stamps or ())]


def test_a_late_record_is_due_with_the_one_before_and_a_rewind_begins_an_era() -> None:
    """The same session twice in one log is two sessions in a row, as soon as enough records say so."""
    back = DAY - 2 * REWIND_MS
    keys = played(
        [DAY, DAY + 5, DAY + 3, DAY + 6, DAY + 6 - REWIND_MS, *(back + n for n in range(AGREEING)), back + 99]
    )
    assert keys[:5] == [(0, 0), (0, 5), (0, 5), (0, 6), (0, 6)]
    assert keys[5 : 4 + AGREEING] == [(0, 6)] * (AGREEING - 1)
    assert keys[4 + AGREEING :] == [(1, AGREEING - 1 - 2 * REWIND_MS), (1, 99 - 2 * REWIND_MS)]


@pytest.mark.parametrize("off", [45 * 60_000, -45 * 60_000, 8 * 3_600_000, -8 * 3_600_000, 10**12, 1 - DAY])
@pytest.mark.parametrize("wrong", [1, AGREEING - 1])
@pytest.mark.parametrize("stamped", [False, True])
def test_a_wrong_time_moves_no_other_record(off: int, wrong: int, stamped: bool) -> None:
    """A few records that are early or late by far are due with the one before; the rest keeps its place."""
    times = [DAY + second * 1000 for second in range(600)]
    stamps = list(times)
    right = played(times, stamps)
    times[200 : 200 + wrong] = [time + off for time in times[200 : 200 + wrong]]
    keys = played(times, stamps if stamped else None)
    assert keys[200 : 200 + wrong] == [right[199]] * wrong
    assert keys[:200] + keys[200 + wrong :] == right[:200] + right[200 + wrong :]


def test_a_first_record_of_a_wrong_time_is_held_against_its_receipt() -> None:
    """There is no record before it to be compared with."""
    stamps = [DAY + second for second in range(40)]
    keys = played([stamps[0] + 45 * 60_000, *stamps[1:]], stamps)
    assert keys == [(0, second) for second in range(40)]


def test_a_break_is_no_wrong_time() -> None:
    """Where the receipts tell that the lunch hour has passed, the first record after it is due at its own time."""
    times = [DAY, DAY + 1, DAY + 90 * 60_000, DAY + 90 * 60_000 + 1]
    assert played(times, times) == [(0, time - DAY) for time in times]
    unpaced = [DAY, DAY + 1, *(DAY + 90 * 60_000 + n for n in range(AGREEING))]
    assert played(unpaced)[-1] == (0, 90 * 60_000 + AGREEING - 1)

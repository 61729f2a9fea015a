"""Partitions merged in time order, whatever the chunks."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from broker.chunk import Chunk
from consumers.replay.merge import Batch, Merger

Log = dict[int, list[int]]

logs = st.dictionaries(st.integers(0, 5), st.lists(st.integers(1, 60), max_size=40).map(sorted), min_size=1)


def batch(partition: int, start: int, times: Sequence[int]) -> Batch:
    made = Chunk("topic", partition, start)
    made.offsets = list(range(start, start + len(times)))
    made.timestamps = [time * 10 for time in times]
    made.keys = [b"%d" % partition] * len(times)
    made.values = [b"%d/%d" % (partition, offset) for offset in made.offsets]
    made.headers = [(("at", b"%d" % offset),) for offset in made.offsets]
    return Batch.of(made, list(times))


def merged(log: Log, sizes: Sequence[int], limit: int | None, least: int = 0) -> tuple[list[Batch], int]:
    """Batches of a log that is fed in chunks of these sizes, in turn, and the most records held at once."""
    merger, at, turn, most = Merger("topic", log), dict.fromkeys(log, 0), 0, 0
    given_out: list[Batch] = []
    while True:
        while needs := merger.needs:
            partition = min(needs)
            if at[partition] == len(log[partition]):
                merger.finish(partition)
                continue
            size = sizes[turn % len(sizes)]
            turn += 1
            part = log[partition][at[partition] : at[partition] + size]
            merger.feed(batch(partition, at[partition], part), least)
            at[partition] += len(part)
        most = max(most, sum(at.values()) - sum(map(len, given_out)))
        taken = merger.take(limit)
        if not len(taken):
            return given_out, most
        given_out.append(taken)


def places(batches: list[Batch]) -> list[tuple[int, int, int]]:
    return [place for one in batches for place in zip(one.times, one.partitions, one.offsets, strict=True)]


@given(logs, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.one_of(st.none(), st.integers(1, 7)))
def test_the_order_is_by_time_partition_and_offset(log: Log, sizes: list[int], limit: int | None) -> None:
    """For any sizes of chunks and of takes: the same range is the same sequence, each time."""
    expected = sorted((time, p, offset) for p, times in log.items() for offset, time in enumerate(times))
    batches, _ = merged(log, sizes, limit)
    assert places(batches) == expected
    for one in batches:
        for index, (partition, offset) in enumerate(zip(one.partitions, one.offsets, strict=True)):
            assert one.values[index] == b"%d/%d" % (partition, offset)
            assert one.headers[index] == (("at", b"%d" % offset),)
            assert one.timestamps[index] == one.times[index] * 10
            assert one.keys[index] == b"%d" % partition


@given(logs, st.integers(1, 9))
def test_at_most_one_chunk_of_each_partition_is_held(log: Log, size: int) -> None:
    """Memory does not grow with the range, nor with how far the partitions are apart."""
    _, most = merged(log, [size], None)
    assert most <= size * len(log)


@given(logs, st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 60))
def test_what_is_below_the_least_key_is_dropped(log: Log, sizes: list[int], least: int) -> None:
    """As after a jump."""
    batches, _ = merged(log, sizes, 3, least)
    everything, _ = merged(log, sizes, None)
    assert places(batches) == [place for place in places(everything) if place[0] >= least]


def test_skipping_drops_what_is_held() -> None:
    """And asks for more where nothing is left."""
    merger = Merger("topic", [0, 1])
    merger.feed(batch(0, 0, [1, 2, 3]))
    merger.feed(batch(1, 0, [2, 9]))
    merger.skip(4)
    assert merger.needs == {0}
    merger.finish(0)
    merger.finish(1)
    assert places([merger.take()]) == [(9, 1, 1)]

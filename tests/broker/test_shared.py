"""Readers that share batches get the chunks that each would have made for itself."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from broker.chunk import Chunk, _unpack, _unpack_shared
from broker.records import Records
from broker.shared import SharedBatches
from schemas import encode
from tests.jobs.chunks import NINE_THIRTY, tick

Log = list[tuple[int, int, bytes]]
"""First offset, offset behind, and bytes of each batch."""


def batch_of(first: int, values: Sequence[bytes | None]) -> bytes:
    """A record batch as a broker gives it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for n, value in enumerate(values):
        builder.append(n, NINE_THIRTY + first + n, b"key-%d" % n, value, [("AB", b"")] if n == 1 else [])
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, first)
    return bytes(made)


def log_of(rng: random.Random, batches: int) -> Log:
    """Batches of one to eight records, one in ten of them not a usable tick, with holes between the batches."""
    made: Log = []
    at = 100
    for _ in range(batches):
        values = [
            rng.choice((None, b"{", b"[]")) if rng.random() < 0.1 else encode(tick(at + n, 10.0))
            for n in range(rng.choice((1, 1, 2, 8)))
        ]
        made.append((at, at + len(values), batch_of(at, values)))
        at += len(values) + rng.choice((0, 0, 3))
    return made


def fetch(log: Log, start: int, size: int) -> tuple[PartitionRecords, Chunk]:
    """What a fetch from an offset brings of at most so many bytes, the last batch cut off; and an empty chunk."""
    raw = b"".join(some for _, end, some in log if end > start)[:size]
    records = PartitionRecords(TopicPartition("t", 0), Records(raw), [], start, None, None, True, 0)
    return records, Chunk("t", 0, start)


def unpack(log: Log, start: int, size: int, shared: SharedBatches | None) -> Chunk:
    """The chunk of a fetch."""
    records, chunk = fetch(log, start, size)
    if shared is None:
        _unpack(records, chunk, headers=False)
    else:
        _unpack_shared(records, chunk, shared)
    return chunk


def told(chunk: Chunk) -> tuple[object, ...]:
    """All that a chunk says."""
    lists = (chunk.offsets, chunk.timestamps, chunk.keys, chunk.values)
    return chunk.start, chunk.end, chunk.corrupt, lists, chunk.ticks, chunk.bad


@pytest.mark.parametrize("seed", range(20))
def test_three_readers_at_their_own_pace_get_what_they_would_get_alone(seed: int) -> None:
    """Chunks end anywhere, begin within batches, are decoded at once, later or never, and go back now and then."""
    rng = random.Random(seed)
    log = log_of(rng, 40)
    shared = SharedBatches(3, limit_bytes=30_000 if seed % 2 else 1 << 20)
    places = dict.fromkeys(range(3), 100)
    undecoded: list[tuple[Chunk, Chunk]] = []
    while min(places.values()) < log[-1][1]:
        reader = rng.choice([reader for reader, place in places.items() if place < log[-1][1]])
        if rng.random() < 0.1:
            places[reader] = rng.randrange(100, places[reader] + 1)
        size = rng.randrange(3_000, 9_000)
        alone, together = (unpack(log, places[reader], size, some) for some in (None, shared))
        places[reader] = alone.end
        if rng.random() < 0.5:
            undecoded.append((alone, together))
            continue
        assert told(together) == told(alone)
    for alone, together in undecoded:
        assert told(together) == told(alone)
    assert shared.hits > (0 if seed % 2 else 10)


def test_ticks_are_decoded_once() -> None:
    """The second reader's ticks are the first one's, whichever of them asks first."""
    log = log_of(random.Random(1), 10)
    shared = SharedBatches(2)
    first, second = (unpack(log, 100, 1 << 20, shared) for _ in range(2))
    assert all(ours is theirs for ours, theirs in zip(second.ticks, first.ticks, strict=True))


def test_a_batch_is_held_until_all_readers_have_had_it() -> None:
    """And no longer."""
    log = log_of(random.Random(1), 10)
    shared = SharedBatches(3)
    for held in (10, 10, 0):
        unpack(log, 100, 1 << 20, shared)
        assert len(shared) == held
    assert shared.weight == 0
    assert (shared.hits, shared.misses) == (20, 10)


def test_the_oldest_batches_go_first_where_the_limit_is_reached() -> None:
    """A reader that lags behind takes them apart for itself, and no batch above the limit is held at all."""
    log = log_of(random.Random(2), 30)
    shared = SharedBatches(2, limit_bytes=20_000)
    unpack(log, 100, 1 << 20, shared)
    assert 0 < shared.weight <= 20_000
    assert {key[2] for key in shared._batches} == {first for first, _, _ in log[-len(shared) :]}
    nothing = SharedBatches(2, limit_bytes=100)
    unpack(log, 100, 1 << 20, nothing)
    assert (len(nothing), nothing.weight) == (0, 0)


def test_a_damaged_batch_ends_every_readers_chunk() -> None:
    """It is checked before it is kept, and the position stays before it."""
    log = log_of(random.Random(3), 5)
    first, end, raw = log[2]
    log[2] = first, end, raw[:-1] + bytes([raw[-1] ^ 1])
    shared = SharedBatches(3)
    for _ in range(2):
        chunk = unpack(log, 100, 1 << 20, shared)
        assert (chunk.corrupt, chunk.end) == (True, log[1][1])
    assert len(shared) == 2


def test_a_header_that_is_not_text_stops_no_reader() -> None:
    """The batch is read leniently, by the first reader and so for all."""
    raw = batch_of(0, [encode(tick(n, 10.0)) for n in range(3)]).replace(b"AB", b"\xff\xfe")
    shared = SharedBatches(2)
    for _ in range(2):
        records, chunk = fetch([(0, 3, raw)], 0, 1 << 20)
        records._check_crcs = False
        _unpack_shared(records, chunk, shared)
        assert [found.n for found in chunk.ticks if found] == [0, 1, 2]
    assert (shared.hits, shared.misses) == (1, 1)


def test_a_topic_made_anew_is_not_taken_for_the_old_one() -> None:
    """Other records at the same offset have another checksum."""
    shared = SharedBatches(3)
    for price in (10.0, 11.0):
        chunk = unpack([(0, 1, batch_of(0, [encode(tick(1, price))]))], 0, 1 << 20, shared)
        assert [found.price for found in chunk.ticks if found] == [price]

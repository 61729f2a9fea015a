"""What a rate of ticks needs: brokers, partitions, disk, workers, memory, network; and what changes at more.

Every figure that is measured stands here once, with where it comes from; ``docs/sizing.md`` says how the sums are made.
A test holds the figures against ``benchmarks/results`` and against a real broker's log.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

SESSION_SECONDS = 4 * 3600
"""Trading of a day on the mainland's exchanges, auctions aside."""

# Bytes on disk, of one copy.
TICK_BYTES = 263
"""A tick in its topic, when batches are narrow: 75,000 ticks at 5,000/s, one a frame, took 19.7 MB."""
BOOK_BYTES = 110
"""More with five levels of a book and the day's figures: 303 bytes of a tick whose batches were wide."""
CHANGE_SHARE, CHANGE_BYTES = 0.25, 494
"""Price changes per tick with a threshold of one tick size, and what one takes, headers included (same run)."""
STATE_BYTES, STATE_SECONDS = 425, 3600
"""What the compacted topics are written per tick (same run), and how long until compaction takes it away."""
STORE_BYTES, STORE_BOOK_BYTES = 129, 211
"""A row in SQLite, and what a book adds: 340 bytes a row in all."""
ARCHIVE_BYTES = 19
"""A tick in the archive's Parquet (benchmarks/results/archive.json: 18.9)."""
FRAME_BYTES = 200
"""A tick in a provider's frame of JSON."""

# Ticks a second of one process at full speed (benchmarks/results/stages.json), and how much of that is planned with.
WORKER_TICKS = 88_000
PRODUCER_TICKS = 107_000
BROKER_TICKS = 206_000
"""What one broker took of one producer, one copy of it."""
SQLITE_TICKS = 98_000
QUESTDB_TICKS = 128_000
PLANNED = 0.5
"""Half: the other half is for catching up, for a part that is away, and for a machine that is slower."""

# CPU in cores (the worker's with its store's process) by ticks a second: steady.json at 0, 400 and 10,000;
# pipeline.json at 50,000; stages.json at full speed.
_WORKER_CORES = ((0, 0.008), (400, 0.161), (10_000, 0.476), (50_000, 0.74), (WORKER_TICKS, 1.21))
_BROKER_CORES = ((0, 0.049), (400, 0.167), (10_000, 0.237), (50_000, 0.526), (BROKER_TICKS, 2.0))
_PRODUCER_CORES = ((0, 0.01), (400, 0.066), (10_000, 0.126), (50_000, 0.337), (PRODUCER_TICKS, 1.0))

WORKER_MB, PRODUCER_MB, BROKER_MB = 232, 189, 395
"""Most that was measured (stages.json, pipeline.json); a broker wants as much again and more for its page cache."""
READERS = 3
"""How often a tick leaves Kafka: each agent has a consumer group."""
LEAST_PARTITIONS = 12
_MARGIN = 1.3
"""Disk is planned with so much more than is filled: segments are deleted whole, and full disks end everything."""


@dataclass(frozen=True)
class Need:
    """What one rate needs.

    Attributes:
        ticks_per_second: over a session, on average; ``peak`` is what is sized for.
        disk_*_gb: of all copies and days; Kafka's with a margin.
        *_mb_s: megabytes a second at the peak, over all brokers.
        notes: what is different from one small cluster.
    """

    ticks_per_second: float
    peak: float
    ticks_per_day: float
    brokers: int
    replicas: int
    partitions: int
    producers: int
    workers: int
    cores_broker: float
    cores_worker: float
    cores_producer: float
    memory_mb: int
    disk_kafka_gb: float
    disk_store_gb: float
    disk_archive_gb: float
    network_feed_mb_s: float
    network_in_mb_s: float
    network_copies_mb_s: float
    network_out_mb_s: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def size(rate: float, days: float, replicas: int, *, peak: float = 3.0, books: bool = False) -> Need:
    """What a rate needs.

    Args:
        rate: ticks a second, on average over a session.
        days: trading days that Kafka, the store and the archive each keep.
        replicas: copies of each partition in Kafka.
        peak: how many times the average the opening is.
        books: ticks carry a book.
    """
    highest, a_day = rate * peak, rate * SESSION_SECONDS
    tick = TICK_BYTES + (BOOK_BYTES if books else 0)
    written = tick + CHANGE_SHARE * CHANGE_BYTES
    workers = max(_count(highest, WORKER_TICKS), 2 if replicas > 1 else 1)
    producers = _count(highest, PRODUCER_TICKS)
    brokers = max(replicas, _count(highest * replicas, BROKER_TICKS))
    partitions = LEAST_PARTITIONS * math.ceil(max(2 * workers, LEAST_PARTITIONS) / LEAST_PARTITIONS)
    kafka = (days * a_day * written + STATE_SECONDS * rate * STATE_BYTES) * replicas * _MARGIN
    store = days * a_day * (STORE_BYTES + (STORE_BOOK_BYTES if books else 0))
    inward = highest * (written + STATE_BYTES)
    return Need(
        ticks_per_second=rate,
        peak=highest,
        ticks_per_day=a_day,
        brokers=brokers,
        replicas=replicas,
        partitions=partitions,
        producers=producers,
        workers=workers,
        cores_broker=_cores(_BROKER_CORES, highest * replicas / brokers),
        cores_worker=_cores(_WORKER_CORES, highest / workers),
        cores_producer=_cores(_PRODUCER_CORES, highest / producers),
        memory_mb=2 * brokers * BROKER_MB + workers * WORKER_MB + producers * PRODUCER_MB,
        disk_kafka_gb=kafka / 1e9,
        disk_store_gb=store / 1e9,
        disk_archive_gb=days * a_day * ARCHIVE_BYTES / 1e9,
        network_feed_mb_s=highest * FRAME_BYTES / 1e6,
        network_in_mb_s=inward / 1e6,
        network_copies_mb_s=inward * (replicas - 1) / 1e6,
        network_out_mb_s=(highest * tick * READERS + highest * CHANGE_SHARE * CHANGE_BYTES) / 1e6,
        notes=tuple(_notes(highest, replicas, workers=workers, producers=producers, partitions=partitions)),
    )


def _notes(peak: float, replicas: int, *, workers: int, producers: int, partitions: int) -> list[str]:
    said = []
    if replicas == 1:
        said.append("one copy: a broker that is away stops everything, and its disk is all there is")
    if producers > 1:
        said.append(f"{producers} producers: deal the codes out to them (--watchlist), each with a --source of its own")
    if partitions > LEAST_PARTITIONS:
        said.append(f"{partitions} partitions: topics of another number are new topics (.v2), since keys move")
    if workers > 1:
        said.append(
            f"{workers} workers: on several machines with questdb:// as --store, since SQLite is a machine's own"
        )
    if peak > SQLITE_TICKS * PLANNED:
        stores = _count(peak, QUESTDB_TICKS)
        more = "" if stores == 1 else f", {stores} of them, each behind workers with a share of the codes"
        said.append(f"the store: QuestDB on a machine of its own{more}")
    if peak > WORKER_TICKS:
        said.append("agents apart: workers with --agents storage, and others with snapshots,changes")
    if peak > 5 * WORKER_TICKS:
        said.append("a market, or an exchange, a cluster: nothing is compared across them, and one that fails is alone")
        said.append("Kafka keeps a day or two, the archive the rest: replay reads both as one")
    return said


def _count(rate: float, capacity: float) -> int:
    """How many parts, of which each is planned with ``PLANNED`` of what it can do."""
    return max(1, math.ceil(rate / (capacity * PLANNED)))


def _cores(measured: tuple[tuple[float, float], ...], rate: float) -> float:
    """Between two measured points on the line between them, above the last in proportion."""
    for (low, least), (high, most) in pairwise(measured):
        if rate <= high:
            return round(least + (most - least) * (rate - low) / (high - low), 2)
    rate_of_last, cores = measured[-1]
    return round(cores * rate / rate_of_last, 2)

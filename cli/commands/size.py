"""``ashare size``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

_TIMES = (1, 10, 100)


def command(
    ticks_per_second: Annotated[
        float, typer.Option("--ticks-per-second", metavar="N", min=1, help="over a session of 4 hours, on average")
    ] = 5000.0,
    days: Annotated[
        float, typer.Option("--days", metavar="N", min=0.1, help="trading days that Kafka, store and archive each keep")
    ] = 5.0,
    replicas: Annotated[
        int, typer.Option("--replicas", metavar="N", min=1, max=9, help="copies of each partition in Kafka")
    ] = 3,
    *,
    peak: Annotated[
        float, typer.Option("--peak", metavar="FACTOR", min=1, help="how many times the average the opening is")
    ] = 3.0,
    books: Annotated[bool, typer.Option("--books", help="ticks carry a book and the day's figures")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say what a rate needs, and 10 and 100 times of it.

    Brokers, partitions, workers, CPU, memory, disk and network, from measured figures: half of what each part was
    measured to do is planned with. docs/sizing.md says how the sums are made.

    Example: ashare size --ticks-per-second 5000 --days 5 --replicas 3
    """
    from cli.tables import Column, hanging, show, width
    from deploy.sizing import size

    needs = [size(ticks_per_second * times, days, replicas, peak=peak, books=books) for times in _TIMES]
    if as_json:
        print(json.dumps({f"x{times}": need.as_dict() for times, need in zip(_TIMES, needs, strict=True)}))
        return
    rows = [
        ("ticks/s, on average", *(f"{need.ticks_per_second:,.0f}" for need in needs)),
        ("ticks/s at the opening", *(f"{need.peak:,.0f}" for need in needs)),
        ("brokers", *(str(need.brokers) for need in needs)),
        ("partitions", *(str(need.partitions) for need in needs)),
        ("producers", *(str(need.producers) for need in needs)),
        ("workers", *(str(need.workers) for need in needs)),
        ("cores, a broker", *(f"{need.cores_broker:.2f}" for need in needs)),
        ("cores, a producer", *(f"{need.cores_producer:.2f}" for need in needs)),
        ("cores, a worker", *(f"{need.cores_worker:.2f}" for need in needs)),
        ("memory, all, GB", *(f"{need.memory_mb / 1000:,.1f}" for need in needs)),
        ("disk: Kafka, GB", *(f"{need.disk_kafka_gb:,.0f}" for need in needs)),
        ("disk: store, GB", *(f"{need.disk_store_gb:,.0f}" for need in needs)),
        ("disk: archive, GB", *(f"{need.disk_archive_gb:,.1f}" for need in needs)),
        ("network: feed, MB/s", *(f"{need.network_feed_mb_s:,.1f}" for need in needs)),
        ("network: into Kafka, MB/s", *(f"{need.network_in_mb_s:,.1f}" for need in needs)),
        ("network: copies, MB/s", *(f"{need.network_copies_mb_s:,.1f}" for need in needs)),
        ("network: out of Kafka, MB/s", *(f"{need.network_out_mb_s:,.1f}" for need in needs)),
    ]
    show([Column("need"), *(Column(f"× {times}", right=True) for times in _TIMES)], rows)
    for times, need in zip(_TIMES, needs, strict=True):
        print(f"\nat × {times}:" if need.notes else "", end="\n" if need.notes else "")
        for note in need.notes:
            for line in hanging(f"- {note}", width(), 2):
                print(line)

"""What an archive holds, and whether its files are what its manifests say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ashare_client.archive import MANIFESTS, Archive, Day, Part
from consumers.archive.keeper import STAGING
from consumers.archive.parts import measured


def faults(archive: Archive, progress: Callable[[Part], None] | None = None) -> Iterator[str]:
    """Everything that is wrong with an archive, a line each: files read whole, their rows and offsets counted.

    Raises:
        ArchiveError: a manifest can't be read.
    """
    known: set[Path] = set()
    for topic in archive.topics():
        taken: dict[int, list[tuple[int, int, str]]] = {}
        for day in archive.manifests(topic):
            for part in day.parts:
                known.add(archive.directory / part.file)
                taken.setdefault(part.partition, []).extend((*span, part.file) for span in part.spans)
                yield from (f"{part.file}: {fault}" for fault in _part_faults(archive.directory, day, part))
                if progress is not None:
                    progress(part)
        for spans in taken.values():
            for (_, end, one), (start, _, other) in pairwise(sorted(spans)):
                if start < end:
                    yield f"{other}: offset {start:,} is in {one} too"
    yield from _strangers(archive.directory, known)


def _part_faults(directory: Path, day: Day, part: Part) -> Iterator[str]:
    path = directory / part.file
    try:
        size, digest = measured(path)
    except OSError as error:
        yield error.strerror or str(error)
        return
    if size != part.bytes or digest != part.sha256:
        yield f"is not the file that was written: {size:,} bytes, {part.bytes:,} expected"
        return
    try:
        table = pq.read_table(path, columns=["kafka_offset", "kafka_partition"], partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        yield f"can't be read: {error}"
        return
    if table.num_rows != part.rows:
        yield f"has {table.num_rows:,} rows, {part.rows:,} expected"
    partitions = pc.unique(table["kafka_partition"]).to_pylist()
    if partitions != [part.partition]:
        yield f"of {day.date} has records of partitions {partitions}, {part.partition} expected"
    offsets = sorted(table["kafka_offset"].to_pylist())
    if any(one == other for one, other in pairwise(offsets)):
        yield "has an offset twice"
    spans = iter(part.spans)
    span = next(spans)
    for offset in offsets:
        while offset >= span.end and (after := next(spans, None)) is not None:
            span = after
        if not span.start <= offset < span.end:
            yield f"has offset {offset:,}, which its manifest does not"
            return


def _strangers(directory: Path, known: set[Path]) -> Iterator[str]:
    """Parts that no manifest names, and what a killed run left."""
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if inside.parts[0] == STAGING or (inside.parts[0] == MANIFESTS and path.suffix in {".new", ".next"}):
            if path.is_file():
                yield f"{inside}: left by a run that was killed; the next one sees to it"
        elif path.suffix == ".parquet" and path not in known:
            yield f"{inside}: no manifest names it, DuckDB and Polars read it all the same: move it away"

"""A stretch of records into one Parquet file: sorted, written, on the disk, read back and compared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ashare_client.archive import Part, values
from consumers.archive.stretches import Stretch
from schemas import UsageError

ROW_GROUP = 16_384
"""Rows that a reader has to take at once; sorted by code, so that few of them are read for one."""
_AT_ONCE = 4_096  # rows that are made into JSON at once
_RISING = ("time", "start", "end", "received", "n", "kafka_offset", "kafka_timestamp", "origin_offset")
_VALUE = "kafka_value"


def write(stretch: Stretch, staging: Path, folder: str, source: Literal["log", "store"]) -> Part:
    """Write a stretch, which is used up, below ``staging`` at the path that it will have in the archive.

    Memory: beside the stretch its rows once more, without their JSON.

    Raises:
        UsageError: the disk refused it, or gave back something else.
    """
    table = stretch.kind.lean(pa.Table.from_batches(stretch.batches)).combine_chunks()
    stretch.batches.clear()
    offsets, times = pc.min_max(table["kafka_offset"]).as_py(), pc.min_max(table["kafka_timestamp"]).as_py()
    name = f"part-{offsets['min']:012d}-{offsets['max']:012d}.parquet"
    file = f"{folder}/date={stretch.day}/bucket={stretch.partition:02d}/{name}"
    path = staging / file
    rising = [(column, "ascending") for column in ("code", stretch.kind.time, "kafka_offset")]
    order = pc.sort_indices(table, rising)
    groups = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            with _writer(table.schema, target, rising) as writer:
                for start in range(0, table.num_rows, ROW_GROUP):
                    group = _lean(table.take(order.slice(start, ROW_GROUP)).combine_chunks())
                    writer.write_table(group)
                    groups.append(group)
            target.flush()
            os.fsync(target.fileno())
        del table
        size, digest = measured(path)
        _verify(path, groups)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} could not be written ({error}): nothing of the archive was changed") from error
    rows = sum(group.num_rows for group in groups)
    groups.clear()
    pa.default_memory_pool().release_unused()
    return Part(
        file=file,
        partition=stretch.partition,
        rows=rows,
        spans=stretch.spans,
        timestamps=(times["min"], times["max"]),
        bytes=size,
        sha256=digest,
        source=source,
    )


def measured(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _verify(path: Path, groups: Sequence[pa.Table]) -> None:
    """Read a file back and compare it with what was to be in it.

    Raises:
        UsageError: it is something else.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        same = file.num_row_groups == len(groups) and all(
            file.read_row_group(number).equals(group) for number, group in enumerate(groups)
        )
    if not same:
        raise UsageError(f"{path} does not read as it was written: the disk is not to be trusted")


def _lean(table: pa.Table) -> pa.Table:
    """The table without every JSON that its columns give again, byte for byte."""
    place = table.schema.get_field_index(_VALUE)
    kept = [_kept(batch, place) for batch in table.to_batches(max_chunksize=_AT_ONCE)]
    lean = table.set_column(place, table.schema.field(place), pa.chunked_array(kept, pa.binary()))
    return lean.combine_chunks()


def _kept(batch: pa.RecordBatch, place: int) -> pa.Array:
    """Each row's JSON, if the columns do not give it."""
    nothing = pa.nulls(batch.num_rows, pa.binary())
    made = values(batch.set_column(place, batch.schema.field(place), nothing))
    raw = batch.column(place).to_pylist()
    if made == raw:
        return nothing
    return pa.array([None if one == other else one for one, other in zip(raw, made, strict=True)], pa.binary())


def _writer(schema: pa.Schema, target: BinaryIO, order: list[tuple[str, str]]) -> pq.ParquetWriter:
    rising = [name for name in _RISING if name in schema.names]
    return pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in rising],
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
        sorting_columns=pq.SortingColumn.from_ordering(schema, order),
    )

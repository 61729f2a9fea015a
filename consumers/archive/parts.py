"""A stretch of records into one Parquet file: sorted, written, on the disk, read back and compared."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ashare_client.archive import Part, values
from consumers.archive.stretches import Stretch
from schemas import UsageError

ROW_GROUP = 16_384
"""Rows that a reader has to take at once; sorted by code, so that few of them are read for one."""
_TEXTS = ("code", "exchange", "source", "side", "kafka_topic", "kafka_key")
_SORTED = [("code", "ascending"), ("time", "ascending"), ("kafka_offset", "ascending")]
_RISING = ("time", "received", "n", "kafka_offset", "kafka_timestamp", "origin_offset")
_VALUE = "kafka_value"


def write(stretch: Stretch, staging: Path, folder: str, source: Literal["log", "store"]) -> Part:
    """Write a stretch below ``staging`` at the path that it will have in the archive.

    Raises:
        UsageError: the disk refused it, or gave back something else.
    """
    table = pa.Table.from_batches(stretch.batches).sort_by(_SORTED).combine_chunks()
    table = _lean(table)
    offsets, times = pc.min_max(table["kafka_offset"]).as_py(), pc.min_max(table["kafka_timestamp"]).as_py()
    name = f"part-{offsets['min']:012d}-{offsets['max']:012d}.parquet"
    file = f"{folder}/date={stretch.day}/bucket={stretch.partition:02d}/{name}"
    path = staging / file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            _write(table, target)
            target.flush()
            os.fsync(target.fileno())
        size, digest = measured(path)
        if not pq.read_table(path, partitioning=None).equals(table):
            raise UsageError(f"{path} does not read as it was written: the disk is not to be trusted")
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} could not be written ({error}): nothing of the archive was changed") from error
    return Part(
        file=file,
        partition=stretch.partition,
        rows=table.num_rows,
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


def _lean(table: pa.Table) -> pa.Table:
    """The table without every JSON that its columns give again, byte for byte."""
    kept: list[pa.Array] = []
    place = table.schema.get_field_index(_VALUE)
    for batch in table.to_batches(max_chunksize=ROW_GROUP):
        nothing = pa.nulls(batch.num_rows, pa.binary())
        made = values(batch.set_column(place, batch.schema.field(place), nothing))
        raw = batch.column(place).to_pylist()
        kept.append(
            nothing
            if made == raw
            else pa.array([None if one == other else one for one, other in zip(raw, made, strict=True)], pa.binary())
        )
    return table.set_column(place, table.schema.field(place), pa.chunked_array(kept, pa.binary())).combine_chunks()


def _write(table: pa.Table, target: object) -> None:
    names = set(table.column_names)
    rising = [name for name in _RISING if name in names]
    pq.write_table(
        table,
        target,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=[name for name in table.column_names if name not in rising],
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
        sorting_columns=pq.SortingColumn.from_ordering(table.schema, _SORTED),
    )

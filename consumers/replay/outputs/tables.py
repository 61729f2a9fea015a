"""Records as an Arrow or Parquet file: a column a field, in groups of rows that do not depend on the reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from consumers.replay.merge import Batch
from consumers.replay.outputs.arrays import TYPES, arrow
from consumers.replay.outputs.columns import Columns
from consumers.replay.outputs.files import WholeFile
from schemas import UsageError

GROUP = 16_384
"""Rows of a group: what is held in memory before it is written."""
_REPEATING = ("exchange", "source", "side", "kafka_topic")


class Table:
    """An output to one file, zstd-compressed. The same records give the same bytes."""

    typed = True
    apart = False
    seekable = False

    def __init__(self, file: WholeFile, kind: str, form: Literal["parquet", "arrow"]) -> None:
        """A table of one kind of record, its name as in ``topics.yaml``."""
        self.headers = kind == "dead-letter"
        self._columns = Columns(kind)
        self._schema = pa.schema([(name, TYPES[of]) for name, of in self._columns.kinds.items()])
        self._file = file
        self._form = form
        self._writer: Any = None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._any = False

    @property
    def unreadable(self) -> int:
        """As ``Output.unreadable``."""
        return self._columns.unreadable

    async def open(self, partitions: Sequence[int]) -> None:
        """As ``Output.open``."""
        del partitions
        file = self._file.opened()
        if self._form == "arrow":
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._writer = pa.ipc.new_file(file, self._schema, options=options)
        else:
            names = [name for name in _REPEATING if name in self._columns.kinds]
            self._writer = pq.ParquetWriter(file, self._schema, compression="zstd", use_dictionary=[*names, "code"])

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        columns = zip(self._columns.of(batch), self._columns.kinds.values(), strict=True)
        arrays = [arrow(column, of) for column, of in columns]
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._any = True
        self._held.append(rows)
        self._rows += rows.num_rows
        while self._rows >= GROUP:
            self._flush(GROUP)

    async def jumped(self) -> None:
        """As ``Output.jumped``: never, it is not seekable."""

    async def close(self, *, complete: bool) -> None:
        """As ``Output.close``; a file without a record is not kept."""
        complete = complete and self._any
        try:
            if self._writer is not None and complete:
                if self._rows:
                    self._flush(self._rows)
                self._writer.close()
        finally:
            self._writer = None
            self._file.end(complete=complete)

    def _flush(self, rows: int) -> None:
        """Write the first rows that are held as one group."""
        table = pa.Table.from_batches(self._held, self._schema)
        group, rest = table.slice(0, rows).combine_chunks(), table.slice(rows)
        self._held, self._rows = rest.to_batches(), rest.num_rows
        try:
            if self._form == "arrow":
                self._writer.write_table(group)
            else:
                self._writer.write_table(group, row_group_size=GROUP)
        except OSError as error:
            raise UsageError(f"--to-file {self._file.path} can't be written: {error}") from error

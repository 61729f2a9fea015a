"""The columns of the table ``ticks``: a public interface, the same in every store.

One column per field of the tick record, under the same name and in the same unit, then the place in Kafka that it came
from. QuestDB has one more, ``timestamp`` (µs), its designated timestamp: ``time`` again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import astuple

from stores.base import TickBatch

TABLE = "ticks"
KEY = ("source", "run", "n")
_LARGEST = 2**63 - 1  # of an integer column, in both stores
_LATEST = 253_402_214_400_000 - 1  # ms; 9999-12-31 00:00 UTC: both stores' dates hold before it


class Column(NamedTuple):
    """One column, with its type in either store."""

    name: str
    sqlite: str
    questdb: str
    nullable: bool = False


# In the order of the record's fields. SQLite's NUMERIC keeps whole shares whole and others as they are.
COLUMNS = (
    Column("code", "TEXT", "SYMBOL"),
    Column("exchange", "TEXT", "SYMBOL"),
    Column("price", "REAL", "DOUBLE"),
    Column("time", "INTEGER", "LONG"),
    Column("received", "INTEGER", "LONG"),
    Column("source", "TEXT", "SYMBOL"),
    Column("run", "INTEGER", "LONG"),
    Column("n", "INTEGER", "LONG"),
    Column("volume", "NUMERIC", "DOUBLE", nullable=True),
    Column("turnover", "REAL", "DOUBLE", nullable=True),
    Column("side", "TEXT", "SYMBOL", nullable=True),
    Column("seq", "INTEGER", "LONG", nullable=True),
    Column("previous_close", "REAL", "DOUBLE", nullable=True),
    Column("quality", "TEXT", "SYMBOL", nullable=True),
    Column("kafka_topic", "TEXT", "SYMBOL"),
    Column("kafka_partition", "INTEGER", "LONG"),
    Column("kafka_offset", "INTEGER", "LONG"),
    Column("kafka_timestamp", "INTEGER", "LONG"),
)
NAMES = tuple(column.name for column in COLUMNS)
ROWS = 8_192
"""Most rows of a list that a reader gives."""
ADDED = tuple(column for column in COLUMNS if column.name == "quality")
"""Columns that tables from before them lack: a writer adds them, behind the others; a reader takes them for null."""
_ADDED = frozenset(column.name for column in ADDED)


def rows(batch: TickBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch, values in the order of ``COLUMNS``."""
    topic, partition = batch.topic, batch.partition
    for tick, offset, timestamp in zip(batch.ticks, batch.offsets, batch.timestamps, strict=True):
        yield (*astuple(tick), topic, partition, offset, timestamp)


def selected(there: Collection[str]) -> str:
    """What a SELECT asks of a table that has these columns: ``NAMES``, null for one that it lacks."""
    return ", ".join(name if name in there or name not in _ADDED else f"NULL AS {name}" for name in NAMES)


def unstorable(batches: Iterable[TickBatch]) -> tuple[int, int, str] | None:
    """The first tick that no store can keep: its partition, its offset and why; None if each can be kept.

    Only a record that our producer did not write can be one; looked for when a store has refused a write.
    """
    for batch in batches:
        for row in rows(batch):
            for column, value in zip(COLUMNS, row, strict=True):
                why = None
                if isinstance(value, int) and abs(value) > _LARGEST:
                    why = f"{column.name} is {value}, beyond 64 bits"
                elif column.name == "time" and value > _LATEST:
                    why = f"time is {value} ms, beyond the year 9999"
                elif isinstance(value, str) and "\0" in value:
                    why = f"{column.name} contains a NUL character"  # SQLite would keep it, QuestDB does not
                if why is not None:
                    return batch.partition, row[NAMES.index("kafka_offset")], why
    return None

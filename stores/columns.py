"""The columns of the table ``ticks``: a public interface, the same in every store.

One column per field of the tick record, under the same name and in the same unit, then the place in Kafka that it came
from. QuestDB has one more, ``timestamp`` (µs), its designated timestamp: ``time`` again.

The columns of a book and of the day's figures (``BESIDE``) are added to a table with the first tick that has anything
of it: a feed without costs no byte and no time for them. A side of a book is text, as in the record:
``[[10.01,1200],[10.0,300]]``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import astuple

from schemas import BareTick, Level, Tick
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
    Column("bids", "TEXT", "VARCHAR", nullable=True),
    Column("asks", "TEXT", "VARCHAR", nullable=True),
    Column("day_open", "REAL", "DOUBLE", nullable=True),
    Column("day_high", "REAL", "DOUBLE", nullable=True),
    Column("day_low", "REAL", "DOUBLE", nullable=True),
    Column("day_volume", "NUMERIC", "DOUBLE", nullable=True),
    Column("day_turnover", "REAL", "DOUBLE", nullable=True),
    Column("average", "REAL", "DOUBLE", nullable=True),
    Column("kafka_topic", "TEXT", "SYMBOL"),
    Column("kafka_partition", "INTEGER", "LONG"),
    Column("kafka_offset", "INTEGER", "LONG"),
    Column("kafka_timestamp", "INTEGER", "LONG"),
)
NAMES = tuple(column.name for column in COLUMNS)
ROWS = 8_192
"""Most rows of a list that a reader gives."""
_BARE = len(BareTick.__struct_fields__)
_FIELDS = len(Tick.__struct_fields__)
BESIDE = COLUMNS[_BARE:_FIELDS]
"""Columns of what came beside the trade: a writer adds them with the first tick that has anything of it."""
PLAIN = COLUMNS[:_BARE] + COLUMNS[_FIELDS:]
"""All others: those of a table that has had no such tick."""
ADDED = tuple(column for column in PLAIN if column.name == "quality")
"""Columns that tables from before them lack: a writer adds them, behind the others; a reader takes them for null."""
_LACKED = frozenset(column.name for column in ADDED + BESIDE)
_NOTHING = (None,) * len(BESIDE)
_encode = msgspec.json.Encoder().encode
_levels = msgspec.json.Decoder(list[Level]).decode

Row = tuple[Any, ...]


def rows(batch: TickBatch) -> tuple[list[Row], list[Row]]:
    """The rows of a batch: those with nothing beside the trade, values in the order of ``PLAIN``; others, ``COLUMNS``.

    Both are in the order of the batch.
    """
    topic, partition = batch.topic, batch.partition
    placed = zip(batch.ticks, batch.offsets, batch.timestamps, strict=True)
    if not batch.beside:
        some = [(*astuple(tick), topic, partition, offset, timestamp) for tick, offset, timestamp in placed]
        return some, []
    plain: list[Row] = []
    full: list[Row] = []
    for tick, offset, timestamp in placed:
        values = astuple(tick)
        if nothing_beside(values):
            plain.append((*values[:_BARE], topic, partition, offset, timestamp))
        else:
            bids, asks, *figures = values[_BARE:]
            full.append((*values[:_BARE], text(bids), text(asks), *figures, topic, partition, offset, timestamp))
    return plain, full


def nothing_beside(values: Row) -> bool:
    """Whether a tick's values have no book and no figure of the day."""
    return len(values) == _BARE or values[_BARE:] == _NOTHING


def text(levels: list[Level] | None) -> str | None:
    """A side of a book as a store keeps it: JSON, as in the record."""
    return None if levels is None else _encode(levels).decode()


def levels(stored: str | None) -> list[Level] | None:
    """A side of a book, as a store has kept it.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return None if stored is None else _levels(stored)


def selected(there: Collection[str]) -> str:
    """What a SELECT asks of a table that has these columns: ``NAMES``, null for one that it lacks."""
    return ", ".join(name if name in there or name not in _LACKED else f"NULL AS {name}" for name in NAMES)


def unstorable(batches: Iterable[TickBatch]) -> tuple[int, int, str] | None:
    """The first tick that no store can keep: its partition, its offset and why; None if each can be kept.

    Only a record that our producer did not write can be one; looked for when a store has refused a write.
    """
    for batch in batches:
        plain, full = rows(batch)
        for columns, some in ((PLAIN, plain), (COLUMNS, full)):
            for row in some:
                why = next(filter(None, map(_refused, columns, row)), None)
                if why is not None:
                    return batch.partition, row[-2], why
    return None


def _refused(column: Column, value: Any) -> str | None:
    """Why a column can't hold a value."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"{column.name} is {value}, beyond 64 bits"
    if column.name == "time" and value > _LATEST:
        return f"time is {value} ms, beyond the year 9999"
    if isinstance(value, str) and "\0" in value:
        return f"{column.name} contains a NUL character"  # SQLite would keep it, QuestDB does not
    return None

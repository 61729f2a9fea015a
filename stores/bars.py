"""The contract of a store of bars, and its columns: the table ``bars``, the same in every store.

A store holds one row of each bar: of one ``code``, ``start`` and ``auction``, the record that was written last. A batch
that is written again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from schemas import Bar, GapMark, Origin
from stores.columns import Column

TABLE = "bars"
KEY = ("code", "start", "auction")
CONTINUOUS = "none"
"""What stands for no auction in ``auction``: a part of the key is not null."""


COLUMNS = (
    Column("code", "TEXT", "SYMBOL"),
    Column("exchange", "TEXT", "SYMBOL"),
    Column("session", "TEXT", "SYMBOL"),
    Column("start", "INTEGER", "LONG"),
    Column("end", "INTEGER", "LONG"),
    Column("open", "REAL", "DOUBLE"),
    Column("high", "REAL", "DOUBLE"),
    Column("low", "REAL", "DOUBLE"),
    Column("close", "REAL", "DOUBLE"),
    Column("ticks", "INTEGER", "LONG"),
    Column("revision", "INTEGER", "LONG"),
    Column("origin_partition", "INTEGER", "LONG"),
    Column("origin_offset", "INTEGER", "LONG"),
    Column("volume", "NUMERIC", "DOUBLE", nullable=True),
    Column("turnover", "REAL", "DOUBLE", nullable=True),
    Column("auction", "TEXT", "SYMBOL"),
    Column("gap", "TEXT", "VARCHAR", nullable=True),
    Column("doubtful", "INTEGER", "LONG"),
)
NAMES = tuple(column.name for column in COLUMNS)
QUOTED = ", ".join(f'"{name}"' for name in NAMES)
_gap = msgspec.json.Decoder(GapMark).decode
_encode = msgspec.json.Encoder().encode


class BarStore(Protocol):
    """Where bars are kept. Written by one caller at a time; read by anybody, at any time, without opening."""

    async def open(self) -> None:
        """Make the store ready, creating what is missing. A second call does nothing.

        Raises:
            StoreError: it is away, full or locked: try again later.
            schemas.UsageError: it can't be used as configured.
        """

    async def write(self, bars: Sequence[Bar]) -> None:
        """Keep the bars durably; of two of one key, the later in the list.

        Raises:
            StoreError: not written, or not surely; write the same again.
        """

    async def close(self) -> None:
        """Release files and connections. A second call does nothing."""

    def days(self) -> list[str]:
        """The sessions (YYYY-MM-DD) that there are bars of, oldest first; none where nothing was stored yet.

        Raises:
            schemas.UsageError: the store can't be read.
        """

    def bars(self, code: str, day: str) -> list[Bar]:
        """The bars of a code and session, by start; the closing auction's last.

        Raises:
            schemas.UsageError: the store can't be read.
        """


def row(bar: Bar) -> tuple[Any, ...]:
    """A bar's values, in the order of the columns."""
    return (
        bar.code,
        bar.exchange,
        bar.session,
        bar.start,
        bar.end,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.ticks,
        bar.revision,
        bar.origin.partition,
        bar.origin.offset,
        bar.volume,
        bar.turnover,
        bar.auction or CONTINUOUS,
        None if bar.gap is None else _encode(bar.gap).decode(),
        bar.doubtful,
    )


def bar_of(values: Sequence[Any]) -> Bar:
    """The bar that a store has kept as these values.

    Raises:
        msgspec.MsgspecError: its gap is none.
    """
    *figures, partition, offset, volume, turnover, auction, gap, doubtful = values
    if isinstance(volume, float) and volume.is_integer():
        volume = int(volume)
    make: Callable[..., Bar] = Bar
    return make(
        *figures,
        Origin(partition, offset),
        volume,
        turnover,
        None if auction == CONTINUOUS else auction,
        None if gap is None else _gap(gap),
        doubtful,
    )


def latest(bars: Sequence[Bar]) -> list[Bar]:
    """The last of each key."""
    return list({(bar.code, bar.start, bar.auction): bar for bar in bars}.values())


def ordered(bars: Sequence[Bar]) -> list[Bar]:
    """By start; the closing auction behind the minute in which it ends."""
    return sorted(bars, key=lambda bar: (bar.start, bar.auction == "closing"))

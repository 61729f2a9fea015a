"""Ticks as InfluxDB line protocol, the way QuestDB reads it: symbols first, then fields, then the designated timestamp.

Null is a field left out. A number without suffix is a DOUBLE, with ``i`` a LONG. Times are in ms (``precision=ms``).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import astuple

from schemas import BareTick, Level
from stores.base import TickBatch
from stores.columns import BESIDE, Row, nothing_beside, text

_SYMBOL = str.maketrans({character: f"\\{character}" for character in " ,=\\\n\r"})
_BARE = len(BareTick.__struct_fields__)
_FIGURES = tuple(column.name for column in BESIDE[2:])
_CACHED = 65_536  # prefixes kept per topic: codes × sources × sides × qualities


def symbol(text: str) -> str:
    """A symbol's value, escaped. It can't be empty: an empty one is read as null."""
    return text.translate(_SYMBOL)


def encoder(table: str) -> Callable[[TickBatch], tuple[bytes, bool]]:
    """What turns batches into lines, one line a tick, and says whether any has columns of ``BESIDE``.

    It keeps what it escaped.
    """
    topics: dict[str, dict[tuple[str | None, ...], str]] = {}

    def encode(batch: TickBatch) -> tuple[bytes, bool]:
        if len(topics) > 1:
            topics.clear()  # one store, one topic, as a rule
        prefixes = topics.setdefault(batch.topic, {})
        if len(prefixes) > _CACHED:
            prefixes.clear()
        partition = batch.partition
        lines = []
        may_beside, any_beside = batch.beside, False
        for tick, offset, timestamp in zip(batch.ticks, batch.offsets, batch.timestamps, strict=True):
            values = astuple(tick)
            beside = ""
            if may_beside:
                values, beside = _apart(values)
                any_beside |= beside != ""
            code, exchange, price, time, received, source, run, n, volume, turnover, side, seq, close, quality = values
            key = (code, exchange, source, side, quality)
            prefix = prefixes.get(key)
            if prefix is None:
                symbols = {"code": code, "exchange": exchange, "source": source, "side": side, "quality": quality}
                prefix = prefixes[key] = _prefix(table, symbols | {"kafka_topic": batch.topic})
            optional = "" if volume is None else f"volume={volume!r},"
            if turnover is not None:
                optional += f"turnover={turnover!r},"
            if seq is not None:
                optional += f"seq={seq}i,"
            if close is not None:
                optional += f"previous_close={close!r},"
            lines.append(
                f"{prefix}price={price!r},time={time}i,received={received}i,run={run}i,n={n}i,{optional}{beside}"
                f"kafka_partition={partition}i,kafka_offset={offset}i,kafka_timestamp={timestamp}i {time}\n"
            )
        return "".join(lines).encode(), any_beside

    return encode


def _apart(values: Row) -> tuple[Row, str]:
    """The values of a tick without what came beside it, and the fields for that."""
    return (values[:_BARE], "") if nothing_beside(values) else (values[:_BARE], _fields(*values[_BARE:]))


def _fields(bids: list[Level] | None, asks: list[Level] | None, *figures: float | None) -> str:
    """The book and the day's figures; the text of a book, numbers and brackets, has nothing to escape."""
    given = "".join(f"{name}={value!r}," for name, value in zip(_FIGURES, figures, strict=True) if value is not None)
    if bids is not None:
        given += f'bids="{text(bids)}",'
    return given if asks is None else f'{given}asks="{text(asks)}",'


def _prefix(table: str, symbols: dict[str, str | None]) -> str:
    """The line up to its first number."""
    given = "".join(f",{name}={symbol(text)}" for name, text in symbols.items() if text)
    # An empty text is one only as a field.
    empty = "".join(f'{name}="",' for name, text in symbols.items() if text is not None and not text)
    return f"{table}{given} {empty}"

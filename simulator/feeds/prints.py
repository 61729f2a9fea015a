"""The market's ticks as every provider sees them: each with what its code has traded so far today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from market.codes import UnknownCode, instrument
from market.times import DAY_MS, SHANGHAI_MS
from simulator.feed import Batch

Side = Literal["buy", "sell"]
_BESIDE = frozenset({"bids", "asks", "open", "high", "low", "day_volume", "day_turnover", "average"})


@dataclass(slots=True)
class Print:
    """One tick: price and turnover in yuan, volume in shares, time in ms; ``None`` is what the source does not carry.

    Attributes:
        text: the tick as the source wrote it, in the post's JSON.
        number: counts the code's ticks from 1, day after day; a provider's sequence number is made from it.
        day_volume: shares of the day so far, this tick's included.
        day_turnover: yuan likewise.
        open, high, low: yuan, of the day so far; those that the source has where it does.
        bids, asks: levels of yuan and shares, where the source has a book.
        beside: the source has a book or figures of the day, so that the ledger says what is pushed of them.
        genuine: false for what is not the market's own, such as a price of 0: no client makes a tick of it.
    """

    code: str
    exchange: str
    text: str
    price: float
    time: int
    volume: float | None
    turnover: float | None
    side: Side | None
    previous_close: float | None
    number: int
    day_volume: float
    day_turnover: float
    open: float
    high: float
    low: float
    bids: list[list[float]] | None = None
    asks: list[list[float]] | None = None
    beside: bool = False
    genuine: bool = True


@dataclass(slots=True)
class _Day:
    exchange: str
    day: int = -1
    number: int = 0
    volume: float = 0
    turnover: float = 0.0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0


class Tape:
    """Counts and sums by code. A day's sums begin at 0 with the first tick of its date in China."""

    def __init__(self) -> None:
        """Nothing was traded yet."""
        self._days: dict[str, _Day] = {}

    def read(self, batch: Batch) -> list[Print]:
        """The ticks of a batch, in order."""
        loads, enter = orjson.loads, self._enter
        return [enter(loads(text), text) for text in batch.texts]

    def forget_sums(self) -> None:
        """Begin all of today's sums at 0 again, as servers do that were restarted."""
        for day in self._days.values():
            day.volume, day.turnover = 0, 0.0

    def _enter(self, tick: dict[str, Any], text: str) -> Print:
        get = tick.get
        code, price, time, volume, turnover = tick["code"], tick["price"], tick["time"], get("volume"), get("turnover")
        day = self._days.get(code)
        if day is None:
            day = self._days[code] = _Day(_exchange(code))
        date = (time + SHANGHAI_MS) // DAY_MS
        if date > day.day:
            day.day, day.volume, day.turnover = date, 0, 0.0
            day.open = day.high = day.low = price
        elif price > day.high:
            day.high = price
        elif price < day.low:
            day.low = price
        day.number += 1
        if volume:
            day.volume += volume
        if turnover:
            day.turnover += turnover
        return Print(
            code, day.exchange, text, price, time, volume, turnover, get("side"), get("previous_close"), day.number,
            day.volume, day.turnover, get("open", day.open), get("high", day.high), get("low", day.low),
            get("bids"), get("asks"), not _BESIDE.isdisjoint(tick),
        )  # fmt: skip


def _exchange(code: str) -> str:
    try:
        return instrument(code).exchange
    except UnknownCode:
        return "SSE"

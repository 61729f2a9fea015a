"""A book and the day's figures beside every tick of a source: five levels a side, drawn around the tick's price.

They are written into the tick's JSON under the names of the post's protocol: ``bids`` and ``asks`` as ``[price,
volume]``, best first; ``open``, ``high``, ``low``, ``day_volume``, ``day_turnover`` and ``average`` of the code's day
so far, this tick included. A trade of a buyer stands at the best ask, any other at the best bid. At the upper limit
nobody sells, and at the lower one nobody buys: that side is empty. An index has no book.
"""

from __future__ import annotations

import random
from typing import Any

import orjson

from market.times import DAY_MS, SHANGHAI_MS
from simulator.feed import Batch, Source
from simulator.grids import Grids

LEVELS = 5
_E4 = 10_000
_DEEPEST = 2_000
"""Lots of a level at most."""


class _Day:
    """A code's day so far: prices in 1/10,000 yuan, shares, yuan."""

    __slots__ = ("date", "high", "low", "open", "turnover", "volume")

    def __init__(self) -> None:
        self.date = -1
        self.open = self.high = self.low = self.volume = 0
        self.turnover = 0.0

    def enter(self, date: int, price: int, volume: int, turnover: float) -> None:
        """One more tick; a later date begins anew."""
        if date > self.date:
            self.date, self.volume, self.turnover = date, 0, 0.0
            self.open = self.high = self.low = price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += volume
        self.turnover += turnover


class Booked:
    """A drawn source with a book and the day's figures beside each tick; the ticks and their order stay as they are."""

    def __init__(self, source: Source, grids: Grids, seed: int) -> None:
        """One tick asks for the same draws, however its batches are cut."""
        self._source = source
        self._grids = grids
        self._draw = random.Random(f"books {seed}").getrandbits
        self._days: dict[str, _Day] = {}

    @property
    def next_due(self) -> float | None:
        """As ``Source.next_due``."""
        return self._source.next_due

    def take(self, elapsed: float, limit: int) -> Batch:
        """As ``Source.take``."""
        batch = self._source.take(elapsed, limit)
        batch.texts[:] = [self._beside(text) for text in batch.texts]
        return batch

    def knows(self, code: str) -> bool:
        """As ``Source.knows``."""
        return self._source.knows(code)

    def _beside(self, text: str) -> str:
        tick: dict[str, Any] = orjson.loads(text)
        code, price = tick["code"], round(tick["price"] * _E4)
        day = self._days.get(code)
        if day is None:
            day = self._days[code] = _Day()
        date = (tick["time"] + SHANGHAI_MS) // DAY_MS
        day.enter(date, price, tick.get("volume") or 0, tick.get("turnover") or 0.0)
        more: dict[str, Any] = self._book(code, price, buyer=tick.get("side") == "buy") | {
            "open": day.open / _E4,
            "high": day.high / _E4,
            "low": day.low / _E4,
            "day_volume": day.volume,
            "day_turnover": day.turnover,
        }
        if day.volume:
            more["average"] = round(day.turnover / day.volume, 4)
        return f"{text[:-1]},{orjson.dumps(more).decode()[1:]}"

    def _book(self, code: str, price: int, *, buyer: bool) -> dict[str, Any]:
        grid = self._grids(code)
        if grid is None:
            return {}
        low, high, step, lot = grid
        best = price - step if (buyer and price < high) or price <= low else price
        bids = range(best, best - LEVELS * step, -step)
        asks = range(best + step, best + (LEVELS + 1) * step, step)
        return {
            "bids": [self._level(level, lot) for level in bids if level >= low],
            "asks": [self._level(level, lot) for level in asks if level <= high],
        }

    def _level(self, price: int, lot: int) -> list[float]:
        # Low bits of a product: most levels are small, and a few deep.
        bits = self._draw(22)
        return [price / _E4, (1 + (bits >> 11) * (bits & 2047) * _DEEPEST // (1 << 22)) * lot]

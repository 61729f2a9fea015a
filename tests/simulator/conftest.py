"""Ticks of the market as a provider's session is given them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.feed import Batch
from simulator.feeds.prints import Print, Tape

NOON = 1_795_150_800_000
"""A moment of 2026-11-20, 13:00 in Shanghai."""


@pytest.fixture
def tape() -> Callable[..., list[Print]]:
    """Reads ticks, given as dicts, as one market's; what is left out is a trade of 300 shares of 600519 at 1690.01."""
    one = Tape()

    def read(*ticks: dict[str, Any]) -> list[Print]:
        batch = Batch([], [], [])
        for number, given in enumerate(ticks):
            tick: dict[str, Any] = {
                "code": "600519",
                "price": 1690.01,
                "time": NOON + number,
                "volume": 300,
                "side": "buy",
            } | given
            tick.setdefault("turnover", round(tick["price"] * (tick["volume"] or 0), 2))
            tick.setdefault("previous_close", 1680.0)
            batch.codes.append(tick["code"])
            batch.texts.append(orjson.dumps(tick).decode())
            batch.traded.append(tick["volume"] != 0)
        return one.read(batch)

    return read

"""What the trading rules hold against a tick's book and its figures of the day. No I/O.

Judged by the tick alone: a feed that has neither is never judged, and what one feed says is not held against another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from market.codes import EXCHANGES, Board
from market.prices import to_e4
from market.sessions import phase_at
from producer.feeds.decoded import Beside
from schemas import Level

CROSSED_BOOK = "crossed_book"
DISORDERED_BOOK = "disordered_book"
DAY_FIGURES = "day_figures"


def held_against(beside: Beside, price: float, time: int, exchange: str, board: Board) -> list[str]:
    """The flaws of what came beside a tick of this price (yuan) and time (ms since the epoch), if any."""
    found = []
    bids, asks = beside.bids, beside.asks
    if bids and asks and bids[0].price >= asks[0].price and _continuous(time, exchange, board):
        found.append(CROSSED_BOOK)
    if (bids and not _falling(bids)) or (asks and not _rising(asks)):
        found.append(DISORDERED_BOOK)
    high, low = beside.day_high, beside.day_low
    # Equal prices may differ by a float's noise: only where a quick look finds something, it is looked at exactly.
    if (high is not None and high < price) or (low is not None and low > price):
        e4 = to_e4(price)
        if (high is not None and to_e4(high) < e4) or (low is not None and to_e4(low) > e4):
            found.append(DAY_FIGURES)
    return found


def _continuous(time: int, exchange: str, board: Board) -> bool:
    """Whether orders are matched as they come: in an auction the best bid may well be above the best ask."""
    return exchange in EXCHANGES and phase_at(time, exchange, board).continuous


def _falling(levels: Sequence[Level]) -> bool:
    last = math.inf
    for level in levels:
        price = level.price
        if price >= last:
            return False
        last = price
    return True


def _rising(levels: Sequence[Level]) -> bool:
    last = 0.0
    for level in levels:
        price = level.price
        if price <= last:
            return False
        last = price
    return True

"""The drawn market: each stock's price is a random walk on the tick grid inside its limit band.

All of it is pure, and drawn in one fixed order from one seed: the same ticks come in the same order, however fast and
in batches of whatever size they are taken. One draw of 64 bits decides one tick.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain, repeat

from market.rules import limit_band_e4, lot
from simulator.grids import Grid
from simulator.universe import Activity, Listing

Draw = tuple[int, int, int, int]

_E4_PER_FEN = 100
_LOT = 100
_TABLE = 4096
"""Entries of the tables of steps and sizes: 12 bits of a draw each."""
_POOL = 1 << 16
"""Entries of the table of codes: 16 bits of a draw."""
_OPENING = 0b1
_QUOTE_ONLY = 0b11111_0
_BUY = 0b1_000000
_BACK = 0b11111_0000000
"""Bits of a draw: it opens a stock; no trade (1 of 32); side at an unmoved price; back to the close (1 of 32)."""
_SCALE_PER_FEN = 0.0004
"""A dear stock moves by more than a tick at a time: a unit step is 4 basis points of its close, at least one tick."""
_STEPS = ((0.58, 0.0, 1.0), (0.34, 1.0, 2.0), (0.07, 2.0, 4.0), (0.01, 4.0, 11.0))
"""Steps in units: share, least and most; cut to whole ticks, so that in a cheap stock six of ten move nothing."""


class Market:
    """Every listing's state on one trading day. Prices are in fen, an A share's tick size."""

    def __init__(self, listings: Sequence[Listing], seed: int, day: date) -> None:
        """A market before the day's first tick."""
        draw = random.Random(f"market {seed}")
        self._listings = listings
        self._codes = [listing.code for listing in listings]
        self.codes = frozenset(self._codes)
        self._index = {code: at for at, code in enumerate(self._codes)}
        self._heads = [f'{{"code":"{code}","price":' for code in self._codes]
        self._least = [lot(x.board).minimum // _LOT if x.activity is Activity.TRADED else 0 for x in listings]
        self._price = [listing.previous_close for listing in listings]
        self._pool = _pool(listings, draw)
        self._steps = _steps(draw)
        self._sizes = [min(2_000, 1 + int(draw.lognormvariate(1.3, 1.2))) for _ in range(_TABLE)]
        self._shuffle = draw.random
        self._draws = _draws(random.Random(f"ticks {seed}"))
        self.open_day(day)

    def open_day(self, day: date) -> None:
        """Begin a trading day: the last prices become the previous closes, the bands follow the day's rules."""
        self.day = day
        self._close = list(self._price)
        self._tails = [f',"previous_close":{_yuan(close)}}}' for close in self._close]
        self._scales = [max(1.0, close * _SCALE_PER_FEN) for close in self._close]
        self._low, self._high = [], []
        for listing, close in zip(self._listings, self._close, strict=True):
            band = limit_band_e4(close * _E4_PER_FEN, listing.board, day, st=listing.st)
            low, high = band if band is not None else (_E4_PER_FEN, 2 * close * _E4_PER_FEN)
            self._low.append(low // _E4_PER_FEN)
            self._high.append(high // _E4_PER_FEN)
        opening = random.Random(f"opening {day} {self._shuffle()}")
        self._unopened = sorted(set(self._pool))
        opening.shuffle(self._unopened)

    def grid(self, code: str) -> Grid:
        """The prices that a code can have on the day."""
        at = self._index[code]
        return Grid(self._low[at] * _E4_PER_FEN, self._high[at] * _E4_PER_FEN, _E4_PER_FEN)

    def take(self, times: Sequence[int]) -> tuple[list[str], list[str], list[bool]]:
        """The next ticks, one for each exchange time (ms): their codes, JSON texts and whether shares were traded.

        Early in a day every other tick opens a stock that has not ticked yet; the rest fall on the stocks by how active
        they are. A price that stands at its limit stays there until a step leads back.
        """
        codes, heads, tails, pool, unopened = self._codes, self._heads, self._tails, self._pool, self._unopened
        prices, closes, lows, highs = self._price, self._close, self._low, self._high
        least, scales, steps, sizes = self._least, self._scales, self._steps, self._sizes
        ticked: list[str] = []
        texts: list[str] = []
        traded: list[bool] = []
        # zip asks for the time first, so that it leaves no draw behind when the times are used up.
        for time, (pick, step, size, bits) in zip(times, self._draws, strict=False):
            i = unopened.pop() if unopened and bits & _OPENING else pool[pick]
            price = prices[i]
            ticked.append(codes[i])
            if not least[i] or not bits & _QUOTE_ONLY:
                traded.append(False)
                texts.append(
                    f'{heads[i]}{price // 100}.{price % 100:02d},"time":{time},'
                    f'"volume":0,"turnover":0.0,"side":null{tails[i]}'
                )
                continue
            move = int(steps[step & 4095] * scales[i])
            if move:
                if (price > closes[i]) is (move > 0) and not bits & _BACK:
                    move = -move
                price = min(max(price + move, lows[i]), highs[i])
                prices[i] = price
            side = "buy" if move > 0 or (not move and bits & _BUY) else "sell"
            lots = sizes[size & 4095]
            if lots < least[i]:  # noqa: PLR1730 - this is the loop that makes every tick, and max() costs a call
                lots = least[i]
            traded.append(True)
            # A price in fen times lots of 100 shares is whole yuan.
            texts.append(
                f'{heads[i]}{price // 100}.{price % 100:02d},"time":{time},'
                f'"volume":{lots}00,"turnover":{price * lots}.0,"side":"{side}"{tails[i]}'
            )
        return ticked, texts, traded


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _pool(listings: Sequence[Listing], draw: random.Random) -> list[int]:
    """Indices of listings, each as often as it ticks: all that are not suspended at least once, a few very often."""
    ticking = [i for i, listing in enumerate(listings) if listing.activity is not Activity.SUSPENDED]
    weights = [draw.lognormvariate(0.0, 1.1) if listings[i].activity is Activity.TRADED else 0.02 for i in ticking]
    return ticking + draw.choices(ticking, weights, k=_POOL - len(ticking))


def _steps(draw: random.Random) -> list[float]:
    """A table of steps in units, as many up as down."""
    shares = [share for share, _, _ in _STEPS]
    sizes = [draw.uniform(least, most) for _, least, most in draw.choices(_STEPS, shares, k=_TABLE // 2)]
    return sizes + [-size for size in sizes]


def _draws(draw: random.Random) -> Iterator[Draw]:
    """Four numbers of 16 bits for each tick, without end."""
    blocks = (struct.iter_unpack("<4H", draw.randbytes(8 * 4096)) for _ in repeat(None))
    return chain.from_iterable(blocks)

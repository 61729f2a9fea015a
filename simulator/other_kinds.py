"""Funds, convertible bonds and indices of the drawn market: their listings, and walks on the grid of a tenth of a cent.

The A shares of a seed stay as they are without these: which ticks are of the other kinds is drawn apart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from market.bands import day_band_e4
from market.codes import Instrument, Kind, instrument
from simulator.grids import Grid

_SHARES = {Kind.FUND: 0.25, Kind.CONVERTIBLE: 0.08, Kind.INDEX: 0.02}
"""Listings of a kind for each A share, about as at the exchanges."""
_PREFIXES = {
    Kind.FUND: ("510", "512", "513", "515", "588", "159", "161"),
    Kind.CONVERTIBLE: ("110", "113", "118", "123", "127", "128"),
    Kind.INDEX: ("399",),
}
_EXCHANGES = {"159": "SZSE", "161": "SZSE", "123": "SZSE", "127": "SZSE", "128": "SZSE", "399": "SZSE"}
_WELL_KNOWN = (
    ("510300.SSE", "沪深300ETF", 4_120),
    ("123001.SZSE", "蓝标转债", 121_500),
    ("399001.SZSE", "深证成指", 13_201_120),
    ("000001.SSE", "上证指数", 3_912_450),
    ("159915.SZSE", "创业板ETF", 2_135),
    ("588000.SSE", "科创50ETF", 1_012),
    ("113050.SSE", "南银转债", 118_230),
    ("899050.BSE", "北证50", 1_402_330),
)
"""Listings that a market with their kind has, however small: code, name, previous close in 1/1,000 yuan."""
_MEDIAN = {Kind.FUND: 1_200, Kind.CONVERTIBLE: 118_000, Kind.INDEX: 4_000_000}
_LOTS = {Kind.FUND: 100, Kind.CONVERTIBLE: 10, Kind.INDEX: 100}
_STEP = {Kind.FUND: 1, Kind.CONVERTIBLE: 1, Kind.INDEX: 10}
_E4 = 10
"""1/10,000 yuan in a tick of 1/1,000."""


@dataclass(frozen=True)
class OtherListing:
    """A fund, a convertible bond or an index; ``previous_close`` in 1/1,000 yuan, or points."""

    code: str
    name: str
    kind: Kind
    previous_close: int


def others(shares: int, kinds: Collection[Kind], seed: int) -> list[OtherListing]:
    """The listings of these kinds that belong to a market of so many A shares, sorted by code."""
    draw = random.Random(f"other kinds {seed}")
    listings = [
        OtherListing(code, name, kind, close)
        for code, name, close in _WELL_KNOWN
        if (kind := instrument(code).kind) in kinds
    ]
    taken = {listing.code for listing in listings}
    for kind, share in _SHARES.items():
        if kind not in kinds:
            continue
        free = [
            code
            for prefix in _PREFIXES[kind]
            for n in range(1, 1_000)
            if (code := f"{prefix}{n:03d}.{_EXCHANGES.get(prefix, 'SSE')}") not in taken
        ]
        for code in draw.sample(free, min(len(free), round(shares * share))):
            close = round(_MEDIAN[kind] * math.exp(draw.gauss(0.0, 0.4))) // _STEP[kind] * _STEP[kind]
            listings.append(OtherListing(code, f"{kind}{code[:6]}", kind, max(close, 200)))
    return sorted(listings, key=lambda listing: listing.code)


class Taken(Protocol):
    """A market: what ``GeneratedFeed`` asks of one."""

    day: date
    codes: frozenset[str]

    def open_day(self, day: date) -> None:
        """Begin a trading day."""

    def take(self, times: Sequence[int]) -> tuple[list[str], list[str], list[bool]]:
        """The next ticks, one for each exchange time (ms): their codes, JSON texts and whether shares were traded."""

    def grid(self, code: str) -> Grid | None:
        """The prices that a code can have on the day, ``None`` of an index, which has no book."""


class OtherMarket:
    """Listings of other kinds on one trading day; prices in 1/1,000 yuan."""

    def __init__(self, listings: Sequence[OtherListing], seed: int, day: date) -> None:
        """A market before the day's first tick."""
        self._listings = listings
        self._named: list[Instrument] = [instrument(listing.code) for listing in listings]
        self._index = {listing.code: at for at, listing in enumerate(listings)}
        self.codes = frozenset(self._index)
        self._price = [listing.previous_close for listing in listings]
        self._draw = random.Random(f"other ticks {seed}")
        self.open_day(day)

    def open_day(self, day: date) -> None:
        """Begin a trading day: the last prices become the previous closes, the bands follow the day's rules."""
        self.day = day
        self._close = list(self._price)
        bands = [day_band_e4(close * _E4, named, day) for close, named in zip(self._close, self._named, strict=True)]
        self._bands = [
            (max(1, close // 2), close * 2) if band is None else (-(-band[0] // _E4), band[1] // _E4)
            for close, band in zip(self._close, bands, strict=True)
        ]

    def grid(self, code: str) -> Grid | None:
        """See ``Taken``."""
        at = self._index[code]
        kind, (low, high) = self._listings[at].kind, self._bands[at]
        return None if kind is Kind.INDEX else Grid(low * _E4, high * _E4, _STEP[kind] * _E4, _LOTS[kind])

    def take(self, times: Sequence[int]) -> tuple[list[str], list[str], list[bool]]:
        """See ``Taken``; every tick is traded, and an index's has no side."""
        draw = self._draw
        codes: list[str] = []
        texts: list[str] = []
        for time in times:
            i = draw.randrange(len(self._listings))
            listing, (low, high) = self._listings[i], self._bands[i]
            step = _STEP[listing.kind]
            move = round(draw.gauss(0.0, max(1.0, self._close[i] * 0.0003) / step)) * step
            price = self._price[i] = min(max(self._price[i] + move, low), high)
            volume = (1 + int(draw.lognormvariate(2.0, 1.2))) * _LOTS[listing.kind]
            side = "null" if listing.kind is Kind.INDEX else '"buy"' if move > 0 else '"sell"'
            codes.append(listing.code)
            texts.append(
                f'{{"code":"{listing.code}","price":{_yuan(price)},"time":{time},"volume":{volume},'
                f'"turnover":{price * volume / 1000:.2f},"side":{side},"previous_close":{_yuan(self._close[i])}}}'
            )
        return codes, texts, [True] * len(texts)


class MixedMarket:
    """Two markets as one: of each tick it is drawn whose it is, in the proportion of their listings."""

    def __init__(self, first: Taken, second: Taken, seed: int) -> None:
        """Both on the same day."""
        self._markets = first, second
        self.codes = first.codes | second.codes
        self.day = first.day
        self._share = len(second.codes) / len(self.codes)
        self._draw = random.Random(f"mixed {seed}").random

    def open_day(self, day: date) -> None:
        """Begin a trading day."""
        self.day = day
        for market in self._markets:
            market.open_day(day)

    def grid(self, code: str) -> Grid | None:
        """See ``Taken``."""
        first, second = self._markets
        return (first if code in first.codes else second).grid(code)

    def take(self, times: Sequence[int]) -> tuple[list[str], list[str], list[bool]]:
        """See ``Taken``; one tick asks for one draw, so that the batches' sizes change nothing."""
        draw, share = self._draw, self._share
        whose = [int(draw() < share) for _ in times]
        parts = [
            zip(*market.take([time for time, one in zip(times, whose, strict=True) if one == number]), strict=True)
            for number, market in enumerate(self._markets)
        ]
        codes: list[str] = []
        texts: list[str] = []
        traded: list[bool] = []
        for one in whose:
            code, text, trade = next(parts[one])
            codes.append(code)
            texts.append(text)
            traded.append(trade)
        return codes, texts, traded


def _yuan(mills: int) -> str:
    return f"{mills // 1000}.{mills % 1000:03d}"

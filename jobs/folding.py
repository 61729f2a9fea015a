"""Wider bars, made from those of one minute of one code and session, never across lunch. Pure.

The client library has the same and more (``ashare_client.folding``), which a test holds against this.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal, get_args

from market.codes import EXCHANGES
from market.minutes import MINUTE_MS
from market.times import DAY_MS, SHANGHAI_MS
from schemas import Bar

Auction = Literal["first", "own", "drop"]
AUCTIONS: tuple[str, ...] = get_args(Auction)
WIDTHS = ("1", "5", "15", "30", "60", "day")
_AUCTION, _MORNING, _LUNCH, _AFTERNOON, _CLOSE = 565, 570, 690, 780, 900
"""Minutes of the day."""
_OWN = -1


def fold(bars: Sequence[Bar], width: str, auction: str = "first") -> list[dict[str, Any]]:
    """Bars of a width, as objects for JSON.

    Args:
        bars: of one minute, of one code and session, by start, each once, the closing auction behind its minute.
        width: of ``WIDTHS``.
        auction: of ``AUCTIONS``: the opening auction is in the first bar, a bar of its own, or left out.
    """
    kept = [bar for bar in bars if bar.auction != "opening" or auction != "drop"]
    folded = []
    for number, group in groupby(kept, key=lambda bar: _number(bar, width, own=auction == "own")):
        some = list(group)
        start, end = _times(some[0], number, width)
        folded.append(
            {
                "start": start,
                "end": end,
                "open": some[0].open,
                "high": max(bar.high for bar in some),
                "low": min(bar.low for bar in some),
                "close": some[-1].close,
                "volume": _sum([bar.volume for bar in some]),
                "turnover": _sum([bar.turnover for bar in some]),
                "ticks": sum(bar.ticks for bar in some),
                "gap": any(bar.gap is not None for bar in some),
            }
        )
    return folded


def _minute(bar: Bar) -> int:
    return (bar.start + SHANGHAI_MS) % DAY_MS // MINUTE_MS


def _number(bar: Bar, width: str, *, own: bool) -> int:
    if width == "day":
        return 0
    minute = _minute(bar)
    if bar.exchange in EXCHANGES:
        if bar.auction == "opening":
            return _OWN if own else 0
        minute -= _MORNING if minute < _LUNCH else _AFTERNOON - (_LUNCH - _MORNING)
    return minute // int(width)


def _times(bar: Bar, number: int, width: str) -> tuple[int, int]:
    midnight = bar.start - (bar.start + SHANGHAI_MS) % DAY_MS
    chinese = bar.exchange in EXCHANGES
    if width == "day":
        start, end = (_MORNING, _CLOSE) if chinese else (0, DAY_MS // MINUTE_MS)
    elif number == _OWN:
        start, end = _AUCTION, _MORNING
    else:
        start = number * int(width)
        if chinese:
            start += _MORNING if start < _LUNCH - _MORNING else _AFTERNOON - (_LUNCH - _MORNING)
        end = start + int(width)
    return midnight + start * MINUTE_MS, midnight + end * MINUTE_MS


def _sum(numbers: Sequence[float | None]) -> float | None:
    found = [number for number in numbers if number is not None]
    if not found or all(isinstance(number, int) for number in found):
        return sum(found) if found else None
    return float(sum(Decimal(repr(number)) for number in found))

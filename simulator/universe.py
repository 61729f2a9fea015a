"""The market's listings: about 5,400 codes with true prefixes, in about the proportion of the real boards."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from market.codes import Board, instrument
from schemas import UsageError

DEFAULT_COUNT = 5_400
LARGEST_COUNT = 5_800
"""More would not fit below the prefixes in this proportion: each holds a thousand codes."""

_BY_PREFIX = {
    "600": 760,
    "601": 210,
    "603": 630,
    "605": 100,
    "688": 599,
    "689": 1,
    "000": 400,
    "001": 90,
    "002": 930,
    "003": 60,
    "300": 860,
    "301": 475,
    "302": 15,
    "920": 270,
}
"""Listings by prefix in a market of 5,400: SSE main 1,700, STAR 600, SZSE main 1,480, ChiNext 1,350, Beijing 270."""

_WELL_KNOWN = (
    ("600519", "贵州茅台", 169_000),
    ("000001", "平安银行", 1_152),
    ("000002", "万科A", 684),
    ("300750", "宁德时代", 38_210),
    ("688981", "中芯国际", 11_832),
    ("920819", "颖泰生物", 431),
    ("600000", "浦发银行", 1_247),
    ("601318", "中国平安", 5_630),
    ("002594", "比亚迪", 9_875),
    ("689009", "九号公司", 5_518),
)
"""Codes that any market has, however small, so that examples can name them: code, name, previous close in fen."""

_MEDIAN_FEN = {Board.MAIN: 1_100, Board.CHINEXT: 1_800, Board.STAR: 3_200, Board.BSE: 1_500}
_ST_SHARE = 0.03
_QUIET_SHARE = 0.015
_SUSPENDED_SHARE = 0.004
_FIRST = "华东海金天中新安国泰宏瑞恒盛科远龙长江联永兴"
_SECOND = "光信达源盈创辰维能康星博通捷润峰泽凯德润航"
_THIRD = ("科技", "股份", "医药", "电子", "材料", "智能", "能源", "环保", "重工", "食品", "软件", "生物")


class Activity(StrEnum):
    """How a listing behaves today."""

    TRADED = "traded"
    QUIET = "quiet"
    """Quoted, but nobody trades: ticks of volume 0 at the previous close."""
    SUSPENDED = "suspended"
    """Listed and subscribable, but it never ticks."""


@dataclass(frozen=True)
class Listing:
    """One stock; ``previous_close`` in fen, which is an A share's tick size."""

    code: str
    name: str
    board: Board
    st: bool
    activity: Activity
    previous_close: int


def universe(count: int = DEFAULT_COUNT, seed: int = 0) -> list[Listing]:
    """The market of ``count`` listings that belongs to a seed, sorted by code.

    Raises:
        UsageError: fewer than 1 or more than ``LARGEST_COUNT``.
    """
    if not 1 <= count <= LARGEST_COUNT:
        raise UsageError(f"a market of {count} codes can't be made: --codes takes 1 to {LARGEST_COUNT}")
    draw = random.Random(f"universe {seed}")
    known = _WELL_KNOWN[:count]
    codes = _codes(count - len(known), {code for code, _, _ in known}, draw)
    idle = draw.sample(codes, round(len(codes) * (_QUIET_SHARE + _SUSPENDED_SHARE)))
    suspended = set(idle[: round(len(codes) * _SUSPENDED_SHARE)])
    quiet = set(idle) - suspended
    listings = [
        Listing(code, name, instrument(code).board, st=False, activity=Activity.TRADED, previous_close=close)
        for code, name, close in known
    ]
    for code in codes:
        activity = Activity.SUSPENDED if code in suspended else Activity.QUIET if code in quiet else Activity.TRADED
        listings.append(_listing(code, activity, draw))
    return sorted(listings, key=lambda listing: listing.code)


def _codes(count: int, taken: set[str], draw: random.Random) -> list[str]:
    """``count`` codes beside those taken, each prefix with its share (largest remainder), in random order."""
    whole = sum(_BY_PREFIX.values())
    exact = {
        prefix: max(0.0, (count + len(taken)) * share / whole - sum(code.startswith(prefix) for code in taken))
        for prefix, share in _BY_PREFIX.items()
    }
    scale = count / (sum(exact.values()) or 1.0)
    quota = {prefix: math.floor(share * scale) for prefix, share in exact.items()}
    # 689 has had a single listing ever, 689009, which is among the well-known.
    by_remainder = sorted((p for p in exact if p != "689"), key=lambda p: quota[p] - exact[p] * scale)
    for prefix in by_remainder[: count - sum(quota.values())]:
        quota[prefix] += 1
    codes = []
    for prefix, wanted in quota.items():
        free = [code for code in (f"{prefix}{n:03d}" for n in range(1, 1000)) if code not in taken]
        codes += draw.sample(free, wanted)
    draw.shuffle(codes)
    return codes


def _listing(code: str, activity: Activity, draw: random.Random) -> Listing:
    """One stock with a name and a previous close; ST stocks are cheap."""
    board = instrument(code).board
    name = draw.choice(_FIRST) + draw.choice(_SECOND) + draw.choice(_THIRD)
    spread = math.exp(draw.gauss(0.0, 0.75))
    st = board in (Board.MAIN, Board.CHINEXT) and draw.random() < _ST_SHARE
    if st:
        name = draw.choice(("ST", "*ST")) + name[:2]
        close = round(320 * spread)
    else:
        close = round(_MEDIAN_FEN[board] * spread)
    return Listing(code, name, board, st, activity, min(max(close, 105), 60_000))

"""Trading rules that shape a price or a quantity: tick sizes, lots and daily limits, with the days on which they held.

Sources: the Shanghai and Shenzhen trading rules (of 2006, 2012, 2023 and 2026-04-24, in force from 2026-07-06),
the special rules for STAR (2019) and ChiNext (2020), Beijing's trading rules of 2021, and the notices on first-day
trading of 2013 (Shanghai) and 2014 (Shenzhen).

Prices are integers of 1/10,000 yuan. Not covered: the weeks before a delisting (their first day has no limit),
resumptions after a long suspension, funds and bonds.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from market.calendar import trading_days
from market.codes import Board, Kind, instrument

STOCK_TICK_E4 = 100
FUND_TICK_E4 = 10


class Lot(NamedTuple):
    """Shares of the smallest buy order, and by how many it may grow. What is left over from less may be sold."""

    minimum: int
    step: int


_LOTS = {
    Board.MAIN: Lot(100, 100),
    Board.CHINEXT: Lot(100, 100),
    Board.STAR: Lot(200, 1),
    Board.BSE: Lot(100, 1),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a price may move in a day, in thousandths of the previous close (``None``: without limit), and why."""

    up: int | None
    down: int | None
    why: str


def _free(why: str) -> Limit:
    return Limit(None, None, why)


def _both(permille: int, why: str) -> Limit:
    return Limit(permille, permille, why)


_LIMITS_BEGIN = date(1996, 12, 16)  # all stocks; the boards below began later, with limits
_OPENED = {
    Board.MAIN: _LIMITS_BEGIN,
    Board.CHINEXT: date(2009, 10, 30),
    Board.STAR: date(2019, 7, 22),
    Board.BSE: date(2021, 11, 15),
}
_ST_BEGINS = date(1998, 4, 22)
RULES_OF_2026 = date(2026, 7, 6)  # ST on the main boards as any other share
_CHINEXT_REFORM = date(2020, 8, 24)
_MAIN_REGISTRATION = date(2023, 4, 10)  # the first main-board listing under registration
# Shanghai had the first-day band from 2013-12-13 and Shenzhen, in full, from here; MAIN does not tell them apart.
_FIRST_DAY_BAND = date(2014, 6, 13)
# From when a limit lies at least one tick from the close: Shenzhen's rules of 2011, Shanghai's of 2023. Beijing's text
# was not at hand; by 2026-07-06 it is the rule. It matters for shares of a few cents alone.
_ONE_TICK_SINCE = {
    Board.MAIN: _MAIN_REGISTRATION,
    Board.CHINEXT: date(2011, 2, 28),
    Board.STAR: _MAIN_REGISTRATION,
    Board.BSE: RULES_OF_2026,
}
# How many trading days without a limit a listing begins with, and listings from which day.
_FREE_DAYS = {
    Board.MAIN: (5, _MAIN_REGISTRATION),
    Board.CHINEXT: (5, _CHINEXT_REFORM),
    Board.STAR: (5, _OPENED[Board.STAR]),
    Board.BSE: (1, _OPENED[Board.BSE]),
}
_FREE_DAYS_WITHIN = 30  # calendar days that hold five trading days whatever the holidays

# Marks that stand before ST: S (share reform outstanding, until about 2020), and XD, XR, DR on an ex-rights day.
_ST = re.compile(r"(?:XD|XR|DR|S)?\*?ST")


def tick_size_e4(code: str) -> int:
    """The smallest price step, 1/10,000 of the currency: 100 for stocks, 10 for funds, convertibles and SSE's B shares.

    For an index or what is listed abroad, whose steps are not known here, 100.

    Raises:
        market.codes.UnknownCode: not a code in the one form.
    """
    named = instrument(code)
    if named.kind in {Kind.FUND, Kind.CONVERTIBLE} or (named.kind is Kind.B_SHARE and named.exchange == "SSE"):
        return FUND_TICK_E4
    return STOCK_TICK_E4


def lot(board: Board) -> Lot:
    """The lot of a board's shares.

    Raises:
        ValueError: ``OTHER``, which is not a board.
    """
    try:
        return _LOTS[board]
    except KeyError:
        raise ValueError(f"lots are known for A shares, not for board {board}") from None


def is_st(name: str) -> bool:
    """Whether a stock's short name marks it as under special treatment: ``ST…``, ``*ST…``, and ``S*ST…``, ``XDST…``."""
    return _ST.match(unicodedata.normalize("NFKC", name).strip().upper()) is not None


def limit(board: Board, on: date, *, st: bool = False, listed: date | None = None) -> Limit:
    """The daily limit in force on a day, or why there is none.

    Args:
        board: of the stock.
        on: the trading day.
        st: whether it is under special treatment on that day.
        listed: its first trading day; needed for none but the first five.

    Raises:
        ValueError: listed after ``on``.
    """
    if board is Board.OTHER:
        return _free("limits are known here for A shares alone")
    if on < _OPENED[board]:
        return _free(
            f"no limits before {_OPENED[board]}" if board is Board.MAIN else f"{board} opened {_OPENED[board]}"
        )
    first = _first_days(board, on, listed)
    return _usual(board, on, st=st) if first is None else first


def limit_band_e4(
    previous_close_e4: int, board: Board, on: date, *, st: bool = False, listed: date | None = None
) -> tuple[int, int] | None:
    """The lowest and the highest price of a day, 1/10,000 yuan; ``None`` where there is no limit (``limit`` says why).

    Previous close times (1 ± limit), rounded half up to the tick; at least one tick from the close since that is the
    rule; never below one tick.

    Args:
        previous_close_e4: as the exchange gives it: adjusted on an ex-rights day, the issue price on listing.
        board: of the stock.
        on: the trading day.
        st: whether it is under special treatment on that day.
        listed: its first trading day; needed for none but the first five.

    Raises:
        ValueError: no positive close, or listed after ``on``.
    """
    if previous_close_e4 <= 0:
        raise ValueError(f"a previous close of {previous_close_e4} / 10,000 yuan is none")
    found = limit(board, on, st=st, listed=listed)
    if found.up is None or found.down is None:
        return None
    low = _to_tick(previous_close_e4 * (1000 - found.down))
    high = _to_tick(previous_close_e4 * (1000 + found.up))
    if on >= _ONE_TICK_SINCE[board]:
        low = min(low, previous_close_e4 - STOCK_TICK_E4)
        high = max(high, previous_close_e4 + STOCK_TICK_E4)
    return max(low, STOCK_TICK_E4), high


def _usual(board: Board, on: date, *, st: bool) -> Limit:
    """The limit once the first days are over."""
    if board is Board.BSE:
        return _both(300, "Beijing")
    if board is Board.STAR:
        return _both(200, "STAR")
    if board is Board.CHINEXT and on >= _CHINEXT_REFORM:
        return _both(200, "ChiNext since 2020-08-24")
    if st and on >= _ST_BEGINS and (board is Board.CHINEXT or on < RULES_OF_2026):
        return _both(50, "special treatment")
    return _both(100, "main board" if board is Board.MAIN else "ChiNext before 2020-08-24")


def _first_days(board: Board, on: date, listed: date | None) -> Limit | None:
    """The limit of a stock's first days, ``None`` when they are over or its listing is not known."""
    if listed is None:
        return None
    if listed > on:
        raise ValueError(f"listed on {listed}, there is no limit for {on}")
    days, since = _FREE_DAYS[board]
    if listed >= since:
        fresh = (on - listed).days <= _FREE_DAYS_WITHIN and len(trading_days(listed, on)) <= days
        return _free("the first trading days after listing" if days > 1 else "the day of listing") if fresh else None
    if listed != on:
        return None
    if on >= _FIRST_DAY_BAND:
        return Limit(440, 360, "the day of listing, of the issue price")
    return _free("the day of listing before 2014-06-13 (Shanghai had a band from 2013-12-13, which is not modelled)")


def _to_tick(e7: int) -> int:
    """1/10,000,000 yuan rounded half up to the stock tick, in 1/10,000 yuan."""
    unit = 1000 * STOCK_TICK_E4
    return (2 * e7 + unit) // (2 * unit) * STOCK_TICK_E4

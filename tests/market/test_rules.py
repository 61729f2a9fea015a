"""Ticks, lots and daily limits, with the days on which they held."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.codes import Board, UnknownCode
from market.prices import to_e4
from market.rules import Lot, is_st, limit, limit_band_e4, lot, tick_size_e4

DAY = date(2026, 11, 20)
BEFORE, SINCE = date(2026, 7, 3), date(2026, 7, 6)
A_SHARE_BOARDS = [Board.MAIN, Board.CHINEXT, Board.STAR, Board.BSE]


@pytest.mark.parametrize(
    ("code", "tick"),
    [
        ("600519", 100),
        ("688981", 100),
        ("920002", 100),
        ("510300.SSE", 10),
        ("159915.SZSE", 10),
        ("113050.SSE", 10),
        ("123107.SZSE", 10),
        ("900901.SSE", 10),
        ("200725.SZSE", 100),
        ("000001.SSE", 100),
        ("AAPL.US", 100),
    ],
)
def test_stocks_move_by_a_cent_and_funds_by_a_tenth_of_one(code: str, tick: int) -> None:
    assert tick_size_e4(code) == tick


def test_the_tick_of_an_unknown_code_is_not_guessed() -> None:
    with pytest.raises(UnknownCode):
        tick_size_e4("900901")


def test_each_board_has_its_lot() -> None:
    assert [lot(board) for board in A_SHARE_BOARDS] == [Lot(100, 100), Lot(100, 100), Lot(200, 1), Lot(100, 1)]
    with pytest.raises(ValueError, match="OTHER"):
        lot(Board.OTHER)


@pytest.mark.parametrize(
    ("close", "board", "low", "high"),
    [
        (9.85, Board.MAIN, 8.87, 10.84),  # 8.865 and 10.835: both halves go up
        (10.05, Board.MAIN, 9.05, 11.06),  # 9.045, 11.055; half to even would give 9.04 and 11.06
        (10.15, Board.MAIN, 9.14, 11.17),  # 9.135, 11.165
        (10.25, Board.MAIN, 9.23, 11.28),  # 9.225, 11.275; half to even would give 9.22
        (1690.00, Board.MAIN, 1521.00, 1859.00),
        (3.33, Board.MAIN, 3.00, 3.66),
        (10.03, Board.CHINEXT, 8.02, 12.04),
        (77.06, Board.STAR, 61.65, 92.47),
        (10.05, Board.BSE, 7.04, 13.07),  # 7.035, 13.065
    ],
)
def test_a_limit_is_rounded_half_up_to_the_tick(close: float, board: Board, low: float, high: float) -> None:
    assert limit_band_e4(to_e4(close), board, DAY) == (to_e4(low), to_e4(high))


@settings(deadline=None)
@given(
    st.integers(1, 400_000),
    st.sampled_from(A_SHARE_BOARDS),
    st.sampled_from([BEFORE, SINCE, DAY, date(2022, 6, 1)]),
    st.booleans(),
)
def test_a_band_lies_on_the_tick_grid_around_the_close(cents: int, board: Board, on: date, marked: bool) -> None:
    """And equals the rule's own words, reckoned in decimals."""
    found = limit(board, on, st=marked)
    band = limit_band_e4(cents * 100, board, on, st=marked)
    assert band is not None
    assert found.up is not None
    assert found.down is not None
    low, high = band
    assert low % 100 == high % 100 == 0
    assert 0 < low <= cents * 100 <= high
    cent, close = Decimal("0.01"), Decimal(cents) / 100
    if cents > 20:  # from there one tick is less than any limit
        assert Decimal(low) / 10_000 == (close * (1000 - found.down) / 1000).quantize(cent, ROUND_HALF_UP)
        assert Decimal(high) / 10_000 == (close * (1000 + found.up) / 1000).quantize(cent, ROUND_HALF_UP)
    if on >= SINCE:
        assert high > cents * 100
        assert low < cents * 100 or low == 100


@pytest.mark.parametrize(
    ("board", "on", "marked", "permille"),
    [
        (Board.MAIN, BEFORE, False, 100),
        (Board.MAIN, BEFORE, True, 50),
        (Board.MAIN, date(2026, 7, 5), True, 50),
        (Board.MAIN, SINCE, True, 100),
        (Board.MAIN, SINCE, False, 100),
        (Board.MAIN, date(1996, 12, 16), False, 100),
        (Board.MAIN, date(1998, 4, 21), True, 100),
        (Board.CHINEXT, date(2020, 8, 21), False, 100),
        (Board.CHINEXT, date(2020, 8, 21), True, 50),
        (Board.CHINEXT, date(2020, 8, 24), False, 200),
        (Board.CHINEXT, date(2020, 8, 24), True, 200),
        (Board.CHINEXT, SINCE, True, 200),
        (Board.STAR, date(2019, 7, 22), False, 200),
        (Board.STAR, BEFORE, True, 200),
        (Board.BSE, date(2021, 11, 15), False, 300),
        (Board.BSE, SINCE, True, 300),
    ],
)
def test_the_limit_is_the_one_of_its_day(board: Board, on: date, marked: bool, permille: int) -> None:
    found = limit(board, on, st=marked)
    assert (found.up, found.down) == (permille, permille)


@pytest.mark.parametrize(
    ("board", "listed", "on", "free"),
    [
        # Five trading days over the holidays of October 2026: 09-29, 09-30, 10-08, 10-09, 10-12.
        (Board.MAIN, date(2026, 9, 29), date(2026, 9, 29), True),
        (Board.MAIN, date(2026, 9, 29), date(2026, 10, 12), True),
        (Board.MAIN, date(2026, 9, 29), date(2026, 10, 13), False),
        (Board.MAIN, date(2023, 4, 10), date(2023, 4, 14), True),
        (Board.MAIN, date(2023, 4, 10), date(2023, 4, 17), False),
        (Board.MAIN, date(2023, 4, 7), date(2023, 4, 10), False),
        (Board.CHINEXT, date(2020, 8, 24), date(2020, 8, 28), True),
        (Board.CHINEXT, date(2020, 8, 24), date(2020, 8, 31), False),
        (Board.CHINEXT, date(2020, 8, 21), date(2020, 8, 24), False),
        (Board.STAR, date(2019, 7, 22), date(2019, 7, 26), True),
        (Board.STAR, date(2019, 7, 22), date(2019, 7, 29), False),
        (Board.BSE, date(2026, 9, 29), date(2026, 9, 29), True),
        (Board.BSE, date(2026, 9, 29), date(2026, 9, 30), False),
        (Board.MAIN, date(2012, 5, 4), date(2012, 5, 4), True),
        (Board.MAIN, date(2012, 5, 4), date(2012, 5, 7), False),
        (Board.MAIN, date(1999, 1, 4), DAY, False),
    ],
)
def test_a_listing_begins_with_days_without_limit(board: Board, listed: date, on: date, free: bool) -> None:
    assert (limit_band_e4(100_000, board, on, listed=listed) is None) is free
    assert limit(board, on, listed=listed).why


@pytest.mark.parametrize(
    ("board", "on"),
    [(Board.MAIN, date(2014, 6, 13)), (Board.MAIN, date(2023, 4, 7)), (Board.CHINEXT, date(2020, 8, 21))],
)
def test_the_first_day_before_registration_was_bound_to_the_issue_price(board: Board, on: date) -> None:
    assert limit_band_e4(to_e4(10), board, on, listed=on) == (to_e4(6.4), to_e4(14.4))


def test_where_there_is_no_limit_the_reason_is_given() -> None:
    assert "1996-12-16" in limit(Board.MAIN, date(1996, 12, 13)).why
    assert "2019-07-22" in limit(Board.STAR, date(2019, 7, 19)).why
    assert "A shares alone" in limit(Board.OTHER, DAY).why
    assert "2014-06-13" in limit(Board.MAIN, date(2014, 1, 17), listed=date(2014, 1, 17)).why
    assert limit_band_e4(10_000, Board.OTHER, DAY) is None


def test_a_limit_is_at_least_one_tick_away_since_that_is_the_rule() -> None:
    """Shenzhen since 2011, Shanghai since 2023; no price is below one tick."""
    assert limit_band_e4(400, Board.MAIN, date(2023, 4, 7)) == (400, 400)
    assert limit_band_e4(400, Board.MAIN, date(2023, 4, 10)) == (300, 500)
    assert limit_band_e4(400, Board.MAIN, SINCE) == (300, 500)
    assert limit_band_e4(100, Board.MAIN, SINCE) == (100, 200)
    assert limit_band_e4(100, Board.BSE, SINCE) == (100, 200)


@pytest.mark.parametrize("close", [0, -100])
def test_a_band_needs_a_close(close: int) -> None:
    with pytest.raises(ValueError, match="previous close"):
        limit_band_e4(close, Board.MAIN, DAY)


def test_a_day_before_the_listing_has_no_limit_to_tell() -> None:
    with pytest.raises(ValueError, match="listed on 2026-11-23"):
        limit_band_e4(10_000, Board.MAIN, DAY, listed=date(2026, 11, 23))


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("ST康美", True),
        ("*ST海润", True),
        ("\uff0a\uff33\uff34海润", True),
        ("st康美", True),
        (" ST康美", True),
        ("S*ST前锋", True),
        ("SST华新", True),
        ("XDST康美", True),
        ("DR*ST海润", True),
        ("贵州茅台", False),
        ("XD贵州茅", False),
        ("退市海润", False),
        ("S佳通", False),
        ("N华虹", False),
        ("TCL科技", False),
        ("", False),
    ],
)
def test_special_treatment_shows_in_the_short_name(name: str, marked: bool) -> None:
    assert is_st(name) is marked

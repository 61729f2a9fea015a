"""The listings of the drawn market."""

from __future__ import annotations

from collections import Counter

import pytest

from market.codes import Board, a_share_prefixes, instrument
from market.rules import is_st
from schemas import UsageError
from simulator.universe import LARGEST_COUNT, Activity, universe


def test_every_code_has_a_prefix_that_its_board_uses_today() -> None:
    """A pipeline that refuses unknown codes refuses none of the market's."""
    prefixes = tuple(r.prefix for r in a_share_prefixes())
    market = universe()
    assert len({listing.code for listing in market}) == len(market) == 5_400
    assert all(listing.code.startswith(prefixes) for listing in market)
    assert all(instrument(listing.code).a_share for listing in market)
    assert all(instrument(listing.code).board is listing.board for listing in market)


def test_the_boards_have_about_their_real_proportion() -> None:
    """Each exchange and board carries its share of the load, as partitions and thresholds by board will see it."""
    boards = Counter(listing.board for listing in universe())
    exchanges = Counter(instrument(listing.code).exchange for listing in universe())
    assert boards == {Board.MAIN: 3_180, Board.CHINEXT: 1_350, Board.STAR: 600, Board.BSE: 270}
    assert exchanges == {"SSE": 2_300, "SZSE": 2_830, "BSE": 270}


def test_some_are_st_some_do_not_trade_and_some_are_suspended() -> None:
    """Names tell ST stocks as they do on the exchanges, and the flag agrees with the name."""
    market = universe()
    assert all(is_st(listing.name) is listing.st for listing in market)
    assert 50 < sum(listing.st for listing in market) < 300
    activities = Counter(listing.activity for listing in market)
    assert activities[Activity.QUIET] > 50
    assert activities[Activity.SUSPENDED] > 10


@pytest.mark.parametrize("count", [1, 5, 10, 11, 137, 1_000, LARGEST_COUNT])
def test_a_market_of_any_size_has_exactly_that_many_and_the_well_known_first(count: int) -> None:
    """An example that names 600519 works on the smallest market too."""
    codes = [listing.code for listing in universe(count)]
    assert len(set(codes)) == count
    assert codes == sorted(codes)
    assert "600519" in codes


def test_a_seed_is_a_market() -> None:
    """The same seed lists the same stocks at the same closes; another seed others."""
    assert universe(300, 7) == universe(300, 7)
    assert universe(300, 7) != universe(300, 8)


@pytest.mark.parametrize("count", [0, -1, LARGEST_COUNT + 1])
def test_an_impossible_size_is_refused(count: int) -> None:
    """The error says what is possible."""
    with pytest.raises(UsageError, match=str(LARGEST_COUNT)):
        universe(count)

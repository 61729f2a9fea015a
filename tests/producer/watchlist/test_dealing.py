"""Codes are dealt to lines within what a line carries, and stay where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.watchlist.dealing import Dealer, lines_needed
from schemas import UsageError

CODES = st.integers(600_000, 600_060).map(str)


@given(st.integers(1, 5), st.lists(st.lists(CODES, max_size=40), max_size=8))
def test_a_code_stays_on_its_line_and_no_line_holds_more_than_it_can(lines: int, lists: list[list[str]]) -> None:
    """Through every change of the list; each code is on exactly one line, in the order given."""
    dealer = Dealer(lines, 60)
    before: dict[str, int] = {}
    for codes in lists:
        dealt = dealer.deal(codes)
        assert len(dealt) == lines
        places = {code: line for line, some in enumerate(dealt) for code in some}
        assert sorted(code for some in dealt for code in some) == sorted(set(codes))
        assert all(place == before[code] for code, place in places.items() if code in before)
        assert all(len(some) <= 60 for some in dealt)
        for some in dealt:
            assert list(some) == [code for code in dict.fromkeys(codes) if code in some]
        before = places


def test_a_fresh_list_is_dealt_evenly() -> None:
    """5,000 codes on nine lines of 600: no line is full while another is empty."""
    sizes = [len(some) for some in Dealer(9, 600).deal(map(str, range(5_000)))]
    assert max(sizes) - min(sizes) <= 1


def test_too_many_codes_are_refused_with_the_number_of_lines_it_takes() -> None:
    """Instead of being truncated silently by the provider; what was dealt before still holds."""
    dealer = Dealer(2, 3)
    dealt = dealer.deal("abcd")
    with pytest.raises(UsageError, match="--lines 3"):
        dealer.deal("abcdefg")
    assert dealer.deal("abcd") == dealt


@pytest.mark.parametrize(
    ("codes", "most", "lines"), [(0, 600, 1), (600, 600, 1), (601, 600, 2), (5_000, 600, 9), (9_999, None, 1)]
)
def test_so_many_lines_are_needed(codes: int, most: int | None, lines: int) -> None:
    """AllTick 3,000 a connection, Infoway 600."""
    assert lines_needed(codes, most) == lines

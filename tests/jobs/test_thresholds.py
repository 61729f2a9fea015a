"""Thresholds in yuan, ticks and basis points."""

from __future__ import annotations

import pytest

from jobs.thresholds import limit, parse, parse_overrides
from market.codes import Board
from schemas import UsageError


@pytest.mark.parametrize(
    ("text", "price", "bound", "yuan"),
    [
        ("0", 102_300, 0, 0.0),
        ("0.05", 102_300, 500, 0.05),
        ("0.00005", 102_300, 0, 0.00005),
        ("2ticks", 102_300, 200, 0.02),
        ("1tick", 102_300, 100, 0.01),
        ("50bp", 102_300, 511, 0.05115),
        ("12.5bp", 100_000, 125, 0.0125),
        (" 3 ticks ", 102_300, 300, 0.03),
    ],
)
def test_a_threshold_becomes_whole_ten_thousandths_and_yuan(text: str, price: int, bound: int, yuan: float) -> None:
    """The bound is what a move may be at most without being emitted."""
    assert limit(parse(text), "600519", price) == (bound, yuan)


@pytest.mark.parametrize("text", ["", "abc", "-1", "1.5ticks", "0.001bp", "5%", "nan", "1e3", "2 tick s"])
def test_what_is_no_threshold_is_refused_with_the_forms_that_are(text: str) -> None:
    """The error names what was given."""
    with pytest.raises(UsageError, match="threshold"):
        parse(text)


def test_code_beats_board_beats_default() -> None:
    """Overrides by scope."""
    thresholds = parse_overrides("0.01", "board:STAR=50bp, code:688981=0.5")
    assert thresholds.of("600519") == parse("0.01")
    assert thresholds.of("688001") == parse("50bp")
    assert thresholds.of("688981") == parse("0.5")
    assert thresholds.boards.keys() == {Board.STAR}


@pytest.mark.parametrize("text", ["STAR=1", "board:MOON=1", "code:=1", "board:STAR", "board:STAR=x"])
def test_an_override_that_names_nothing_is_refused(text: str) -> None:
    """Not silently ignored."""
    with pytest.raises(UsageError, match="threshold"):
        parse_overrides("0.01", text)

"""Thresholds in yuan, ticks and basis points."""

from __future__ import annotations

import pytest

from jobs.thresholds import layered, limit, parse, parse_overrides, read_scope
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


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("default", "default"),
        ("600519", "code:600519"),
        ("code:600519", "code:600519"),
        ("code 000001.SSE", "code:000001.SSE"),
        ("510300", "code:510300.SSE"),
        ("code:123001", "code:123001.SZSE"),
        ("000001", "code:000001"),
        ("board:STAR", "board:STAR"),
        (" board star ", "board:STAR"),
    ],
)
def test_a_scope_has_one_form(text: str, scope: str) -> None:
    """However it is written, a scope is one key."""
    assert read_scope(text) == scope
    assert read_scope(scope) == scope


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("board moon", "boards are MAIN"),
        ("board", "boards are MAIN"),
        ("STAR", "write 600519, board:STAR or default"),
        ("", "write 600519"),
        ("default 600519", "write 600519"),
        ("60051", "threshold scope '60051'"),
        ("code:", "threshold scope"),
    ],
)
def test_what_is_no_scope_is_refused_with_the_way_to_write_one(text: str, said: str) -> None:
    """The error names what was given."""
    with pytest.raises(UsageError, match=said):
        read_scope(text)


@pytest.mark.parametrize("text", ["0", "0.05", "2ticks", "50bp", "12.5bp", "100", "0.00005"])
def test_a_threshold_is_shown_as_it_is_read(text: str) -> None:
    """Also one of no decimals, whose zeros count."""
    assert str(parse(text)) == text


def test_run_time_thresholds_stand_before_those_of_the_same_scope_alone() -> None:
    """Scope by scope; what is not set stays as the settings have it."""
    base = parse_overrides("0.01", "board:STAR=50bp,code:688981=0.5")
    both = layered(base, {"default": parse("0.02"), "board:CHINEXT": parse("3ticks"), "code:600519": parse("1")})
    assert both.by_scope() == {
        "default": "0.02",
        "board:STAR": "50bp",
        "board:CHINEXT": "3ticks",
        "code:688981": "0.5",
        "code:600519": "1",
    }
    assert layered(base, {}) == base


@pytest.mark.parametrize(
    ("code", "yuan"),
    [("600519", 0.02), ("510300.SSE", 0.002), ("123001.SZSE", 0.002), ("399001.SZSE", 0.02)],
)
def test_two_ticks_of_each_kind(code: str, yuan: float) -> None:
    """A move of as much is not emitted, and a tick more is; a setting may name the bare digits."""
    digits = code.partition(".")[0]
    setting = parse_overrides("0.01", f"code:{digits}=2ticks")
    assert limit(setting.of(code), code, 100_000) == (round(yuan * 10_000), yuan)

"""Codes: one form, one key."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.codes import A_SHARE_RANGES, Board, Kind, UnknownCode, a_share_prefixes, instrument, normalise

A_SHARES = [
    ("600519", "SSE", Board.MAIN),
    ("601318", "SSE", Board.MAIN),
    ("603375", "SSE", Board.MAIN),
    ("605499", "SSE", Board.MAIN),
    ("688981", "SSE", Board.STAR),
    ("689009", "SSE", Board.STAR),
    ("000001", "SZSE", Board.MAIN),
    ("001289", "SZSE", Board.MAIN),
    ("002594", "SZSE", Board.MAIN),
    ("003816", "SZSE", Board.MAIN),
    ("300750", "SZSE", Board.CHINEXT),
    ("301499", "SZSE", Board.CHINEXT),
    ("302132", "SZSE", Board.CHINEXT),
    ("920002", "BSE", Board.BSE),
    ("430047", "BSE", Board.BSE),
    ("830799", "BSE", Board.BSE),
    ("873223", "BSE", Board.BSE),
    ("889001", "BSE", Board.BSE),
]

ELSEWHERE = [
    ("000001.SSE", "SSE", Kind.INDEX),
    ("000300.SSE", "SSE", Kind.INDEX),
    ("399001.SZSE", "SZSE", Kind.INDEX),
    ("899050.BSE", "BSE", Kind.INDEX),
    ("510300.SSE", "SSE", Kind.FUND),
    ("159915.SZSE", "SZSE", Kind.FUND),
    ("161725.SZSE", "SZSE", Kind.FUND),
    ("113050.SSE", "SSE", Kind.CONVERTIBLE),
    ("123107.SZSE", "SZSE", Kind.CONVERTIBLE),
    ("900901.SSE", "SSE", Kind.B_SHARE),
    ("200725.SZSE", "SZSE", Kind.B_SHARE),
    ("201872.SZSE", "SZSE", Kind.B_SHARE),
    ("019547.SSE", "SSE", Kind.OTHER),
    ("00700.HK", "HK", Kind.OTHER),
    ("AAPL.US", "US", Kind.OTHER),
    ("BRK-B.NYSE", "NYSE", Kind.OTHER),
]

REFUSED = [
    ("900901", "900901 is a B share: write 900901.SSE"),
    ("200725", "200725 is a B share: write 200725.SZSE"),
    ("510300", "510300 is a fund: write 510300.SSE"),
    ("588000", "588000 is a fund: write 588000.SSE"),
    ("159915", "159915 is a fund: write 159915.SZSE"),
    ("399001", "399001 is an index: write 399001.SZSE"),
    ("899050", "899050 is an index: write 899050.BSE"),
    ("113050", "113050 is a convertible bond: write 113050.SSE"),
    ("123107", "123107 is a convertible bond: write 123107.SZSE"),
    ("204001", "204001 is a repo: write 204001.SSE"),
    ("921000", "921000 is in no range of A shares"),
    ("700519", "700519 is in no range of A shares"),
    ("600519.SSE", "600519.SSE is an A share: write 600519"),
    ("600519.SH", "600519.SH is an A share: write 600519"),
    ("000001.SH", "000001.SH: write 000001.SSE"),
    ("600519.SZSE", "SZSE has no 600519, it is an A share of SSE: write 600519"),
    ("300750.SSE", "SSE has no 300750, it is an A share of SZSE: write 300750"),
    ("000001.BSE", "BSE has no 000001"),
    ("60051.SSE", "codes of SSE have six digits"),
    ("60051", "neither the six digits"),
    ("6005190", "neither the six digits"),
    ("", "neither the six digits"),
    ("\uff16\uff10\uff10\uff15\uff11\uff19", "neither the six digits"),
    ("60051²", "neither the six digits"),
    (" 600519", "neither the six digits"),
    ("600519\n", "neither the six digits"),
    ("600519.sse", "neither the six digits"),
    ("SH.600519", "neither the six digits"),
    ("sh600519", "neither the six digits"),
    ("x" * 10_000, "neither the six digits"),
]

FORMS = [
    ("600519", "600519"),
    ("600519.SH", "600519"),
    ("600519.SS", "600519"),
    ("600519.SSE", "600519"),
    ("600519.XSHG", "600519"),
    ("SHSE.600519", "600519"),
    ("SH.600519", "600519"),
    ("sh.600519", "600519"),
    ("SH600519", "600519"),
    ("sh600519", "600519"),
    ("600519$SH", "600519"),
    ("1.600519", "600519"),
    ("000001", "000001"),
    ("000001.SZ", "000001"),
    ("000001.XSHE", "000001"),
    ("sz000001", "000001"),
    ("0.000001", "000001"),
    ("000001.SH", "000001.SSE"),
    ("sh000001", "000001.SSE"),
    ("1.000001", "000001.SSE"),
    ("000001$SH", "000001.SSE"),
    ("sz399001", "399001.SZSE"),
    ("0.399001", "399001.SZSE"),
    ("920002.BJ", "920002"),
    ("bj430047", "430047"),
    ("0.920002", "920002"),
    ("920002.XBSE", "920002"),
    ("BJSE.920002", "920002"),
    ("bj899050", "899050.BSE"),
    ("sh510300", "510300.SSE"),
    ("sh900901", "900901.SSE"),
    ("200725.SZ", "200725.SZSE"),
    ("AAPL$US", "AAPL.US"),
    ("US.AAPL", "AAPL.US"),
    ("HK.00700", "00700.HK"),
]


@pytest.mark.parametrize(("code", "exchange", "board"), A_SHARES)
def test_six_digits_are_an_a_share_of_one_board(code: str, exchange: str, board: Board) -> None:
    found = instrument(code)
    assert (found.code, found.exchange, found.board, found.a_share) == (code, exchange, board, True)


@pytest.mark.parametrize(("code", "exchange", "kind"), ELSEWHERE)
def test_what_is_no_a_share_carries_its_exchange(code: str, exchange: str, kind: Kind) -> None:
    found = instrument(code)
    assert (found.code, found.exchange, found.kind) == (code, exchange, kind)
    assert (found.board, found.a_share) == (Board.OTHER, False)


@pytest.mark.parametrize(("code", "reason"), REFUSED)
def test_any_other_form_is_refused_with_the_reason(code: str, reason: str) -> None:
    with pytest.raises(UnknownCode) as refused:
        instrument(code)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(("written", "code"), FORMS)
def test_every_vendors_form_becomes_the_one_form(written: str, code: str) -> None:
    assert normalise(written) == code
    assert normalise(code) == code


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "$",
        "600519.SZ",
        "sz600519",
        "0.600519",
        "1.300750",
        "900901",
        "XX600519",
        "2.600519",
        "600519.",
        "1.",
        "a.b.c",
    ],
)
def test_a_form_that_names_nothing_is_refused(written: str) -> None:
    with pytest.raises(UnknownCode):
        normalise(written)


@settings(deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"[a-zA-Z]{0,4}[.$]?[0-9]{5,6}[.$]?[a-zA-Z]{0,4}", fullmatch=True))
def test_any_text_is_a_code_or_an_unknown_code(text: str) -> None:
    """What is accepted is in the one form: it stands for itself and nothing else does."""
    try:
        code = normalise(text)
    except UnknownCode:
        return
    assert instrument(code).code == code
    assert normalise(code) == code
    assert instrument(code).a_share is (len(code) == 6 and code.isdigit())


@settings(deadline=None)
@given(st.sampled_from(A_SHARE_RANGES), st.integers(0, 9999))
def test_every_code_of_a_range_is_on_its_board(code_range: object, number: int) -> None:
    """No range hides another: the first prefix that fits is the only one."""
    assert isinstance(code_range, type(A_SHARE_RANGES[0]))
    code = code_range.prefix + f"{number:04}"[len(code_range.prefix) - 6 :]
    assert instrument(code).board is code_range.board
    assert sum(code.startswith(other.prefix) for other in A_SHARE_RANGES) == 1


def test_beijings_old_codes_were_in_use_until_the_holidays_of_october_2025() -> None:
    now = {code_range.prefix for code_range in a_share_prefixes()}
    assert {"920", "600", "300", "688"} <= now
    assert not {"43", "83", "87", "88"} & now
    assert {"43", "83", "87", "88"} <= {code_range.prefix for code_range in a_share_prefixes(date(2025, 9, 30))}
    assert a_share_prefixes(date(2025, 10, 9)) == a_share_prefixes()


def test_made_up_codes_do_not_fill_the_memory() -> None:
    for cached in (instrument, normalise):
        assert cached.cache_info().maxsize is not None

"""Kinds of instruments: how their codes are written, in which steps and how far their prices move, when they trade."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bands import day_band_e4
from market.codes import Kind, UnknownCode, instrument
from market.kinds import DEFAULT, KINDS, check, lacking, parse, resolve, written
from market.rules import tick_size_e4
from market.sessions import Phase, phase_at
from market.times import SHANGHAI
from schemas import UsageError

DAY = date(2026, 11, 20)

TABLE = [
    # kind, the one form, other forms, tick size, close, band, phase at 14:58
    (Kind.A_SHARE, "600519", ("600519.SH", "sh600519"), 100, 100_000, (90_000, 110_000), Phase.CLOSING_AUCTION),
    (Kind.A_SHARE, "000001", ("000001.SZ", "sz000001"), 100, 100_000, (90_000, 110_000), Phase.CLOSING_AUCTION),
    (Kind.A_SHARE, "688981", ("688981.SH",), 100, 100_000, (80_000, 120_000), Phase.CLOSING_AUCTION),
    (Kind.A_SHARE, "920002", ("920002.BJ",), 100, 100_000, (70_000, 130_000), Phase.CLOSING_AUCTION),
    (Kind.FUND, "510300.SSE", ("510300", "510300.SH", "sh510300"), 10, 41_230, (37_110, 45_350), Phase.CLOSING_AUCTION),
    (Kind.FUND, "588000.SSE", ("588000", "1.588000"), 10, 10_000, (8_000, 12_000), Phase.CLOSING_AUCTION),
    (Kind.FUND, "159915.SZSE", ("159915", "159915.SZ"), 10, 21_350, (17_080, 25_620), Phase.CLOSING_AUCTION),
    (Kind.FUND, "161725.SZSE", ("161725",), 10, 10_000, (8_000, 12_000), Phase.CLOSING_AUCTION),
    (Kind.FUND, "508000.SSE", ("508000",), 10, 100_000, (90_000, 110_000), Phase.CLOSING_AUCTION),
    (
        Kind.CONVERTIBLE,
        "113050.SSE",
        ("113050", "113050.SH"),
        10,
        1_000_000,
        (800_000, 1_200_000),
        Phase.CLOSING_AUCTION,
    ),
    (
        Kind.CONVERTIBLE,
        "123001.SZSE",
        ("123001", "0.123001"),
        10,
        1_234_560,
        (987_650, 1_481_470),
        Phase.CLOSING_AUCTION,
    ),
    (Kind.CONVERTIBLE, "128136.SZSE", ("128136",), 10, 1_000_000, (800_000, 1_200_000), Phase.CLOSING_AUCTION),
    (Kind.INDEX, "399001.SZSE", ("399001", "sz399001"), 100, 1_000_000, None, Phase.CLOSING_AUCTION),
    (Kind.INDEX, "899050.BSE", ("899050", "bj899050"), 100, 1_000_000, None, Phase.CLOSING_AUCTION),
    (Kind.INDEX, "000001.SSE", ("sh000001", "000001.SH"), 100, 1_000_000, None, Phase.CLOSING_AUCTION),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case[1])
def test_a_kind_by_its_rules(case: tuple[Kind, str, tuple[str, ...], int, int, tuple[int, int] | None, Phase]) -> None:
    """Every form names the one key; tick size, limits and hours are those of the kind."""
    kind, code, forms, tick, close, band, phase = case
    named = instrument(code)
    assert named.kind is kind
    assert [resolve(form) for form in (code, *forms)] == [code] * (1 + len(forms))
    assert tick_size_e4(code) == tick
    assert day_band_e4(close, named, DAY) == band
    at = {
        text: phase_at(
            int(datetime.fromisoformat(f"{DAY}T{text}").replace(tzinfo=SHANGHAI).timestamp() * 1000),
            named.exchange,
            named.board,
        )
        for text in ("09:20:00", "10:00:00", "12:00:00", "14:00:00", "14:58:00")
    }
    assert [*at.values()] == [Phase.OPENING_AUCTION, Phase.MORNING, Phase.LUNCH, Phase.AFTERNOON, phase]


@pytest.mark.parametrize(
    ("code", "on", "listed", "band"),
    [
        ("113050.SSE", date(2022, 7, 29), None, None),
        ("113050.SSE", DAY, DAY, (567_000, 1_573_000)),
        ("508000.SSE", DAY, DAY, (700_000, 1_300_000)),
        ("159915.SZSE", date(2020, 8, 21), None, (900_000, 1_100_000)),
        ("688981", DAY, date(2026, 11, 18), None),
    ],
)
def test_days_that_have_other_limits(code: str, on: date, listed: date | None, band: tuple[int, int] | None) -> None:
    """First days, and the days before a rule began; the close is 100 yuan."""
    assert day_band_e4(1_000_000, instrument(code), on, listed=listed) == band


def test_a_close_that_is_none_has_no_band() -> None:
    with pytest.raises(ValueError, match="previous close of 0"):
        day_band_e4(0, instrument("510300.SSE"), DAY)


@pytest.mark.parametrize("digits", ["900901", "204001", "700519", "120001", "112001", "60051"])
def test_digits_that_do_not_say_their_exchange(digits: str) -> None:
    with pytest.raises(UnknownCode):
        resolve(digits)


@given(st.integers(0, 999_999).map(lambda n: f"{n:06}"))
def test_an_a_share_is_never_taken_for_something_else(digits: str) -> None:
    """Whatever six digits are resolved to is what ``instrument`` knows, and A shares stay as they are."""
    try:
        found = resolve(digits)
    except UnknownCode:
        return
    named = instrument(found)
    assert named.a_share is (found == digits)
    assert named.kind in KINDS.values()


def test_the_setting() -> None:
    assert parse("a-share") == DEFAULT
    assert parse(" A-Share, fund\uff0cindex ") == {Kind.A_SHARE, Kind.FUND, Kind.INDEX}
    assert written(parse("index,convertible,a-share")) == "a-share,convertible,index"
    for text in ("", "etf", "a-share,bond"):
        with pytest.raises(UsageError, match="--kinds takes a-share, fund, convertible, index"):
            parse(text)


@pytest.mark.parametrize(
    ("code", "kinds", "said"),
    [
        ("510300", "a-share", "510300 is a fund: add --kinds a-share,fund"),
        ("510300.SH", "a-share,index", "510300 is a fund: add --kinds a-share,fund,index"),
        ("123001", "a-share", "123001 is a convertible bond: add --kinds a-share,convertible"),
        ("399001", "a-share", "399001 is an index: add --kinds a-share,index"),
        ("000001.SH", "a-share", "000001.SSE is an index: add --kinds a-share,index"),
        ("600519", "fund", "600519 is an A share: add --kinds a-share,fund"),
    ],
)
def test_a_code_of_another_kind_is_refused_with_the_fix(code: str, kinds: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(["510300" if "fund" in kinds else "600000", code], parse(kinds))
    assert str(refused.value) == said


@pytest.mark.parametrize("code", ["900901.SSE", "AAPL.US", "204001.SSE", "019547.SSE"])
def test_what_the_setting_has_no_name_for_is_not_its_business(code: str) -> None:
    assert lacking(instrument(code), DEFAULT) is None
    check([code, "nonsense"], DEFAULT)

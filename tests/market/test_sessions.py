"""Phases of the trading day."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.calendar import is_trading_day
from market.codes import Board
from market.sessions import Phase, phase_at, sessions
from market.times import day_start, parse_time

NOW = "2026-11-20"

PLACES = [
    ("SSE", Board.MAIN),
    ("SSE", Board.STAR),
    ("SSE", Board.OTHER),
    ("SZSE", Board.MAIN),
    ("SZSE", Board.CHINEXT),
    ("SZSE", Board.OTHER),
    ("BSE", Board.BSE),
]


@pytest.mark.parametrize(
    ("clock", "phase"),
    [
        ("00:00:00", Phase.CLOSED),
        ("09:14:59.999", Phase.CLOSED),
        ("09:15:00", Phase.OPENING_AUCTION),
        ("09:24:59.999", Phase.OPENING_AUCTION),
        ("09:25:00", Phase.PRE_OPEN),
        ("09:29:59.999", Phase.PRE_OPEN),
        ("09:30:00", Phase.MORNING),
        ("11:29:59.999", Phase.MORNING),
        ("11:30:00", Phase.LUNCH),
        ("12:59:59.999", Phase.LUNCH),
        ("13:00:00", Phase.AFTERNOON),
        ("14:56:59.999", Phase.AFTERNOON),
        ("14:57:00", Phase.CLOSING_AUCTION),
        ("14:59:59.999", Phase.CLOSING_AUCTION),
        ("15:00:00", Phase.CLOSED),
        ("15:04:59.999", Phase.CLOSED),
        ("15:05:00", Phase.AFTER_HOURS),
        ("15:29:59.999", Phase.AFTER_HOURS),
        ("15:30:00", Phase.CLOSED),
        ("23:59:59.999", Phase.CLOSED),
    ],
)
def test_a_phase_lasts_until_the_instant_of_the_next(clock: str, phase: Phase) -> None:
    assert phase_at(parse_time(f"{NOW} {clock}")) is phase
    assert phase_at(parse_time(f"{NOW} {clock}"), "SZSE", Board.CHINEXT) is phase


@pytest.mark.parametrize(
    ("when", "exchange", "board", "phase"),
    [
        # Shanghai's stocks close by auction since 2018-08-20, its funds since 2026-07-06, Shenzhen and Beijing always.
        ("2018-08-17 14:58:00", "SSE", Board.MAIN, Phase.AFTERNOON),
        ("2018-08-20 14:58:00", "SSE", Board.MAIN, Phase.CLOSING_AUCTION),
        ("2018-08-17 14:58:00", "SZSE", Board.MAIN, Phase.CLOSING_AUCTION),
        ("2026-07-03 14:58:00", "SSE", Board.OTHER, Phase.AFTERNOON),
        ("2026-07-06 14:58:00", "SSE", Board.OTHER, Phase.CLOSING_AUCTION),
        ("2026-07-03 14:58:00", "SZSE", Board.OTHER, Phase.CLOSING_AUCTION),
        ("2021-11-15 14:58:00", "BSE", Board.BSE, Phase.CLOSING_AUCTION),
        # After hours at the closing price: STAR, then ChiNext, then every A share.
        ("2019-07-22 15:10:00", "SSE", Board.STAR, Phase.AFTER_HOURS),
        ("2020-08-21 15:10:00", "SZSE", Board.CHINEXT, Phase.CLOSED),
        ("2020-08-24 15:10:00", "SZSE", Board.CHINEXT, Phase.AFTER_HOURS),
        ("2026-07-03 15:10:00", "SSE", Board.MAIN, Phase.CLOSED),
        ("2026-07-03 15:10:00", "SZSE", Board.MAIN, Phase.CLOSED),
        ("2026-07-03 15:10:00", "BSE", Board.BSE, Phase.CLOSED),
        ("2026-07-06 15:10:00", "SSE", Board.MAIN, Phase.AFTER_HOURS),
        ("2026-07-06 15:10:00", "SZSE", Board.MAIN, Phase.AFTER_HOURS),
        ("2026-07-06 15:10:00", "BSE", Board.BSE, Phase.AFTER_HOURS),
        ("2026-07-06 15:10:00", "SSE", Board.OTHER, Phase.CLOSED),
        # Days without trading.
        ("2026-11-21 10:00:00", "SSE", Board.MAIN, Phase.CLOSED),
        ("2026-10-01 10:00:00", "SZSE", Board.MAIN, Phase.CLOSED),
        ("2026-10-10 10:00:00", "BSE", Board.BSE, Phase.CLOSED),
    ],
)
def test_the_hours_are_those_of_the_day_the_exchange_and_the_board(
    when: str, exchange: str, board: Board, phase: Phase
) -> None:
    assert phase_at(parse_time(when), exchange, board) is phase


def test_only_continuous_trading_is_continuous() -> None:
    assert [phase for phase in Phase if phase.continuous] == [Phase.MORNING, Phase.AFTERNOON]


@settings(deadline=None)
@given(st.dates(date(1992, 1, 1), date(2026, 12, 31)), st.sampled_from(PLACES), st.integers(0, 86_399_999))
def test_the_phases_of_a_day_follow_one_another_without_overlap(
    day: date, place: tuple[str, Board], since_midnight: int
) -> None:
    """And the phase at an instant is the one whose hours hold it."""
    found = sessions(day, *place)
    assert bool(found) is is_trading_day(day)
    for one, other in pairwise(found):
        assert one.start < one.end <= other.start < other.end
    holding = [session.phase for session in found if session.start <= since_midnight < session.end]
    assert phase_at(day_start(day) + since_midnight, *place) is (holding[0] if holding else Phase.CLOSED)
    if found:
        assert found[0].start == timedelta(hours=9, minutes=15) // timedelta(milliseconds=1)
        assert sum(s.end - s.start for s in found if s.phase.continuous) >= 237 * 60_000


def test_hours_that_are_not_known_are_not_made_up() -> None:
    with pytest.raises(ValueError, match="hours of HK are not known"):
        phase_at(parse_time(f"{NOW} 10:00:00"), "HK")

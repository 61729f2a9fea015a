"""The reference and its arithmetic, on figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import UsageError
from selfcheck.exact import Rule, basis_points
from selfcheck.reference import ChangeReference, SessionReference, exchange_of, session_date
from selfcheck.sequences import compare

NOON = 1_795_147_200_000  # 2026-11-20 12:00 in Shanghai


def tick(n: int, price: float, *, code: str = "600519", **more: Any) -> dict[str, Any]:
    return {"code": code, "price": price, "time": NOON + n, "received": n, "source": "a", "run": 1, "n": n} | more


def emitted(threshold: str, *prices: float) -> list[float]:
    reference = ChangeReference(Rule.parse(threshold))
    changes = (reference.apply(tick(n, price)) for n, price in enumerate(prices))
    return [change.price for change in changes if change is not None]


def test_only_a_move_strictly_larger_than_the_threshold_is_emitted() -> None:
    """10.23 - 10.22 is exactly one tick, and one tick is not more than one tick."""
    assert emitted("0.01", 10.22, 10.23, 10.24, 10.24, 10.22) == [10.22, 10.24, 10.22]


def test_a_threshold_of_zero_emits_every_change_and_no_repetition() -> None:
    assert emitted("0", 10.0, 10.0, 10.01, 10.01, 10.0) == [10.0, 10.01, 10.0]


def test_ticks_and_basis_points_are_turned_into_yuan() -> None:
    """50 bp of 10.00 yuan are 0.05 yuan, counted from the last emitted price."""
    assert emitted("2ticks", 10.0, 10.02, 10.03) == [10.0, 10.03]
    assert emitted("50bp", 10.0, 10.05, 10.06, 10.11, 10.12) == [10.0, 10.06, 10.12]
    assert Rule.parse("33bp").shown(Decimal("10.01")) == 0.033033
    with pytest.raises(UsageError, match="50bp"):
        Rule.parse("5%")


def test_a_change_carries_what_happened_since_the_last_emission() -> None:
    """Volume is a sum that stays unknown while no tick carries one; the first change of a code has no previous."""
    reference = ChangeReference(Rule.parse("0.05"))
    first = reference.apply(tick(1, 10.0, volume=100))
    assert first is not None
    assert first._replace(time=0, received=0) == ("600519", 10.0, None, None, None, 0, 0, 100, 1, 0.05)
    assert reference.apply(tick(2, 10.05, volume=None)) is None
    assert reference.apply(tick(3, 10.04, volume=200)) is None
    second = reference.apply(tick(4, 10.06, volume=300))
    assert second == ("600519", 10.06, 10.0, 0.06, 60.0, NOON + 4, 4, 500, 3, 0.05)
    third = reference.apply(tick(5, 9.0))
    assert third is not None
    assert (third.change, third.change_bp, third.volume, third.ticks) == (-1.06, -1053.68, None, 1)


def test_a_tick_that_came_again_has_no_effect() -> None:
    reference = ChangeReference(Rule.parse("0"))
    assert reference.apply(tick(1, 10.0))
    assert reference.apply(tick(2, 10.1))
    assert reference.apply(tick(1, 10.0)) is None
    assert reference.apply(tick(1, 10.0) | {"run": 2})


@pytest.mark.parametrize(
    ("change", "previous", "bp"),
    [("0.01", "8.00", 12.5), ("0.01", "160.00", 0.63), ("-0.01", "160.00", -0.63), ("0.01", "1690.01", 0.06)],
)
def test_basis_points_are_rounded_half_away_from_zero(change: str, previous: str, bp: float) -> None:
    """0.01 of 160 yuan is 0.625 bp."""
    assert basis_points(Decimal(change), Decimal(previous)) == bp


def test_a_session_sums_up_its_day() -> None:
    """A later date starts anew; a tick of an earlier date changes nothing; sums are exact."""
    sessions = SessionReference()
    sessions.apply(tick(1, 10.0, volume=100, turnover=0.1, previous_close=9.9))
    sessions.apply(tick(2, 10.2, volume=None, turnover=0.2))
    sessions.apply(tick(3, 9.8, volume=200))
    session = sessions.codes["600519"]
    assert (session.open, session.high, session.low, session.price) == (10.0, 10.2, 9.8, 9.8)
    assert (session.volume, session.turnover, session.ticks) == (300, Decimal("0.3"), 3)
    assert session.previous_close == 9.9
    sessions.apply(tick(4, 11.0) | {"time": NOON + 86_400_000})
    session = sessions.codes["600519"]
    assert (session.session.isoformat(), session.open, session.ticks) == ("2026-11-21", 11.0, 1)
    assert (session.volume, session.previous_close) == (None, None)
    sessions.apply(tick(5, 12.0))
    assert sessions.codes["600519"].ticks == 1


def test_dates_and_exchanges() -> None:
    assert session_date(NOON + 12 * 3_600_000 - 1).isoformat() == "2026-11-20"
    assert session_date(NOON + 12 * 3_600_000).isoformat() == "2026-11-21"
    assert [exchange_of(code) for code in ("688001", "000001", "301001", "920001", "830001")] == [
        "SSE", "SZSE", "SZSE", "BSE", "BSE",
    ]  # fmt: skip


def test_sequences_say_what_was_lost_doubled_swapped_and_foreign() -> None:
    """The fewest moves that would put the rest in order count as out of order."""
    assert compare([1, 2, 3], [1, 2, 3]) == compare([], [])
    assert compare([1, 2, 3, 2], [1, 2, 3]).lost == [3]
    assert compare([1, 2, 3], [1, 2, 2, 3]).duplicated == [2]
    assert compare([1, 2, 3], [1, 9, 3]).unexpected == [1]
    assert compare([1, 2, 3, 4, 5], [1, 4, 2, 3, 5]).out_of_order == [1]
    assert len(compare([1, 2, 3], [2, 1, 3]).out_of_order) == 1

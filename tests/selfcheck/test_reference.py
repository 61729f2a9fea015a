"""The reference and its arithmetic, on figures worked out by hand."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import UsageError
from selfcheck.exact import Rule, basis_points
from selfcheck.reference import ChangeReference, SessionReference, exchange_of, session_date, session_of
from selfcheck.sequences import compare
from selfcheck.usable import read

NOON = 1_795_147_200_000  # 2026-11-20 12:00 in Shanghai
RECEIVED = NOON * 1000
DAY = 86_400_000


def tick(n: int, price: float, *, code: str = "600519", **more: Any) -> dict[str, Any]:
    return {
        "code": code,
        "price": price,
        "time": NOON + n,
        "received": RECEIVED + n,
        "source": "a",
        "run": 1,
        "n": n,
    } | more


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
    assert first._replace(time=0, received=0) == ("600519", 10.0, None, None, None, 0, 0, 100, 1, 0.05, None)
    assert reference.apply(tick(2, 10.05, volume=None)) is None
    assert reference.apply(tick(3, 10.04, volume=200)) is None
    second = reference.apply(tick(4, 10.06, volume=300))
    assert second == ("600519", 10.06, 10.0, 0.06, 60.0, NOON + 4, RECEIVED + 4, 500, 3, 0.05, None)
    third = reference.apply(tick(5, 9.0))
    assert third is not None
    assert (third.change, third.change_bp, third.volume, third.ticks) == (-1.06, -1053.68, None, 1)


def test_a_tick_that_came_again_has_no_effect() -> None:
    reference = ChangeReference(Rule.parse("0"))
    assert reference.apply(tick(1, 10.0))
    assert reference.apply(tick(2, 10.1))
    assert reference.apply(tick(1, 10.0)) is None
    assert reference.apply(tick(1, 10.0) | {"run": 2})


def test_a_name_that_was_wrong_is_forgiven_after_a_minute() -> None:
    """A forged run keeps the source's ticks out for 60 s of receipt, and no longer; another source is not concerned."""
    reference = ChangeReference(Rule.parse("0"))
    assert reference.apply(tick(1, 10.0, run=10**12))
    assert reference.apply(tick(2, 10.1)) is None
    assert reference.apply(tick(3, 10.2, source="b"))
    assert reference.apply(tick(4, 10.3) | {"received": RECEIVED + 60_000_001}) is None
    assert reference.apply(tick(5, 10.4) | {"received": RECEIVED + 60_000_002})
    assert reference.apply(tick(6, 10.5) | {"received": RECEIVED + 60_000_003})


@pytest.mark.parametrize(
    ("time", "received", "quality", "current", "session"),
    [
        (NOON, RECEIVED, None, None, "2026-11-20"),
        (NOON + 40 * DAY, RECEIVED, "future", "2026-11-19", "2026-11-20"),
        (NOON + 40 * DAY, RECEIVED, None, None, "2026-11-20"),
        (NOON + DAY // 2 - 30_000, RECEIVED + DAY * 500, None, None, "2026-11-20"),
        (NOON + DAY // 2, (NOON + DAY // 2 - 60_000) * 1000, None, None, "2026-11-21"),
        (NOON + DAY // 2, (NOON + DAY // 2 - 60_001) * 1000, None, None, "2026-11-20"),
        (NOON - 9 * DAY, RECEIVED, "off_grid,future", "2026-11-18", "2026-11-18"),
        (NOON - 9 * DAY, RECEIVED, "future", None, "2026-11-11"),
        (NOON - 9 * DAY, RECEIVED, None, "2026-11-18", "2026-11-11"),
    ],
)
def test_the_session_of_a_tick(
    time: int, received: int, quality: str | None, current: str | None, session: str
) -> None:
    """Never after its receipt; a played market's marked tick belongs to the session that there is."""
    one = {"time": time, "received": received, "quality": quality}
    assert session_of(one, date.fromisoformat(current) if current else None).isoformat() == session


def test_doubtful_prices_make_no_high_beside_sound_ones() -> None:
    """They make open, high and low while there is nothing else; price, sums and counts take all."""
    sessions = SessionReference()
    sessions.apply(tick(1, 99.0, quality="outside_limits", volume=100))
    sessions.apply(tick(2, 1.0, quality="off_grid,stale", volume=100))
    session = sessions.codes["600519"]
    assert (session.open, session.high, session.low, session.doubtful, session.ticks) == (99.0, 99.0, 1.0, 2, 2)
    sessions.apply(tick(3, 10.0, quality="stale", volume=100))
    assert (session.open, session.high, session.low, session.doubtful) == (10.0, 10.0, 10.0, 2)
    sessions.apply(tick(4, 50.0, quality="outside_limits", volume=100))
    sessions.apply(tick(5, 10.1))
    assert (session.open, session.high, session.low, session.doubtful, session.ticks) == (10.0, 10.1, 10.0, 3, 5)
    assert (session.price, session.volume, session.quality) == (10.1, 400, None)


SOUND = {"exchange": "SSE", "price": 10.0, "time": NOON, "received": RECEIVED, "source": "a", "run": 1, "n": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": 631_151_999_999}, {"time": 4_102_444_800_000}, {"time": NOON * 1000}, {"time": float(NOON)},
        {"received": 4_102_444_800_000_000}, {"run": NOON + DAY + 1}, {"n": 1 << 53}, {"n": -1}, {"n": True},
        {"price": 0}, {"price": 1.1e9}, {"price": "10"}, {"price": None}, {"previous_close": 0}, {"volume": 1.1e15},
        {"price": 0.00009},
        {"turnover": 1e306}, {"turnover": -1}, {"code": "6" * 33}, {"code": ""}, {"source": "s" * 256},
        {"source": chr(0xD800)}, {"quality": "q" * 257}, {"side": "hold"}, {"seq": 1 << 63},
    ],
)  # fmt: skip
def test_what_is_no_usable_tick(wrong: dict[str, Any]) -> None:
    """One value beyond the page's bounds makes a tick unusable, whatever the others are."""
    sound = {"code": "600519"} | SOUND
    assert read(json.dumps(sound).encode()) == sound
    assert read(json.dumps(sound | wrong).encode()) is None


@pytest.mark.parametrize(
    "value",
    [None, b"", b"[]", b"{", b'{"price":NaN}', b"\xff", b"[" * 100_000, b'{"a":' * 1_200 + b"1" + b"}" * 1_200],
)
def test_whatever_the_bytes_are_they_read_as_no_tick(value: bytes | None) -> None:
    assert read(value) is None


def test_a_value_may_be_nested_32_levels_deep_and_no_more() -> None:
    """Whatever it holds; brackets within a text are none."""
    sound = {"code": "600519", "note": "[" * 99} | SOUND

    def nested(levels: int) -> bytes:
        return json.dumps(sound).encode()[:-1] + b',"more":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    assert read(nested(32)) is not None
    assert read(nested(33)) is None


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
    sessions.apply(tick(4, 11.0) | {"time": NOON + DAY, "received": RECEIVED + DAY * 1000})
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


def test_no_tick_was_received_long_after_its_record_was_dated() -> None:
    """An hour is given, since clocks differ."""
    sound = {"code": "600519"} | SOUND
    value, dated = json.dumps(sound).encode(), RECEIVED // 1000
    assert read(value, dated - 3_600_000) == sound
    assert read(value, dated - 3_600_001) is None

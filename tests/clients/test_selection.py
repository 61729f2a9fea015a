"""What is wanted, and how it is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ashare_client import ArgumentError, PriceChange, PriceChanges, Snapshots, board
from ashare_client.places import Offsets, Time, Word, read_place
from ashare_client.records import Origin
from ashare_client.selection import Selection, least_move
from market.codes import A_SHARE_RANGES, UnknownCode, instrument

NOWHERE = "127.0.0.1:1"


def boards_of_the_market(code: str) -> str | None:
    try:
        found = instrument(code)
    except UnknownCode:
        return None
    if not found.a_share:
        return None
    return f"{found.exchange}-MAIN" if found.board == "MAIN" else str(found.board)


def test_boards_agree_with_the_market_over_all_codes() -> None:
    """The client imports nothing of ours, so its table is held to the market's: every beginning of a code."""
    assert max(len(r.prefix) for r in A_SHARE_RANGES) <= 4
    for beginning in range(10_000):
        for code in (f"{beginning:04}00", f"{beginning:04}99"):
            assert board(code) == boards_of_the_market(code), code


@pytest.mark.parametrize("code", ["000001.SSE", "AAPL.US", "", "60051", "6005190", "\uff1600519", "abcdef"])
def test_what_is_no_a_share_is_on_no_board(code: str) -> None:
    """Only six plain digits are an A share."""
    assert board(code) is None


def test_codes_and_boards_add_up() -> None:
    """A code is wanted that is named, or is on a named board; keys are asked, not records."""
    selection = Selection("000001, 430047", ["star", "BSE"])
    wanted = [b"000001", b"430047", b"688981", b"920000"]
    assert all(map(selection.wants_key, wanted))
    assert not any(map(selection.wants_key, [b"600519", b"300750", b"000001.SSE", b"\xff", None]))
    assert Selection(boards="MAIN").wants("600519")
    assert Selection(boards="MAIN").wants("000001")
    assert not Selection(boards="SSE-MAIN").wants("000001")


def move(change: float | None, basis_points: float | None) -> PriceChange:
    return PriceChange(
        code="600519",
        price=10.23,
        previous=None,
        change=change,
        change_bp=basis_points,
        time=1,
        received=1,
        volume=None,
        ticks=1,
        threshold=0.01,
        origin=Origin(partition=0, offset=0),
    )


def test_a_least_move_is_compared_in_whole_units() -> None:
    """10.23 − 10.22 is one fen, whatever floats make of it; a first price is not a move."""
    fen = least_move(0.01)
    assert fen is not None
    assert fen.reached(move(10.23 - 10.22, 9.78))
    assert fen.reached(move(10.22 - 10.23, -9.78))
    assert not fen.reached(move(0.005, 4.9))
    assert not fen.reached(move(None, None))
    half = least_move("50bp")
    assert half is not None
    assert half.reached(move(-0.05, -50.0))
    assert not half.reached(move(0.05, 49.99))


def test_places_are_read_once() -> None:
    """Words, times and offsets; a time is in ms."""
    assert read_place("start", "latest", ("latest",)) == Word("latest")
    assert read_place("start", datetime(2026, 11, 20, 1, 30, tzinfo=UTC), ()) == Time(1_795_138_200_000)
    assert read_place("start", 1_795_138_200_000, ()) == Time(1_795_138_200_000)
    assert read_place("start", {0: 7}, ()) == Offsets({0: 7})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"start": "yesterday"}, "'latest', 'earliest'"),
        ({"start": datetime(2026, 11, 20)}, "zone"),  # noqa: DTZ001 - that is the mistake
        ({"start": 1_795_138_200}, "ms since the epoch"),
        ({"start": True}, "not a place"),
        ({"start": {}}, "no partition"),
        ({"start": {0: -1}}, "write {0: 1500}"),
        ({"start": {"0": 1}}, "write {0: 1500}"),
        ({"end": "earliest"}, "'now'"),
        ({"end": "now", "group": "g"}, "group"),
        ({"commit": "manual"}, "needs a group"),
        ({"commit": "never", "group": "g"}, "batch, manual"),
        ({"missing": "ignore"}, "raise, skip"),
        ({"malformed": "ignore"}, "raise, skip"),
        ({"codes": "SH600519"}, "600519"),
        ({"codes": []}, "leave it out"),
        ({"boards": "NASDAQ"}, "CHINEXT"),
        ({"min_change": "2ticks"}, "50bp"),
        ({"min_change": -0.05}, "50bp"),
        ({"batch_size": 0}, "positive"),
        ({"archive": "no/such/directory"}, "not a directory"),
    ],
)
def test_an_argument_that_cannot_be_meant_names_how_to_write_it(arguments: dict[str, Any], says: str) -> None:
    """Before anything connects."""
    with pytest.raises(ArgumentError, match=says.replace("{", r"\{")):
        PriceChanges(NOWHERE, **arguments)


def test_a_table_of_another_time_is_refused() -> None:
    """Compaction keeps the latest state alone."""
    with pytest.raises(ArgumentError, match="end='now'"):
        Snapshots(NOWHERE, end=1_795_138_200_000)
    with pytest.raises(ArgumentError, match="bootstrap"):
        Snapshots("")


@pytest.mark.parametrize("code", ["510300", "123001", "399001", "900901"])
def test_bare_digits_that_are_no_a_share_are_refused(code: str) -> None:
    """Records of a fund have its exchange in their key: bare digits would match none of them."""
    with pytest.raises(ArgumentError, match=r"write it with its exchange, as 510300\.SSE"):
        Selection(codes=["600519", code])
    assert Selection(codes="510300.SSE").wants("510300.SSE")

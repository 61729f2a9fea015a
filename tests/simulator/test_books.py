"""The book and the day's figures of the simulated market: plausible, the same of one seed, and what a recording has."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from market.codes import Kind, instrument
from market.kinds import parse
from schemas import UsageError
from simulator.books import Booked
from simulator.feed import Batch
from simulator.feeds.prints import Tape
from simulator.grids import Grid
from simulator.run import generated, recorded, with_equal_trades

START = "2026-11-20 09:31"
NINE_THIRTY_ONE = 1_795_138_260_000


def drawn(count: int, *, books: bool = True, step: int = 700, seed: int = 5, codes: int = 60) -> list[dict[str, Any]]:
    source = generated(rate="flat", codes=codes, seed=seed, start=START, books=books)
    texts: list[str] = []
    while len(texts) < count:
        texts += source.take(float("inf"), min(step, count - len(texts))).texts
    return [json.loads(text) for text in texts]


def test_every_kind_has_a_book_on_its_own_grid_and_an_index_has_none() -> None:
    """A fund's and a bond's levels are 0.001 yuan apart, and a bond's sizes are tens."""
    source = generated(
        rate="flat", codes=60, seed=5, start=START, books=True, kinds=parse("a-share,fund,convertible,index")
    )
    seen: set[Kind] = set()
    for tick in map(json.loads, source.take(float("inf"), 5_000).texts):
        kind = instrument(tick["code"]).kind
        seen.add(kind)
        if kind is Kind.INDEX:
            assert "bids" not in tick
            assert "asks" not in tick
            continue
        step, lot = (0.01, 100) if kind is Kind.A_SHARE else (0.001, 10 if kind is Kind.CONVERTIBLE else 100)
        for side in ("bids", "asks"):
            assert all(size % lot == 0 for _, size in tick[side])
            assert all(abs(abs(one[0] - two[0]) - step) < 1e-9 for one, two in pairwise(tick[side]))
        assert tick["low"] <= tick["price"] <= tick["high"]
    assert len(seen) == 4


def test_the_ticks_are_those_of_the_market_without_books() -> None:
    """A book is beside them; and it is the same of one seed, however the batches are cut."""
    ticks = drawn(3_000)
    assert ticks == drawn(3_000, step=7)
    names = ("code", "price", "time", "volume", "turnover", "side", "previous_close")
    assert [{name: tick[name] for name in names} for tick in ticks] == drawn(3_000, books=False)


def test_a_book_is_in_order_around_the_price_and_within_the_limits() -> None:
    """Best first, never crossed; whoever trades, trades at the best price of the other side."""
    for tick in drawn(20_000, codes=30):
        bids, asks = ([price for price, _ in tick[side]] for side in ("bids", "asks"))
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert len(bids) <= 5
        assert len(asks) <= 5
        assert not (bids and asks) or bids[0] < asks[0]
        assert all(size > 0 and size % 100 == 0 for side in ("bids", "asks") for _, size in tick[side])
        best = asks if tick["side"] == "buy" else bids
        assert best[0] == tick["price"]
        assert tick["low"] <= tick["price"] <= tick["high"]
        assert tick["low"] <= tick["open"] <= tick["high"]


@pytest.mark.parametrize("side", ["buy", "sell", None])
@pytest.mark.parametrize(("fen", "bids", "asks"), [(1_100, 5, 0), (1_099, None, None), (900, 0, 5), (902, None, 5)])
def test_at_a_limit_a_side_is_empty(fen: int, bids: int | None, asks: int | None, side: str | None) -> None:
    """And no level is beyond one."""

    class Once:
        next_due = 0.0

        def take(self, elapsed: float, limit: int) -> Batch:
            del elapsed, limit
            tick = {"code": "600519", "time": NINE_THIRTY_ONE, "price": fen / 100, "side": side}
            return Batch(["600519"], [json.dumps(tick)], [True])

        def knows(self, code: str) -> bool:
            return bool(code)

    (text,) = Booked(Once(), lambda _: Grid(90_000, 110_000, 100), 1).take(0.0, 1).texts
    tick = json.loads(text)
    assert bids is None or len(tick["bids"]) == bids
    assert asks is None or len(tick["asks"]) == asks
    assert all(9.0 <= price <= 11.0 for price, _ in tick["bids"] + tick["asks"])
    assert tick["bids"] or tick["asks"]


def test_the_days_figures_are_those_of_the_ticks_so_far() -> None:
    """Sums, highest, lowest and average, recounted."""
    seen: dict[str, list[dict[str, Any]]] = {}
    for tick in drawn(3_000):
        day = seen.setdefault(tick["code"], [])
        day.append(tick)
        prices = [one["price"] for one in day]
        assert (tick["open"], tick["high"], tick["low"]) == (prices[0], max(prices), min(prices))
        volume, turnover = sum(one["volume"] for one in day), sum(one["turnover"] for one in day)
        assert (tick["day_volume"], tick["day_turnover"]) == (volume, turnover)
        assert tick.get("average") == (round(turnover / volume, 4) if volume else None)


def test_equal_trades_are_equal_in_their_books() -> None:
    """Nobody could tell which of two lines brought which of them."""
    source = with_equal_trades(generated(rate="flat", codes=20, seed=1, start=START, books=True), 0.5, 1)
    texts = source.take(float("inf"), 500).texts
    assert sum(first == second for first, second in pairwise(texts)) > 100


def test_a_print_knows_what_its_source_has() -> None:
    """The ledger says what is beside a tick only where that was asked for."""
    for books in (True, False):
        source = generated(rate="flat", codes=20, seed=1, start=START, books=books)
        prints = Tape().read(source.take(float("inf"), 50))
        assert {one.beside for one in prints} == {books}
        assert {one.bids is not None for one in prints} == {books}


def played(path: Path, text: str, **options: Any) -> list[dict[str, Any]]:
    path.write_text(text, "utf-8")
    return [json.loads(text) for text in recorded(path, speed="flat", **options).take(float("inf"), 99).texts]


def test_a_recording_plays_the_figures_that_it_has(tmp_path: Path) -> None:
    """Under the names of this field; only where they are asked for; a price of 0 is none."""
    header = "code,time,price,volume,今开,最高价,最低价,累计成交量(手),total_turnover"
    text = f"{header}\n600519,{NINE_THIRTY_ONE},10.5,100,10,11,0,7,7e3\n"
    (tick,) = played(tmp_path / "day.csv", text, books=True)
    assert tick == {
        "code": "600519", "time": NINE_THIRTY_ONE, "price": 10.5, "volume": 100,
        "open": 10.0, "high": 11.0, "day_volume": 700, "day_turnover": 7000.0,
    }  # fmt: skip
    (plain,) = played(tmp_path / "day.csv", text)
    assert plain == {"code": "600519", "time": NINE_THIRTY_ONE, "price": 10.5, "volume": 100}


def test_a_ledger_plays_its_books_again(tmp_path: Path) -> None:
    """Whole frames, byte for byte but for the order of the fields."""
    ticks = drawn(50)
    text = "".join(json.dumps({"ticks": [tick]}) + "\n" for tick in ticks)
    again = played(tmp_path / "connection-0001.jsonl", text, books=True)
    assert again == [{name: value for name, value in tick.items() if value is not None} for tick in ticks]


@pytest.mark.parametrize("asks", [7, [[1]], [["a", 1]], [{"price": 1}], [[1, 2, 3]]])
def test_a_recorded_book_in_no_known_form_is_refused(tmp_path: Path, asks: Any) -> None:
    """With file, line and side."""
    row = json.dumps({"code": "600519", "time": NINE_THIRTY_ONE, "price": 10.5, "asks": asks})
    with pytest.raises(UsageError, match=r"a\.jsonl, line 1: asks "):
        played(tmp_path / "a.jsonl", row + "\n", books=True)
    assert played(tmp_path / "a.jsonl", row + "\n")

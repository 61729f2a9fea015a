"""Prices, volumes and times of the drawn market."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest

from market.codes import Board
from market.prices import to_e4
from market.rules import limit_band_e4, lot, tick_size_e4
from market.times import parse_time, shanghai_date
from simulator.market import Market
from simulator.run import generated
from simulator.universe import Activity, Listing, universe

START = "2026-11-20 09:29:50"
DAY = shanghai_date(parse_time(START))


def ticks(count: int, *, codes: int = 5_400, seed: int = 0, rate: str = "50000", at_once: int = 997) -> list[Any]:
    source = generated(rate=rate, codes=codes, seed=seed, start=START)
    taken: list[Any] = []
    while len(taken) < count:
        batch = source.take(float("inf"), min(at_once, count - len(taken)))
        found = [orjson.loads(text) for text in batch.texts]
        assert [tick["code"] for tick in found] == batch.codes
        assert [tick["volume"] > 0 for tick in found] == batch.traded
        taken += found
    return taken


@pytest.fixture(scope="module")
def day() -> list[Any]:
    return ticks(80_000)


@pytest.mark.parametrize(("codes", "count"), [(5_400, 40_000), (40, 40_000)])
def test_prices_lie_on_the_grid_and_inside_the_limit_band(codes: int, count: int) -> None:
    """No tick could be refused by the exchange whose rules hold on that day, also where stocks reach their limits."""
    bands = {
        listing.code: limit_band_e4(listing.previous_close * 100, listing.board, DAY, st=listing.st)
        for listing in universe(codes)
    }
    closes = {listing.code: listing.previous_close * 100 for listing in universe(codes)}
    for tick in ticks(count, codes=codes):
        price, band = to_e4(tick["price"]), bands[tick["code"]]
        assert band is not None
        assert price % tick_size_e4(tick["code"]) == 0
        assert band[0] <= price <= band[1]
        assert to_e4(tick["previous_close"]) == closes[tick["code"]]


def test_a_price_stops_at_its_limit() -> None:
    """A market left alone with a cheap stock reaches the band's edge and does not pass it."""
    listing = Listing("600001", "ST东光", Board.MAIN, st=True, activity=Activity.TRADED, previous_close=120)
    market = Market([listing], seed=1, day=DAY)
    _, texts, _ = market.take(range(20_000))
    prices = [to_e4(orjson.loads(text)["price"]) for text in texts]
    assert (min(prices), max(prices)) == limit_band_e4(12_000, Board.MAIN, DAY, st=True)


def test_volume_is_lots_of_100_and_turnover_is_price_times_volume(day: list[Any]) -> None:
    """A traded tick carries a side and at least the smallest order of its board; an untraded one carries neither."""
    listings = {listing.code: listing for listing in universe()}
    for tick in day:
        assert tick["volume"] % 100 == 0
        assert to_e4(tick["turnover"]) == to_e4(tick["price"]) * tick["volume"]
        if tick["volume"]:
            assert tick["volume"] >= lot(listings[tick["code"]].board).minimum
            assert tick["side"] in ("buy", "sell")
        else:
            assert tick["side"] is None


def test_quiet_stocks_tick_without_trades_and_suspended_ones_never(day: list[Any]) -> None:
    """A quiet stock stays at its previous close; all that are not suspended have ticked once the opening is over."""
    listings = {listing.code: listing for listing in universe()}
    quiet = {code for code, listing in listings.items() if listing.activity is Activity.QUIET}
    assert {tick["code"] for tick in day} == {
        code for code, listing in listings.items() if listing.activity is not Activity.SUSPENDED
    }
    idle = [tick for tick in day if tick["code"] in quiet]
    assert len(idle) >= len(quiet)
    assert all(tick["volume"] == 0 and tick["price"] == tick["previous_close"] for tick in idle)


def test_prices_move_often_and_sometimes_by_much(day: list[Any]) -> None:
    """Thresholds of 0.01 and 0.05 yuan both have a share of the ticks to emit, and both have some to hold back."""
    last: dict[str, int] = {}
    moves = []
    for tick in day:
        price = to_e4(tick["price"])
        if tick["code"] in last:
            moves.append(abs(price - last[tick["code"]]))
        last[tick["code"]] = price
    assert 0.3 < sum(move >= 100 for move in moves) / len(moves) < 0.6
    assert 0.1 < sum(move > 100 for move in moves) / len(moves) < 0.4
    assert 0.01 < sum(move > 500 for move in moves) / len(moves) < 0.2


def test_a_seed_gives_the_same_ticks_at_any_pace() -> None:
    """Rate and batch size change nothing but the times; the same rate repeats those as well."""
    first = ticks(9_000, seed=3, at_once=997)
    assert ticks(9_000, seed=3, at_once=1) == first
    slow = ticks(9_000, seed=3, rate="777.7")
    assert [tick | {"time": 0} for tick in slow] == [tick | {"time": 0} for tick in first]
    assert ticks(9_000, seed=4) != first


def test_a_new_trading_day_begins_from_the_last_closes() -> None:
    """At one tick a minute the days pass: each has its own previous close, and the band goes with it."""
    by_day: dict[str, list[Any]] = {}
    for tick in ticks(800, codes=1, rate=str(1 / 60)):
        by_day.setdefault(str(shanghai_date(tick["time"])), []).append(tick)
    assert list(by_day) == ["2026-11-20", "2026-11-23", "2026-11-24", "2026-11-25"]
    days = list(by_day.values())
    for yesterday, today in pairwise(days):
        assert {tick["previous_close"] for tick in today} == {yesterday[-1]["price"]}

"""The drawn market with funds, convertible bonds and indices in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import orjson
import pytest

from market.bands import day_band_e4
from market.codes import Kind, instrument
from market.kinds import DEFAULT, KINDS, parse
from market.prices import to_e4
from market.rules import tick_size_e4
from market.times import parse_time, shanghai_date
from schemas import UsageError
from simulator.feeds.post import PostSession
from simulator.feeds.provider import Handshake, Terms
from simulator.other_kinds import others
from simulator.run import check_kinds, generated, listed

START = "2026-11-20 09:29:50"
DAY = shanghai_date(parse_time(START))
ALL = frozenset(KINDS.values())


def ticks(count: int, kinds: frozenset[Kind], at_once: int = 997) -> list[Any]:
    source = generated(rate="50000", codes=200, seed=3, start=START, kinds=kinds)
    taken: list[Any] = []
    while len(taken) < count:
        batch = source.take(float("inf"), min(at_once, count - len(taken)))
        found = [orjson.loads(text) for text in batch.texts]
        assert [tick["code"] for tick in found] == batch.codes
        assert [tick["volume"] > 0 for tick in found] == batch.traded
        taken += found
    return taken


def test_every_kind_ticks_on_its_grid_and_inside_its_limits() -> None:
    """In the order of time, with the previous close that the band belongs to."""
    found = ticks(30_000, ALL)
    kinds = Counter(instrument(tick["code"]).kind for tick in found)
    assert set(kinds) == ALL
    assert kinds[Kind.A_SHARE] > kinds[Kind.FUND] > kinds[Kind.CONVERTIBLE] > kinds[Kind.INDEX]
    assert [tick["time"] for tick in found] == sorted(tick["time"] for tick in found)
    seen: dict[Kind, set[int]] = defaultdict(set)
    for tick in found:
        named, price = instrument(tick["code"]), to_e4(tick["price"])
        band = day_band_e4(to_e4(tick["previous_close"]), named, DAY)
        assert band is None or named.a_share or band[0] <= price <= band[1]
        assert price % tick_size_e4(tick["code"]) == 0
        assert tick["turnover"] == pytest.approx(tick["price"] * tick["volume"], abs=0.01)
        seen[named.kind].add(price % 100)
    assert len(seen[Kind.FUND]) == len(seen[Kind.CONVERTIBLE]) == 10


def test_the_same_seed_gives_the_same_ticks_in_batches_of_any_size() -> None:
    assert ticks(5_000, ALL, 1) == ticks(5_000, ALL, 4_096)


def test_the_a_shares_are_those_of_a_market_without_other_kinds() -> None:
    """Their prices come in the same order, however many ticks of others come in between."""
    shares = [tick for tick in ticks(8_000, ALL) if instrument(tick["code"]).a_share]
    alone = ticks(len(shares), DEFAULT)
    assert [(tick["code"], tick["price"]) for tick in shares] == [(tick["code"], tick["price"]) for tick in alone]


def test_what_is_listed_is_what_was_asked_for() -> None:
    """The well-known in any market, however small."""
    codes = listed(10, 0, ALL)
    assert {"600519", "510300.SSE", "123001.SZSE", "399001.SZSE", "000001.SSE", "000001"} <= set(codes)
    funds = listed(400, 0, parse("fund"))
    assert {instrument(code).kind for code in funds} == {Kind.FUND}
    assert {tick["code"] for tick in ticks(20_000, parse("fund"))} <= set(listed(200, 3, parse("fund")))
    assert len(others(5_800, ALL, 1)) > 1_900
    with pytest.raises(UsageError, match="leave --kinds out"):
        check_kinds(ALL, "binance")


def test_the_post_s_server_knows_other_kinds_in_any_form() -> None:
    """Where its market has them; an A share's digits stay the A share's."""
    session = PostSession(Terms(knows=set(listed(10, 0, ALL)).__contains__), Handshake("/"), 0.0)
    reply = session.receive('{"action":"subscribe","symbols":"510300,sh000001,000001,399001,510999"}', 0.0)
    assert sorted(session.subscription.codes or ()) == ["000001", "000001.SSE", "399001.SZSE", "510300.SSE"]
    assert "no such code: 510999" in str(reply.frames[1])
    session.receive('{"action":"unsubscribe","symbols":["510300"]}', 0.0)
    assert sorted(session.subscription.codes or ()) == ["000001", "000001.SSE", "399001.SZSE"]

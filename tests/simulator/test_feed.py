"""Sources: trades that are equal to others."""

from __future__ import annotations

from itertools import pairwise

import orjson

from simulator.feed import EqualTrades
from simulator.run import generated


def taken(at_once: int, count: int = 6_000, rate: str = "2000") -> list[str]:
    source = EqualTrades(generated(rate=rate, codes=300, seed=2, start="2026-11-20 09:31"), 0.2, 2)
    texts: list[str] = []
    while len(texts) < count:
        batch = source.take(float("inf"), min(at_once, count - len(texts)))
        assert [orjson.loads(text)["code"] for text in batch.texts] == batch.codes
        assert [orjson.loads(text)["volume"] > 0 for text in batch.texts] == batch.traded
        texts += batch.texts
    return texts


def test_one_fifth_of_the_ticks_equals_the_trade_before() -> None:
    """Same code, millisecond, price, volume and side; the rate and the rest of the market stay."""
    texts = taken(997)
    equal = sum(one == other for one, other in pairwise(texts))
    assert 0.17 < equal / len(texts) < 0.23
    plain = generated(rate="2000", codes=300, seed=2, start="2026-11-20 09:31").take(float("inf"), 6_000).texts
    assert sum(one == other for one, other in zip(texts, plain, strict=True)) == len(texts) - equal


def test_batches_of_any_size_give_the_same() -> None:
    """One draw a tick."""
    assert taken(997) == taken(10)


def test_no_trade_is_carried_into_another_day() -> None:
    """At one tick a minute days pass; times only rise."""
    times = [orjson.loads(text)["time"] for text in taken(50, 1_500, str(1 / 60))]
    assert times == sorted(times)

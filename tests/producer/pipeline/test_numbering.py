"""Ticks are numbered without holes and written as the contract's codec writes them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from producer.feeds.decoded import Beside, FeedTick
from producer.pipeline.numbering import Numbering
from schemas import BareTick, Level, Tick, encode

MONEY = st.floats(0, 2**53) | st.floats(0, 1e-3)
PRICES = st.floats(0.0001, 1e9)
SIDES = st.none() | st.lists(st.builds(Level, PRICES, st.integers(0, 10**15)), max_size=5)
BESIDES = st.builds(
    Beside,
    bids=SIDES,
    asks=SIDES,
    day_open=st.none() | PRICES,
    day_high=st.none() | PRICES,
    day_low=st.none() | PRICES,
    day_volume=st.none() | st.integers(0, 2**53) | MONEY,
    day_turnover=st.none() | MONEY,
    average=st.none() | PRICES,
)
TICKS = st.builds(
    FeedTick,
    code=st.sampled_from(["600519", "000001.SSE", "AAPL.US"]),
    exchange=st.sampled_from(["SSE", "US"]),
    price=PRICES,
    time=st.integers(694_195_200_000, 4_102_416_000_000),
    volume=st.none() | st.integers(0, 2**53) | MONEY,
    turnover=st.none() | MONEY,
    side=st.sampled_from(["buy", "sell", None]),
    seq=st.none() | st.integers(-(2**63), 2**63 - 1),
    previous_close=st.none() | PRICES,
    beside=st.none() | BESIDES,
)

QUALITIES: st.SearchStrategy[dict[int, str]] = st.just({}) | st.dictionaries(
    st.integers(0, 2), st.sampled_from(["off_grid", "off_grid,backwards"])
)


@settings(deadline=None, max_examples=500)
@given(st.lists(TICKS, min_size=1, max_size=3), st.integers(0, 2**62), QUALITIES)
def test_a_stamped_tick_is_byte_for_byte_the_codecs(
    ticks: list[FeedTick], received: int, qualities: dict[int, str]
) -> None:
    """The faster encoder must not differ in a single float; what is not beside a tick is not written at all."""
    numbering = Numbering("post-1", 1_795_138_000_000)
    stamped = numbering.stamp(ticks, received, qualities) + numbering.stamp(ticks, received)
    for n, (tick, value) in enumerate(zip(ticks + ticks, stamped, strict=True), 1):
        bare = BareTick(
            tick.code,
            tick.exchange,
            tick.price,
            tick.time,
            received,
            "post-1",
            1_795_138_000_000,
            n,
            tick.volume,
            tick.turnover,
            tick.side,
            tick.seq,
            tick.previous_close,
            qualities.get(n - 1) if n <= len(ticks) else None,
        )
        whole = Tick(*astuple(bare), *(() if tick.beside is None else astuple(tick.beside)))
        assert value == encode(bare if tick.beside is None else whole)
    assert numbering.n == 2 * len(ticks)

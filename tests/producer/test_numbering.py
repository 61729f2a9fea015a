"""Ticks are numbered without holes and written as the contract's codec writes them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from producer.feeds.decoded import FeedTick
from producer.numbering import Numbering
from schemas import Tick, encode

MONEY = st.floats(0, 2**53) | st.floats(0, 1e-3)
TICKS = st.builds(
    FeedTick,
    code=st.sampled_from(["600519", "000001.SSE", "AAPL.US"]),
    exchange=st.sampled_from(["SSE", "US"]),
    price=st.floats(0.0001, 1e9),
    time=st.integers(694_195_200_000, 4_102_416_000_000),
    volume=st.none() | st.integers(0, 2**53) | MONEY,
    turnover=st.none() | MONEY,
    side=st.sampled_from(["buy", "sell", None]),
    seq=st.none() | st.integers(-(2**63), 2**63 - 1),
    previous_close=st.none() | st.floats(0.0001, 1e9),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(TICKS, min_size=1, max_size=3), st.integers(0, 2**62))
def test_a_stamped_tick_is_byte_for_byte_the_codecs(ticks: list[FeedTick], received: int) -> None:
    """The faster encoder must not differ in a single float; numbers rise by one from 1."""
    numbering = Numbering("post-1", 1_795_138_000_000)
    for n, tick in enumerate(ticks, 1):
        expected = Tick(
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
        )
        assert numbering.stamp(tick, received) == encode(expected)
    assert numbering.n == len(ticks)

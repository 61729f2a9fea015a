"""The client reads any bytes as the pipeline does: a record within its bounds, or one of the documented refusals."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashare_client import records
from ashare_client.decoding import UNREADABLE, reader
from schemas.usable import read_ticks
from tests.schemas.foreign import foreign, nested

NOW = 1_795_138_200_187
KINDS: dict[str, type[records.Record]] = {
    "tick": records.Tick,
    "snapshot": records.Snapshot,
    "price-change": records.PriceChange,
    "feed-event": records.FeedEvent,
}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_any_bytes_are_a_record_or_a_documented_refusal(kind: str, data: st.DataObject) -> None:
    """Arbitrary ones and nearly right ones, of every topic that is read."""
    value = data.draw(foreign(kind))
    try:
        record = reader(KINDS[kind])(value, NOW)
    except UNREADABLE:
        return
    assert reader(KINDS[kind])(msgspec.json.encode(record), NOW) == record


@given(foreign("tick"), st.sampled_from([-1, NOW, NOW - 10_000_000]))
def test_a_tick_is_usable_for_both_or_for_neither(value: bytes, timestamp: int) -> None:
    """One rule: what is a dead letter of the worker is not a tick of a client."""
    (tick,), _ = read_ticks([value], [timestamp])
    try:
        read = reader(records.Tick)(value, timestamp)
    except UNREADABLE:
        read = None
    if tick is not None:
        assert msgspec.to_builtins(read) == msgspec.to_builtins(tick)
    elif read is not None:
        assert read.side not in {None, "buy", "sell"} or "" in {read.quality, read.code, read.source}


@pytest.mark.parametrize("levels", [33, 1_200, 100_000])
def test_nesting_is_refused_before_it_is_followed(levels: int) -> None:
    """It does not end the reader, whatever Python's own limit is."""
    with pytest.raises(UNREADABLE, match="nested deeper than 32 levels"):
        reader(records.Tick)(b'{"extra":' + nested(levels).encode() + b"}", NOW)

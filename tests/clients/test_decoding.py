"""The client reads any bytes as the pipeline does: a record within its bounds, or one of the documented refusals."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashare_client import records
from ashare_client.decoding import UNREADABLE, reader
from schemas.generate import FOLDER
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


BOOK = st.none() | st.lists(
    st.lists(st.sampled_from([0, 0.0001, 10, 10.5, 1e9, 2e9, 10**15, 10**16, -1, "x", None]), min_size=1, max_size=4)
    | st.sampled_from([[10.0, 100], [0, 1], {}, 5]),
    max_size=12,
)
FIGURE = st.sampled_from([None, 0, 0.0001, 10.5, 1e9, 1e10, 10**15, 2**63 - 1, 2**63, 1e24, 1e25, -1, "1"])


@given(st.fixed_dictionaries({"bids": BOOK, "asks": BOOK, "day_high": FIGURE, "day_volume": FIGURE}))
def test_a_book_is_usable_for_both_or_for_neither(beside: dict[str, Any]) -> None:
    """With too many levels, without a volume, with a price of 0: a tick with a wrong book is none."""
    line = (FOLDER / "samples" / "tick.jsonl").read_text("utf-8").splitlines()[0]
    value = msgspec.json.encode(msgspec.json.decode(line) | beside)
    (tick,), _ = read_ticks([value], [NOW])
    try:
        read = reader(records.Tick)(value, NOW)
    except UNREADABLE:
        read = None
    assert msgspec.to_builtins(read) == msgspec.to_builtins(tick)


@pytest.mark.parametrize("levels", [33, 1_200, 100_000])
def test_nesting_is_refused_before_it_is_followed(levels: int) -> None:
    """It does not end the reader, whatever Python's own limit is."""
    with pytest.raises(UNREADABLE, match="nested deeper than 32 levels"):
        reader(records.Tick)(b'{"extra":' + nested(levels).encode() + b"}", NOW)

"""Whatever a record holds within the contract comes back from its JSON as it was, and its schema agrees."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from schemas import DeadLetter, FeedEvent, PriceChange, Record, Snapshot, Threshold, Tick, decode, encode
from schemas.dead_letters import from_kafka, to_kafka
from schemas.json_schema import json_schema
from schemas.records import ChangeState, LineMark, Origin

text = st.text(st.characters(codec="utf-8"))
name = st.text(st.characters(codec="utf-8"), min_size=1)
code = st.text(st.characters(codec="utf-8"), min_size=1, max_size=32)
count = st.integers(0, 2**63 - 1)
amount = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
price = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
move = st.floats(allow_nan=False, allow_infinity=False)
quantity = count | amount
origin = st.builds(Origin, partition=count, offset=count)
lines = st.lists(st.builds(LineMark, source=name, run=count, n=count), max_size=3)
day = st.dates().map(str)

tick = st.builds(
    Tick,
    code=code,
    exchange=text,
    price=price,
    time=count,
    received=count,
    source=name,
    run=count,
    n=count,
    volume=st.none() | quantity,
    turnover=st.none() | amount,
    side=st.sampled_from([None, "buy", "sell"]),
    seq=st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    previous_close=st.none() | price,
)
snapshot = st.builds(
    Snapshot,
    code=code,
    exchange=text,
    price=price,
    time=count,
    received=count,
    session=day,
    open=price,
    high=price,
    low=price,
    ticks=st.integers(1, 2**63 - 1),
    origin=origin,
    lines=lines,
    volume=st.none() | quantity,
    turnover=st.none() | amount,
    previous_close=st.none() | price,
)
price_change = st.builds(
    PriceChange,
    code=code,
    price=price,
    previous=st.none() | price,
    change=st.none() | move,
    change_bp=st.none() | move,
    time=count,
    received=count,
    volume=st.none() | quantity,
    ticks=st.integers(1, 2**63 - 1),
    threshold=amount,
    origin=origin,
)
change_state = st.builds(
    ChangeState, code=code, last=price, volume=st.none() | quantity, ticks=count, origin=origin, lines=lines
)
feed_event = st.builds(
    FeedEvent,
    event=st.sampled_from(["started", "connected", "subscribed", "gap", "overflow", "spooling", "stopped"]),
    source=name,
    run=count,
    n=count,
    at=count,
    reason=st.none() | text,
    start=st.none() | count,
    end=st.none() | count,
    codes=st.none() | st.just("all") | st.lists(code, max_size=3),
)
threshold = st.builds(
    Threshold, scope=st.sampled_from(["default", "board:STAR", "code:600519", "code:000001.SSE"]), threshold=text
)
KIND_OF = {
    Tick: "tick",
    Snapshot: "snapshot",
    PriceChange: "price-change",
    ChangeState: "change-state",
    FeedEvent: "feed-event",
    Threshold: "threshold",
}
VALIDATORS: dict[type, Any] = {
    kind: jsonschema.Draft7Validator(json_schema(name_of_kind)) for kind, name_of_kind in KIND_OF.items()
}


@given(st.one_of(tick, snapshot, price_change, change_state, feed_event, threshold))
def test_a_record_survives_its_own_json(record: Record) -> None:
    """``decode(encode(record)) == record``, the bytes are the same the second time, and the schema allows them."""
    data = encode(record)
    again = decode(type(record), data)
    assert again == record
    assert encode(again) == data
    VALIDATORS[type(record)].validate(json.loads(data))


@given(
    st.builds(
        DeadLetter,
        payload=st.binary(),
        reason=text,
        part=st.sampled_from(["frame", "tick"]),
        source=name,
        run=count,
        received=count,
    )
)
def test_a_dead_letter_survives_its_headers(letter: DeadLetter) -> None:
    """Value and headers give the same letter back, whatever bytes it holds."""
    assert from_kafka(*to_kafka(letter)) == letter

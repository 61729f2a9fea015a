"""Whatever a record holds within the contract comes back from its JSON as it was, and its schema agrees."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas import DeadLetter, FeedEvent, PriceChange, Record, Snapshot, Threshold, Tick, bounds, decode, encode
from schemas.dead_letters import from_kafka, to_kafka
from schemas.json_schema import json_schema
from schemas.records import ChangeState, GapMark, LineMark, Origin


def words(longest: int, least: int = 0) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=longest)


text = words(40)
name = words(bounds.MAX_SOURCE, 1)
code = words(bounds.MAX_CODE, 1)
count = st.integers(0, bounds.INT64)
number = st.integers(0, bounds.EXACT)
run = st.integers(0, bounds.LATEST_MS)
time = st.integers(bounds.EARLIEST_MS, bounds.LATEST_MS)
stamp = st.integers(0, bounds.LATEST_US)
turnover = st.floats(0, bounds.MAX_TURNOVER)
price = st.floats(bounds.MIN_PRICE, bounds.MAX_PRICE)
move = st.floats(-bounds.MAX_PRICE, bounds.MAX_PRICE)
quantity = st.integers(0, bounds.MAX_VOLUME) | st.floats(0, bounds.MAX_VOLUME)
total = count | st.floats(0, float(bounds.MAX_SESSION_VOLUME))
origin = st.builds(Origin, partition=st.integers(0, bounds.MAX_PARTITION), offset=count)
mark = st.builds(LineMark, source=name, run=run, n=number, received=st.none() | stamp)
lines = st.lists(mark, max_size=3)
gap = st.builds(
    GapMark,
    id=words(bounds.MAX_ID, 1),
    start=stamp,
    end=st.none() | stamp,
    count=st.integers(1, bounds.INT64),
)
quality = st.none() | words(bounds.MAX_QUALITY, 1)
day = st.dates().map(str)

tick = st.builds(
    Tick,
    code=code,
    exchange=words(bounds.MAX_CODE),
    price=price,
    time=time,
    received=stamp,
    source=name,
    run=run,
    n=number,
    volume=st.none() | quantity,
    turnover=st.none() | turnover,
    side=st.sampled_from([None, "buy", "sell"]),
    seq=st.none() | st.integers(-bounds.INT64, bounds.INT64),
    previous_close=st.none() | price,
    quality=quality,
).map(lambda one: replace(one, run=min(one.run, one.received // 1000)))
snapshot = st.builds(
    Snapshot,
    code=code,
    exchange=words(bounds.MAX_CODE),
    price=price,
    time=time,
    received=stamp,
    session=day,
    open=price,
    high=price,
    low=price,
    ticks=st.integers(1, bounds.INT64),
    origin=origin,
    lines=lines,
    volume=st.none() | total,
    turnover=st.none() | st.floats(0, bounds.MAX_SESSION_TURNOVER),
    previous_close=st.none() | price,
    gap=st.none() | gap,
    doubtful=count,
    quality=quality,
)
price_change = st.builds(
    PriceChange,
    code=code,
    price=price,
    previous=st.none() | price,
    change=st.none() | move,
    change_bp=st.none() | st.floats(-bounds.MAX_MOVE_BP, bounds.MAX_MOVE_BP),
    time=time,
    received=stamp,
    volume=st.none() | total,
    ticks=st.integers(1, bounds.INT64),
    threshold=st.floats(0, bounds.MAX_THRESHOLD_YUAN),
    origin=origin,
    cause=st.none() | mark,
    quality=quality,
)
change_state = st.builds(
    ChangeState, code=code, last=price, volume=st.none() | total, ticks=count, origin=origin, lines=lines
)
feed_event = st.builds(
    FeedEvent,
    event=st.sampled_from(["started", "connected", "subscribed", "gap", "overflow", "spooling", "stopped"]),
    source=name,
    run=run,
    n=number,
    at=stamp,
    reason=st.none() | text,
    start=st.none() | stamp,
    end=st.none() | stamp,
    codes=st.none() | st.just("all") | st.lists(code, max_size=3),
    id=st.none() | words(bounds.MAX_ID),
    line=st.none() | name,
    count=st.none() | count,
)
threshold = st.builds(
    Threshold,
    scope=st.sampled_from(["default", "board:STAR", "code:600519", "code:000001.SSE"]),
    threshold=words(bounds.MAX_THRESHOLD),
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
        run=run,
        received=stamp,
    )
)
def test_a_dead_letter_survives_its_headers(letter: DeadLetter) -> None:
    """Value and headers give the same letter back, whatever bytes it holds."""
    assert from_kafka(*to_kafka(letter)) == letter

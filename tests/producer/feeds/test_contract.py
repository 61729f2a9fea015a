"""Whatever comes off a socket, what goes on is a record that every reader takes: within the bounds of the contract."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.feeds.provider import Units
from producer.pipeline.numbering import Numbering
from producer.pipeline.quality import Gate
from schemas import Tick, bounds
from tests.producer.feeds.genuine import RECEIVED, TIME, feed
from tests.producer.feeds.pushes import FIELDS, NAMES, decode, frame, tick

EDGES: list[Any] = [
    None, "", 0, 1, -1, 0.5, True, [], {}, "x", "NaN", "Infinity", "-0", "1e15", "1e18", "1e308",
    2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) + 1, 10**15, 10**15 + 1, 1e15, 1e18, 1e300,
    10**13, 10**13 + 1, 1e9, 1e9 + 1, 0.0001, 0.00005, str(10**15), str(2**63), str(-(2**63)),
    TIME, TIME // 1000, TIME * 1000, TIME * 10**6, str(TIME), bounds.EARLIEST_MS, bounds.LATEST_MS + 1,
    "600519", "600519.SH", "AAPL", "9" * 40, "1990-01-01 09:30:00", "2099-12-31 23:59:59", "09:30:01",
]  # fmt: skip
VALUES = (
    st.sampled_from(EDGES)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
UNITS = st.builds(
    Units,
    volume=st.sampled_from(["shares", "lots"]),
    turnover=st.sampled_from(["carried", "computed", "none"]),
    time=st.sampled_from(["auto", "auto", "s", "ms", "us", "ns"]),
)


def usable(record: bytes) -> None:
    """As ``docs/decisions.md`` has it."""
    one = msgspec.json.decode(record, type=Tick)
    assert bounds.EARLIEST_MS <= one.time <= bounds.LATEST_MS
    assert 0 < one.price <= bounds.MAX_PRICE
    assert one.previous_close is None or 0 < one.previous_close <= bounds.MAX_PRICE
    assert one.volume is None or 0 <= one.volume <= bounds.MAX_VOLUME
    assert one.turnover is None or 0 <= one.turnover <= bounds.MAX_TURNOVER
    assert one.seq is None or -bounds.INT64 <= one.seq <= bounds.INT64
    assert 1 <= len(one.code) <= bounds.MAX_CODE
    assert one.quality is None or 1 <= len(one.quality) <= bounds.MAX_QUALITY


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_push_is_ticks_that_every_reader_takes_or_dead_letters(name: str, data: st.DataObject) -> None:
    """Any value in any field, in any unit, several pushes on a connection, with what the gate finds."""
    live = feed(name, units=data.draw(st.none() | UNITS), foreign=data.draw(st.booleans()))
    numbering, gate = Numbering("line-1", RECEIVED // 1000), Gate()
    for _ in range(data.draw(st.integers(1, 4))):
        values = data.draw(st.dictionaries(st.sampled_from(sorted(FIELDS[name])), VALUES, max_size=4))
        try:
            payload = frame(name, tick(name, **values))
        except (TypeError, orjson.JSONEncodeError):  # orjson writes no integers beyond 64 bits, no keys but texts
            continue
        decoded = decode(live, name, payload)
        assert decoded.ticks or decoded.letters or decoded.answers or decoded.unpriced or decoded.repeats
        _, flaws = gate.judge(decoded.ticks, RECEIVED)
        for record in numbering.stamp(decoded.ticks, RECEIVED, flaws):
            usable(record)

"""Bytes that others may have written into a topic: arbitrary ones, and records that are nearly right."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from schemas import bounds
from schemas.generate import FOLDER
from schemas.json_schema import KINDS

NUMBERS = [
    *(-1, 0, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**40, -(2**63), -(10**30)),
    *(0.00004, 0.0001, 5e-324, -0.0, 0.5, 1e9, 1e15, 1e18, 1e300, 1.7e308),
    *(bounds.EARLIEST_MS - 1, bounds.LATEST_MS + 1, bounds.LATEST_US + 1, 1_796_002_200_000_000_000),
]
"""What arithmetic stumbles over."""
TEXTS = [
    "",
    "\x00",
    "\x1b[2J",
    "default",
    "code:600519",
    "9" * 40,
    "9" * 5_000,
    "é" * 300,
    "2026-13-41",
    "٣" * 6,
    "\ud800",
]


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """A value so many levels deep."""
    return opening * levels + closing * levels


def _samples(kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "samples" / f"{kind}.jsonl").read_text("utf-8").splitlines()]


ODD = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)
ODD_JSON = st.one_of(
    ODD.map(json.dumps),
    st.sampled_from(["NaN", "1e999", "-1e999", "1" * 400, "1" * 5_000, "0." + "1" * 400, "tru", "[", '"\\ud800"']),
    st.integers(1, 3_000).map(nested),
    st.integers(1, 3_000).map(lambda levels: nested(levels, '{"a":[', "]}")),
)


@st.composite
def nearly(draw: st.DrawFn, kind: str) -> bytes:
    """A golden sample of which a few values are others, gone, or of no JSON at all."""
    record = dict(draw(st.sampled_from(_samples(kind))))
    odd: dict[str, str] = {}
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*record, "invented_later"]))
        inner = record.get(name)
        if isinstance(inner, dict) and draw(st.booleans()):
            record[name] = inner | {draw(st.sampled_from([*inner, "x"])): draw(ODD)}
        elif draw(st.booleans()) and name in record:
            del record[name]
        else:
            odd[name] = draw(ODD_JSON)
    fields = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in record.items() if name not in odd]
    text = "{" + ",".join([*fields, *(f"{json.dumps(name)}:{value}" for name, value in odd.items())]) + "}"
    data = text.encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, len(data))) if draw(st.integers(0, 9)) == 0 else len(data)
    return data[:cut]


def foreign(kind: str) -> st.SearchStrategy[bytes]:
    """Any bytes, nearly a record more often than not."""
    return st.one_of(
        nearly(kind), nearly(kind), st.binary(max_size=64), ODD_JSON.map(lambda text: text.encode("utf-8", "replace"))
    )


EVERY_KIND = [kind for kind in KINDS if kind != "dead-letter"]

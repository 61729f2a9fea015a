"""The compatibility checker names each kind of change that breaks readers, and lets additions through."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import UsageError, generate
from schemas.compatibility import incompatible_changes
from schemas.json_schema import KINDS, json_schema

Schema = dict[str, Any]
Edit = Callable[[Schema], object]


def fields(schema: Schema) -> Schema:
    found: Schema = schema["properties"]
    return found


BREAKS: list[tuple[str, str, Edit, str]] = [
    ("field removed", "tick", lambda s: fields(s).pop("volume"), "$.volume: removed"),
    ("required field removed", "tick", lambda s: fields(s).pop("price"), "$.price: removed"),
    (
        "field renamed",
        "tick",
        lambda s: fields(s).update(amount=fields(s).pop("volume")),
        "$.volume: removed (renamed to amount?)",
    ),
    (
        "retyped",
        "tick",
        lambda s: fields(s).update(price={"type": "string"}),
        "$.price: retyped from number to string",
    ),
    (
        "number narrowed to integer",
        "tick",
        lambda s: fields(s)["turnover"].update(type=["integer", "null"]),
        "$.turnover: retyped from null or number to integer or null",
    ),
    (
        "null no longer allowed",
        "tick",
        lambda s: fields(s).update(seq={"type": "integer"}),
        "$.seq: retyped from integer or null to integer",
    ),
    (
        "null newly allowed",
        "tick",
        lambda s: fields(s)["code"].update(type=["string", "null"]),
        "$.code: retyped from string to null or string",
    ),
    ("newly required", "tick", lambda s: s["required"].append("volume"), "$.volume: newly required"),
    (
        "new field that is required",
        "tick",
        lambda s: (fields(s).update(venue={"type": "string"}), s["required"].append("venue")),
        "$.venue: newly required",
    ),
    ("no longer required", "tick", lambda s: s["required"].remove("time"), "$.time: no longer required"),
    (
        "minimum raised",
        "tick",
        lambda s: fields(s)["time"].update(minimum=1),
        "$.time: narrowed, minimum from 0 to 1",
    ),
    (
        "maximum introduced",
        "tick",
        lambda s: fields(s)["price"].update(maximum=10_000),
        "$.price: narrowed, maximum from none to 10000",
    ),
    (
        "text shortened",
        "tick",
        lambda s: fields(s)["code"].update(maxLength=6),
        "$.code: narrowed, maxLength from 32 to 6",
    ),
    (
        "pattern introduced",
        "tick",
        lambda s: fields(s)["code"].update(pattern="^[0-9]{6}$"),
        "$.code: narrowed, pattern from none to '^[0-9]{6}$'",
    ),
    (
        "value of an enum taken away",
        "tick",
        lambda s: fields(s)["side"].update(enum=["buy", None]),
        "$.side: narrowed, enum from ['buy', 'sell', None] to ['buy', None]",
    ),
    (
        "model closed",
        "tick",
        lambda s: s.update(additionalProperties=False),
        "$: narrowed, additionalProperties from True to False",
    ),
    (
        "keyword that the checker does not know",
        "tick",
        lambda s: fields(s)["n"].update(multipleOf=2),
        "$.n: narrowed, multipleOf from none to 2",
    ),
    (
        "within a definition",
        "snapshot",
        lambda s: s["definitions"]["Origin"]["properties"].pop("offset"),
        "$.origin.offset: removed",
    ),
    (
        "within a list's items",
        "snapshot",
        lambda s: s["definitions"]["LineMark"]["properties"]["n"].update(type="string"),
        "$.lines[].n: retyped from integer to string",
    ),
    (
        "one of several types gone",
        "feed-event",
        lambda s: fields(s)["codes"]["anyOf"].pop(1),
        "$.codes: retyped from array or null or string to array or null",
    ),
    ("header removed", "dead-letter", lambda s: fields(s).pop("part"), "$.part: removed"),
]
HARMLESS: list[tuple[str, str, Edit]] = [
    ("nothing", "tick", lambda _: None),
    ("optional field added", "tick", lambda s: fields(s).update(venue={"type": ["string", "null"]})),
    ("texts rewritten", "tick", lambda s: (s.update(description="…"), fields(s)["code"].update(description="…"))),
    ("fields in another order", "tick", lambda s: s.update(properties=dict(reversed(fields(s).items())))),
    ("event added", "feed-event", lambda s: fields(s)["event"]["enum"].append("throttled")),
    ("bound widened", "tick", lambda s: fields(s)["code"].update(maxLength=64)),
    ("bound dropped", "tick", lambda s: fields(s)["time"].pop("minimum")),
    ("definition written in place", "snapshot", lambda s: fields(s).update(origin=s["definitions"]["Origin"])),
]


@pytest.mark.parametrize(("kind", "edit", "said"), [pytest.param(*row[1:], id=row[0]) for row in BREAKS])
def test_a_break_is_named(kind: str, edit: Edit, said: str) -> None:
    """Exactly the change that was made is reported, with its field."""
    released = json_schema(kind)
    current = copy.deepcopy(released)
    edit(current)
    assert incompatible_changes(released, current) == [said]


@pytest.mark.parametrize(("kind", "edit"), [pytest.param(*row[1:], id=row[0]) for row in HARMLESS])
def test_a_harmless_change_passes(kind: str, edit: Edit) -> None:
    """Additions, widened values and texts break nobody."""
    released = json_schema(kind)
    current = copy.deepcopy(released)
    edit(current)
    assert incompatible_changes(released, current) == []


def test_a_break_is_not_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--release`` refuses to overwrite a released schema with one that breaks its readers, and says why."""
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "RELEASED", tmp_path / "released")
    generate.write(release=True)
    assert len(list((tmp_path / "released").iterdir())) == len(KINDS)
    released = tmp_path / "released" / "tick.schema.json"
    stricter = released.read_bytes().replace(b'"seq"', b'"serial"')
    released.write_bytes(stricter)
    with pytest.raises(UsageError, match=r"tick: \$\.serial: removed \(renamed to seq\?\)"):
        generate.write(release=True)
    assert released.read_bytes() == stricter

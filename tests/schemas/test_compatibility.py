"""The compatibility checker names each kind of change that breaks readers, and lets additions through."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import UsageError, asyncapi, generate
from schemas.compatibility import ADDED_BOUNDS, incompatible_changes, incompatible_topics
from schemas.json_schema import KINDS, json_schema
from schemas.topics import topics

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
        lambda s: fields(s)["time"].update(minimum=631_152_000_001),
        "$.time: narrowed, minimum from 631152000000 to 631152000001",
    ),
    (
        "maximum lowered",
        "tick",
        lambda s: fields(s)["price"].update(maximum=10_000),
        "$.price: narrowed, maximum from 1000000000.0 to 10000",
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
CHANGES = "ashare.price-changes.v1"


def channel(document: Schema) -> Schema:
    found: Schema = document["channels"][CHANGES]
    return found


def message(document: Schema) -> Schema:
    found: Schema = document["components"]["messages"]["price-change"]
    return found


def cloud_event(document: Schema) -> Schema:
    found: Schema = document["components"]["schemas"]["CloudEvent"]
    return found


def kafka(document: Schema) -> Schema:
    found: Schema = channel(document)["bindings"]["kafka"]
    return found


TOPIC_BREAKS: list[tuple[str, Edit, str]] = [
    ("topic removed", lambda d: d["channels"].pop(CHANGES), "removed"),
    (
        "address changed",
        lambda d: channel(d).update(address="changes"),
        f"address changed from {CHANGES!r} to 'changes'",
    ),
    ("partitions changed", lambda d: kafka(d).update(partitions=24), "partitions changed from 12 to 24"),
    (
        "compacted",
        lambda d: kafka(d)["topicConfiguration"].update({"cleanup.policy": ["compact"]}),
        "cleanup.policy changed from ['delete'] to ['compact']",
    ),
    (
        "another key",
        lambda d: message(d)["bindings"]["kafka"]["key"].update(title="source"),
        "key changed from ['code'] to ['source']",
    ),
    ("key dropped", lambda d: message(d)["bindings"]["kafka"].pop("key"), "key changed from ['code'] to [None]"),
    (
        "another record",
        lambda d: channel(d).update(messages={"tick": channel(d)["messages"].pop("price-change")}),
        "records changed from ['price-change'] to ['tick']",
    ),
    ("headers dropped", lambda d: message(d).pop("headers"), "headers removed"),
    (
        "header dropped",
        lambda d: cloud_event(d)["properties"].pop("ce_time"),
        "headers.ce_time: removed",
    ),
    (
        "header of another value",
        lambda d: cloud_event(d)["properties"]["ce_type"].update({"const": "ashare.price-change.v2"}),
        "headers.ce_type: narrowed, const from 'ashare.price-change.v1' to 'ashare.price-change.v2'",
    ),
]
TOPIC_HARMLESS: list[tuple[str, Edit]] = [
    ("topic added", lambda d: d["channels"].update({"ashare.new.v1": channel(d)})),
    ("retention shortened", lambda d: kafka(d)["topicConfiguration"].update({"retention.ms": 1})),
    ("more replicas", lambda d: kafka(d).update(replicas=3)),
    ("texts rewritten", lambda d: (d["info"].update(description="…"), channel(d).update(summary="…"))),
    ("header added", lambda d: cloud_event(d)["properties"].update(ce_subject={"type": "string"})),
]


@pytest.mark.parametrize(("edit", "said"), [pytest.param(*row[1:], id=row[0]) for row in TOPIC_BREAKS])
def test_a_break_of_a_topic_is_named(edit: Edit, said: str) -> None:
    """What readers of a topic rely on may not change: a key elsewhere, for one, loses the order of a code."""
    released = asyncapi.document()
    current = copy.deepcopy(released)
    edit(current)
    first, *others = incompatible_topics(released, current)
    assert first == f"{CHANGES}: {said}"
    assert all("records changed" in first or other.startswith(f"{CHANGES}: headers.") for other in others)


@pytest.mark.parametrize("edit", [pytest.param(row[1], id=row[0]) for row in TOPIC_HARMLESS])
def test_a_harmless_change_of_a_topic_passes(edit: Edit) -> None:
    """What operations change, and what is added, breaks no reader."""
    released = asyncapi.document()
    current = copy.deepcopy(released)
    edit(current)
    assert incompatible_topics(released, current) == []


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


@pytest.mark.parametrize(("name", "keyword"), [(name, word) for name, added in ADDED_BOUNDS.items() for word in added])
def test_a_bound_may_be_added_that_excludes_only_what_was_never_written(name: str, keyword: str) -> None:
    """Each is named once, for its field: the bound itself and wider ones pass, a tighter one is a break."""
    bound = ADDED_BOUNDS[name][keyword]
    kind = "string" if keyword == "maxLength" else "array" if keyword == "maxItems" else "number"
    step = -max(1, abs(bound) / 2) if keyword == "minimum" else max(1, abs(bound) / 2)

    def field(**constraint: float) -> Schema:
        return {"type": "object", "properties": {name: {"type": kind, **constraint}}, "required": [name]}

    assert incompatible_changes(field(), field(**{keyword: bound})) == []
    assert incompatible_changes(field(), field(**{keyword: bound + step})) == []
    first, *others = incompatible_changes(field(), field(**{keyword: bound - step}))
    assert not others
    assert first.startswith(f"$.{name}: narrowed, {keyword} from none to ")


def test_every_bound_that_was_added_is_of_the_contract() -> None:
    """None is allowed that no record has: what isn't needed would let a later mistake pass."""
    used: set[tuple[str, str]] = set()

    def look(name: str, part: Schema) -> None:
        used.update((name, word) for word, bound in ADDED_BOUNDS.get(name, {}).items() if part.get(word) == bound)
        for inner, field in [*part.get("properties", {}).items(), *part.get("definitions", {}).items()]:
            look(inner, field)
        for branch in part.get("anyOf", ()):
            look(name, branch)

    for kind in KINDS:
        look("", json_schema(kind))
    assert used == {(name, word) for name, added in ADDED_BOUNDS.items() for word in added}


def test_a_break_is_not_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--release`` refuses to overwrite a released schema with one that breaks its readers, and says why."""
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "RELEASED", tmp_path / "released")
    generate.write(release=True)
    assert len(list((tmp_path / "released").iterdir())) == len(KINDS) + 1
    released = tmp_path / "released" / "tick.schema.json"
    stricter = released.read_bytes().replace(b'"seq"', b'"serial"')
    released.write_bytes(stricter)
    with pytest.raises(UsageError, match=r"tick: \$\.serial: removed \(renamed to seq\?\)"):
        generate.write(release=True)
    assert released.read_bytes() == stricter


def test_another_document_is_not_released_under_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds 1.0.0 of the AsyncAPI document holds the same as everybody else."""
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "RELEASED", tmp_path / "released")
    generate.write(release=True)
    generate.write(release=True)
    topic = topics()[CHANGES]
    monkeypatch.setitem(topics(), CHANGES, dataclasses.replace(topic, about="other words"))
    with pytest.raises(UsageError, match="raise VERSION"):
        generate.write(release=True)
    monkeypatch.setattr(asyncapi, "VERSION", "1.0.1")
    generate.write(release=True)
    assert b"Other words." in (tmp_path / "released" / "asyncapi.json").read_bytes()

"""JSON Schemas of the records, from their types: the draft-07 subset that AsyncAPI and code generators agree on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.dead_letters import HEADERS
from schemas.records import (
    Bar,
    BarState,
    ChangeState,
    DeadLetter,
    FeedEvent,
    Instrument,
    PriceChange,
    Record,
    Snapshot,
    Threshold,
    ThresholdMark,
    Tick,
)

Schema = dict[str, Any]

KINDS: Mapping[str, type[Record]] = {
    "tick": Tick,
    "snapshot": Snapshot,
    "price-change": PriceChange,
    "change-state": ChangeState,
    "feed-event": FeedEvent,
    "dead-letter": DeadLetter,
    "threshold": Threshold,
    "threshold-mark": ThresholdMark,
    "bar": Bar,
    "bar-state": BarState,
    "instrument": Instrument,
}
"""The type of each record kind, named as ``record:`` in ``topics.yaml``."""

_DRAFT = "http://json-schema.org/draft-07/schema#"
_WHOLE_NUMBER = "^[0-9]+$"


def json_schema(kind: str) -> Schema:
    """The JSON Schema of a record kind; of a dead letter, whose value is bytes, the schema of its headers.

    An open model: fields that the schema does not name are allowed.
    """
    definitions = msgspec.json.schema(KINDS[kind], ref_template="#/definitions/{name}")["$defs"]
    root = definitions.pop(KINDS[kind].__name__)
    if kind == "dead-letter":
        root = _as_headers(root)
    schema = {"$schema": _DRAFT, "$id": f"urn:ashare-stream:record:{kind}:v1", **_plain(root)}
    if definitions:
        schema["definitions"] = {name: _plain(schema) for name, schema in sorted(definitions.items())}
    return schema


def _as_headers(root: Schema) -> Schema:
    """The dead letter's fields but its payload, as Kafka headers carry them: every value text."""
    fields = {name: dict(root["properties"][name]) for name in HEADERS}
    for field in fields.values():
        if field.get("type") == "integer":
            field["type"] = "string"
            field["pattern"] = _WHOLE_NUMBER
            field["description"] += ", as decimal text"
            for bound in ("minimum", "maximum"):
                field.pop(bound, None)
    return {**root, "properties": fields, "required": list(HEADERS)}


def _plain(schema: Schema) -> Schema:
    """A schema with texts for readers of JSON, and without an ``anyOf`` where a list of types says the same."""
    plain: Schema = {}
    for keyword, value in schema.items():
        match keyword:
            case "description":
                plain[keyword] = _text(value)
            case "properties":
                plain[keyword] = {name: _plain(field) for name, field in value.items()}
            case "items":
                plain[keyword] = _plain(value)
            case "prefixItems":
                # Draft 07 has another word for it, which few code generators know: what all of them have in common.
                plain["items"] = {"type": "number", "minimum": 0}
            case "anyOf":
                plain.update(_either([_plain(branch) for branch in value]))
            case "enum":
                plain["type"] = "string"
                plain[keyword] = value
            case _:
                plain[keyword] = value
    if "properties" in plain:
        plain["additionalProperties"] = True
    return plain


def _text(docstring: str) -> str:
    """A docstring as a description: a line a paragraph."""
    paragraphs = inspect.cleandoc(docstring).replace("``", "`").replace("`None`", "`null`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _either(branches: list[Schema]) -> Schema:
    """One schema for a choice: number takes integer in, and null joins the type of the only other branch."""
    types = [branch.get("type") for branch in branches]
    if "number" in types:
        branches = [branch for branch in branches if branch.get("type") != "integer"]
    others = [branch for branch in branches if branch.get("type") != "null"]
    if len(others) != 1 or len(others) == len(branches) or "$ref" in others[0]:
        return {"anyOf": branches}
    either = dict(others[0])
    either["type"] = [either["type"], "null"]
    if "enum" in either:
        either["enum"] = [*either["enum"], None]
    return either

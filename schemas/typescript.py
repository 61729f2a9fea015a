"""The page's record types (``consumers/web/src/records.ts``) as TypeScript text, from the JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.json_schema import json_schema

PATH = Path(__file__).parents[1] / "consumers" / "web" / "src" / "records.ts"

_KINDS = ("tick", "snapshot", "price-change", "feed-event", "bar")
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_HEAD = """\
// The records of the topics. Made by `make schemas` from the JSON Schemas: do not edit.
// A field that a record may lack is optional. Fields that a newer pipeline adds are ignored.
"""

Schema = dict[str, Any]


def text() -> str:
    """What ``records.ts`` holds."""
    types: dict[str, Schema] = {}
    for document in map(json_schema, _KINDS):
        types |= document.get("definitions", {})
        types[document["title"]] = document
    return _HEAD + "".join(piece for name, schema in types.items() for piece in ("\n", *_type(name, schema)))


def _type(name: str, schema: Schema) -> Iterator[str]:
    yield f"/** {schema['description'].split(chr(10))[0]} */\n"
    if "properties" not in schema:
        yield f"export type {name} = {_annotation(schema)};\n"
        return
    yield f"export interface {name} {{\n"
    for field, what in schema["properties"].items():
        if "description" in what:
            yield f"  /** {what['description']} */\n"
        yield f"  {field}{'' if field in schema['required'] else '?'}: {_annotation(what)};\n"
    yield "}\n"


def _annotation(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_annotation(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(_array(schema) if kind == "array" else _PLAIN[kind] for kind in kinds)


def _array(schema: Schema) -> str:
    inner = _annotation(schema["items"])
    return f"({inner})[]" if "|" in inner else f"{inner}[]"

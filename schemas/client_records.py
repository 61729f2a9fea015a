"""The client library's record types (``ashare_client/records.py``) as Python text, from the JSON Schemas.

Types, names and bounds (``schemas/bounds.py``) are what the client holds a record to. A list of values (of events, say)
and the form of a text are not carried over: they may widen later, and a reader then takes a value that it does not know
for unknown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas import bounds
from schemas.bounds import INT64
from schemas.json_schema import json_schema
from schemas.topics import topics

PATH = Path(__file__).parents[1] / "clients" / "python" / "ashare_client" / "records.py"

_KINDS = ("tick", "snapshot", "price-change", "feed-event", "bar", "instrument")
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_UNITS = {"ms since the epoch": "Milliseconds", "µs since the epoch": "Microseconds"}
_WIDTH = 120
_INDENT = " " * 4
_DEEPER = _INDENT * 3

_HEAD = '''\
"""The records of the topics, and the topics' names. Made by `make schemas` from the JSON Schemas: do not edit.

What a feed does not carry is `None`, never 0. Fields that a newer pipeline adds are ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(extra={"unit": "ms"})]
Microseconds = Annotated[int, msgspec.Meta(extra={"unit": "us"})]
'''

_BASE = '''

class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic."""
'''

_LEVEL = '''\
class {title}(Record, frozen=True, gc=False, array_like=True):
    """{about}"""

    price: Annotated[float, msgspec.Meta(ge={MIN_PRICE}, le={MAX_PRICE})]
    volume: (
        Annotated[int, msgspec.Meta(ge=0, le={MAX_VOLUME})]
        | Annotated[float, msgspec.Meta(ge=0, le={MAX_VOLUME})]
    )
'''
"""The one record that is an array: its schema has neither names nor bounds of its own."""

Schema = dict[str, Any]


def text() -> str:
    """What ``records.py`` holds."""
    documents = [json_schema(kind) for kind in _KINDS]
    types: dict[str, Schema] = {}
    for document in documents:
        types |= document.get("definitions", {})
    for document in documents:
        types[document["title"]] = document
    return "".join(
        [_HEAD, "\n", *_names(), _BASE, *(piece for schema in types.values() for piece in ("\n\n", *_type(schema)))]
    )


def _names() -> Iterator[str]:
    for name, topic in topics().items():
        if topic.record in _KINDS:
            constant = name.split(".")[1].replace("-", "_").upper()
            yield f'{constant} = "{name}"\n'


def _type(schema: Schema) -> Iterator[str]:
    if "properties" not in schema:
        yield _LEVEL.format(title=schema["title"], about=schema["description"], **vars(bounds))
        return
    yield f"class {schema['title']}(Record, frozen=True, gc=False, kw_only=True):\n"
    summary, *more = schema["description"].replace("`null`", "`None`").split("\n\n")
    yield f'{_INDENT}"""{summary}\n\n'
    for paragraph in more:
        yield textwrap.fill(paragraph, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT) + "\n\n"
    yield f"{_INDENT}Attributes:\n"
    for name, field in schema["properties"].items():
        about = f"{name}: {_about(field)}."
        yield textwrap.fill(about, _WIDTH, initial_indent=_INDENT * 2, subsequent_indent=_DEEPER) + "\n"
    yield f'{_INDENT}"""\n\n'
    for name, field in schema["properties"].items():
        default = "" if name in schema["required"] else f" = {field['default']!r}"
        yield from _field(name, _annotation(field), default)


def _field(name: str, annotation: str, default: str) -> Iterator[str]:
    line = f"{_INDENT}{name}: {annotation}{default}\n"
    if len(line) <= _WIDTH + 1:
        yield line
        return
    alternatives = annotation.split(" | ")
    if len(alternatives) > 1:
        yield f"{_INDENT}{name}: (\n"
        for index, one in enumerate(alternatives):
            yield f"{_INDENT * 2}{'| ' if index else ''}{one}\n"
        yield f"{_INDENT}){default}\n"
        return
    inner = annotation.removeprefix("Annotated[").removesuffix("]")
    yield f"{_INDENT}{name}: Annotated[\n{_INDENT * 2}{inner}\n{_INDENT}]{default}\n"


def _about(field: Schema) -> str:
    known = [value for value in field.get("enum", ()) if value is not None]
    about = str(field["description"]) if "description" in field else f"See `{_annotation(field)}`"
    return f"{about}: {', '.join(known)}" if known else about


def _annotation(field: Schema) -> str:
    """The Python type of a field."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(_annotation(branch) for branch in field["anyOf"]))
    types = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return " | ".join(_one(kind, field) for kind in types)


_BOUNDS = {"minimum": "ge", "maximum": "le", "maxLength": "max_length"}
_BOUNDED = {"integer": ("minimum", "maximum"), "number": ("minimum", "maximum"), "string": ("maxLength",)}


def _one(kind: str, field: Schema) -> str:
    """The Python type of a field that is of one kind, with its bounds."""
    return " | ".join(_bounded(one, kind, field) for one in _unbounded(kind, field).split(" | "))


def _bounded(plain: str, kind: str, field: Schema) -> str:
    found = {_BOUNDS[word]: field[word] for word in _BOUNDED.get(kind, ()) if word in field}
    if plain == "int":
        found = {name: min(int(bound), INT64) for name, bound in found.items()}
    given = ", ".join(f"{name}={str(bound).replace('e+', 'e')}" for name, bound in found.items())
    return f"Annotated[{plain}, msgspec.Meta({given})]" if given else plain


def _unbounded(kind: str, field: Schema) -> str:
    if kind == "array":
        items = _annotation(field["items"])
        # A tick is usable for all or for nobody; other lists may grow longer.
        most = f", msgspec.Meta(max_length={field['maxItems']})]" if items == "Level" else ""
        return f"Annotated[list[{items}]{most}" if most else f"list[{items}]"
    unit = next((alias for words, alias in _UNITS.items() if words in field.get("description", "")), None)
    if kind == "integer" and unit:
        return unit
    # A whole number of shares stays one.
    return "int | float" if kind == "number" and "Shares" in field.get("description", "") else _PLAIN[kind]

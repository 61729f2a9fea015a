"""The AsyncAPI 3 document: every topic with its key, its records and its Kafka settings, for teams in any language.

It is made from the record types, ``topics.yaml`` and the golden samples, so it can't say anything else than they do.
``make schemas`` writes ``schemas/asyncapi.json``; ``docs/asyncapi/`` holds what validates it and makes a page of it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import orjson

from schemas import cloudevents
from schemas.bounds import INT64
from schemas.codec import decode
from schemas.json_schema import KINDS, Schema, json_schema
from schemas.records import PriceChange
from schemas.topics import INSTRUMENTS, THRESHOLDS, TICKS, Topic, topics

VERSION = "1.1.0"
"""The document's version. Raise its middle for a release that adds something, its end for one of other words."""

SAMPLES = Path(__file__).parent / "samples"

_BINDING = "0.5.0"
_KEY_FIELDS = {"code": "code", "line id": "source", "scope": "scope"}
"""The field that a topic's key repeats, by what ``topics.yaml`` calls the key."""
_SHOWN = 3
"""Samples per record: enough for a first one, a later one and one full of nulls."""

_ABOUT = """\
The whole A-share market as Kafka topics. `ashare.price-changes.v1` is the public topic: only moves larger than a
threshold.

- Records are JSON. Prices and turnover are in yuan, volume in shares, `time` in ms and `received` in µs since the
  epoch.
- What a feed does not carry is `null`, never 0. Fields are only ever added: ignore those that you don't know.
- Keys lie where Kafka's default partitioner (murmur2) puts them: a code is in one partition, in order.
- A price change may come twice after a crash, byte for byte the same: drop a `ce_id` that you have seen.
- Integers may have 63 bits. Read them exactly, also where the language's usual JSON number is a double.
"""


def document() -> dict[str, Any]:
    """The document, self-contained: every reference leads into it."""
    declared = list(topics().values())
    return {
        "asyncapi": "3.0.0",
        "id": "urn:ashare-stream",
        "info": {
            "title": "ashare-stream",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Your Kafka cluster; `make demo` listens on the default.",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "host:port of any broker"}},
            }
        },
        "channels": {topic.name: _channel(topic) for topic in declared},
        "operations": dict(_operation(topic) for topic in declared),
        "components": {
            "messages": {topic.record: _message(topic) for topic in declared},
            "schemas": dict(sorted(_schemas().items())),
        },
    }


def text() -> bytes:
    """What ``schemas/asyncapi.json`` holds."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _channel(topic: Topic) -> dict[str, Any]:
    audience = "internal" if topic.about.startswith("internal") else "public"
    return {
        "address": topic.name,
        "summary": _sentence(topic.about),
        "description": f"Keyed by {topic.key}." if topic.key in _KEY_FIELDS else "Records have no key.",
        "messages": {topic.record: {"$ref": f"#/components/messages/{topic.record}"}},
        "servers": [{"$ref": "#/servers/kafka"}],
        "tags": [{"name": audience}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replicas,
                "topicConfiguration": {key: _setting(key, value) for key, value in topic.config.items()},
                "bindingVersion": _BINDING,
            }
        },
    }


def _sentence(about: str) -> str:
    return f"{about[0].upper()}{about[1:]}."


def _setting(key: str, value: str) -> Any:
    """A setting as the Kafka binding wants it: policies listed, numbers as numbers."""
    if key == "cleanup.policy":
        return value.split(",")
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(value)
    return value


def _operation(topic: Topic) -> tuple[str, dict[str, Any]]:
    """What the pipeline does with a topic: it sends all of them but those that operators write."""
    action = "receive" if topic.name in {INSTRUMENTS, THRESHOLDS} else "send"
    return f"{action}.{topic.record}", {
        "action": action,
        "summary": _sentence(topic.about),
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{topic.record}"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    name = KINDS[topic.record].__name__
    schema = json_schema(topic.record)
    message: dict[str, Any] = {
        "name": topic.record,
        "title": name,
        "summary": schema["description"].partition("\n\n")[0],
        "contentType": "application/json",
        "payload": _ref(name),
    }
    match topic.record:
        case "price-change":
            message["headers"] = _ref("CloudEvent")
        case "dead-letter":
            message |= {"contentType": "application/octet-stream", "payload": _ref("Unreadable"), "headers": _ref(name)}
    kafka: dict[str, Any] = {"bindingVersion": _BINDING}
    if topic.key in _KEY_FIELDS:
        field = _KEY_FIELDS[topic.key]
        kafka = {"key": {"title": field, **schema["properties"][field]}, **kafka}
    message["bindings"] = {"kafka": kafka}
    message["examples"] = [_example(topic.record, i, line) for i, line in enumerate(_samples(topic.record), 1)]
    return message


def _schemas() -> dict[str, Schema]:
    """Every type by its name: the records, what they are made of, and the headers and bytes that are not a record."""
    schemas: dict[str, Schema] = {"CloudEvent": _cloud_event(), "Unreadable": _UNREADABLE}
    for kind, record in KINDS.items():
        schema = json_schema(kind)
        named = {record.__name__: schema, **schema.pop("definitions", {})}
        for name, value in named.items():
            plain = _portable(value)
            assert schemas.setdefault(name, plain) == plain, f"two types are called {name}"
    return schemas


def _portable(value: Any) -> Any:
    """A schema whose references lead into this document.

    The bounds of 64 bits become ``format: int64``: as numbers, a parser in JavaScript would round them.
    """
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if not isinstance(value, dict):
        return value
    portable: Schema = {}
    for keyword, content in value.items():
        if keyword in {"$schema", "$id"}:
            continue
        if keyword == "$ref":
            portable |= _ref(content.rpartition("/")[2])
        elif keyword in {"minimum", "maximum"} and abs(content) == INT64:
            portable["format"] = "int64"
        else:
            portable[keyword] = _portable(content)
    return portable


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _cloud_event() -> Schema:
    """The headers of a price change."""
    fixed = {name: {"type": "string", "const": value.decode()} for name, value in cloudevents.FIXED}
    place = {
        "description": (
            "`SOURCE/RUN/N` of the tick that caused the change, SOURCE percent-encoded: the same after any replay."
            f" Records without `cause`, as version 0.1 wrote them: `{TICKS}/partition/offset` of the tick"
        ),
        "type": "string",
    }
    time = {"description": "Exchange time", "type": "string", "format": "date-time"}
    fields = {"ce_id": place, **fixed, "ce_time": time}
    return {
        "title": "CloudEvent",
        "description": "CloudEvents 1.0, Kafka binding, binary mode.",
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": True,
    }


_UNREADABLE: Schema = {
    "title": "Unreadable",
    "description": "What could not be read, byte for byte: neither JSON nor UTF-8 is promised.",
    "type": "string",
    "format": "binary",
}


def _samples(kind: str) -> list[bytes]:
    return (SAMPLES / f"{kind}.jsonl").read_bytes().splitlines()[:_SHOWN]


def _example(kind: str, number: int, line: bytes) -> dict[str, Any]:
    """A golden sample as it travels."""
    example: dict[str, Any] = {"name": f"{kind}-{number}"}
    match kind:
        case "dead-letter":
            return example | {"headers": orjson.loads(line), "payload": '{"ticks":[{"code":'}
        case "price-change":
            headers = cloudevents.headers(decode(PriceChange, line))
            return example | {"headers": {key: text.decode() for key, text in headers}, "payload": orjson.loads(line)}
        case _:
            return example | {"payload": orjson.loads(line)}

"""Types, JSON Schemas, golden samples and topics hold one another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from schemas import RecordError, Tick, asyncapi, decode, encode
from schemas.dead_letters import from_kafka, to_kafka
from schemas.generate import ASYNCAPI, FOLDER, breaks, text, topic_breaks
from schemas.json_schema import KINDS
from schemas.topics import DEAD_LETTERS, topics

SAMPLES = FOLDER / "samples"
SUBSET = {
    *("$schema", "$id", "$ref", "title", "description", "default", "definitions"),
    *("type", "enum", "anyOf", "properties", "required", "additionalProperties", "items"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"),
}
PAYLOAD = b'{"ticks":[{"code":\xff\x00'

JSON = dict[str, Any]


def lines(folder: str, kind: str) -> Iterator[JSON]:
    for line in (SAMPLES / folder / f"{kind}.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def schema(kind: str) -> JSON:
    loaded: JSON = json.loads((FOLDER / f"{kind}.schema.json").read_text("utf-8"))
    return loaded


def read(kind: str, record: JSON) -> JSON:
    """A record, through the codec and back: a dead letter by its headers, the others by their JSON."""
    if kind == "dead-letter":
        _, headers = to_kafka(from_kafka(PAYLOAD, [(name, value.encode()) for name, value in record.items()]))
        return {name: value.decode() for name, value in headers}
    again: JSON = json.loads(encode(decode(KINDS[kind], json.dumps(record).encode())))
    return again


GOLDEN = [pytest.param(kind, record, id=f"{kind}-{i}") for kind in KINDS for i, record in enumerate(lines("", kind))]
REFUSED = [
    pytest.param(kind, line["field"], line["record"], id=f"{kind}.{line['field']}: {line['why']}")
    for kind in KINDS
    for line in lines("refused", kind)
]


@pytest.mark.parametrize("kind", KINDS)
def test_schema_file_is_what_the_type_generates(kind: str) -> None:
    """A record type that changed without ``make schemas`` fails here."""
    assert (FOLDER / f"{kind}.schema.json").read_bytes() == text(kind)


def test_asyncapi_document_is_what_types_topics_and_samples_generate() -> None:
    """Any of the three that changed without ``make schemas`` fails here."""
    assert (FOLDER / ASYNCAPI).read_bytes() == asyncapi.text()


def test_topics_stay_as_released() -> None:
    """No change since the release breaks those who read the topics or their headers."""
    assert topic_breaks() == []


@pytest.mark.parametrize("kind", KINDS)
def test_schema_keeps_the_released_promise(kind: str) -> None:
    """No change since the released schema breaks those who read, or replay, its records."""
    assert (FOLDER / "released" / f"{kind}.schema.json").exists()
    assert breaks(kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_schema_stays_in_the_subset(kind: str) -> None:
    """Draft-07, only keywords that code generators read alike, an open model, and every field described."""

    def check(part: JSON) -> None:
        assert part.keys() <= SUBSET
        for name, field in part.get("properties", {}).items():
            assert "description" in field or "$ref" in field, f"{name} says nothing"
        assert part.get("type") != "object" or part["additionalProperties"] is True
        nested = [*part.get("properties", {}).values(), *part.get("definitions", {}).values(), *part.get("anyOf", [])]
        for each in [*nested, *([part["items"]] if "items" in part else [])]:
            check(each)

    document = schema(kind)
    jsonschema.Draft7Validator.check_schema(document)
    assert document["description"]
    check(document)


def test_topics_and_schemas_name_the_same_kinds() -> None:
    """Every topic's record has a schema, every schema a topic, and no schema file is left over."""
    assert {topic.record for topic in topics().values()} == set(KINDS)
    assert {path.name for path in FOLDER.glob("*.schema.json")} == {f"{kind}.schema.json" for kind in KINDS}


@pytest.mark.parametrize(("kind", "record"), GOLDEN)
def test_golden_sample_is_valid_and_survives_the_codec(kind: str, record: JSON) -> None:
    """The schema allows it, the codec reads it, and what the codec writes is the same JSON in the same order."""
    jsonschema.validate(record, schema(kind), jsonschema.Draft7Validator)
    again = read(kind, record)
    assert again == record
    assert list(again) == list(record)


@pytest.mark.parametrize(("kind", "field", "record"), REFUSED)
def test_refused_sample_is_refused_by_schema_and_codec_alike(kind: str, field: str, record: JSON) -> None:
    """Both refuse it, and both name the field."""
    name = field.rpartition(".")[2]
    error = jsonschema.exceptions.best_match(jsonschema.Draft7Validator(schema(kind)).iter_errors(record))
    assert error is not None
    assert name in f"{error.json_path} {error.message}"
    with pytest.raises(RecordError, match=name):
        read(kind, record)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dead-letter"])
def test_readers_ignore_fields_that_they_do_not_know(kind: str) -> None:
    """A newer writer's field breaks neither schema nor codec."""
    record = next(lines("", kind))
    newer = record | {"invented_later": {"by": ["somebody"]}}
    jsonschema.validate(newer, schema(kind), jsonschema.Draft7Validator)
    assert read(kind, newer) == record


def test_a_field_that_is_absent_is_unknown() -> None:
    """A tick without its optional fields decodes to nulls, never to zeros."""
    record = next(lines("", "tick"))
    bare = {name: value for name, value in record.items() if name in schema("tick")["required"]}
    tick = decode(Tick, json.dumps(bare).encode())
    assert (tick.volume, tick.turnover, tick.side, tick.seq, tick.previous_close) == (None,) * 5


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"600519"', b"\xff\xfe", b'{"code":"\xff"}', b'{"price":NaN}', b'{"price":1e999}'],
)
def test_what_is_not_a_record_is_refused_with_the_documented_error(data: bytes) -> None:
    """Whatever the bytes are, the codec raises ``RecordError`` and nothing else."""
    with pytest.raises(RecordError, match="Tick"):
        decode(Tick, data)


def test_a_dead_letter_keeps_its_payload_byte_for_byte() -> None:
    """Bytes that are neither JSON nor UTF-8 come back as they were."""
    record = next(lines("", "dead-letter"))
    letter = from_kafka(PAYLOAD, [(name, value.encode()) for name, value in record.items()])
    assert letter.payload == PAYLOAD
    assert to_kafka(letter)[0] == PAYLOAD


def test_dead_letters_have_a_bound_in_size() -> None:
    """A feed that sends nothing but rubbish fills no disk; a segment that is full may go long before that."""
    config = topics()[DEAD_LETTERS].config
    assert 0 < int(config["segment.bytes"]) * 2 <= int(config["retention.bytes"]) <= 2**30

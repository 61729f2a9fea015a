"""The client's record types are those of the contract, and read as another team's must."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest

from ashare_client import records
from schemas import BareTick, client_records
from schemas.generate import FOLDER
from schemas.topics import FEED_EVENTS, PRICE_CHANGES, SNAPSHOTS, TICKS

KINDS = {
    "tick": records.Tick,
    "snapshot": records.Snapshot,
    "price-change": records.PriceChange,
    "feed-event": records.FeedEvent,
}


def test_the_records_are_what_the_schemas_generate() -> None:
    """A schema that changed without ``make schemas`` fails here."""
    assert client_records.PATH.read_text("utf-8") == client_records.text()


def test_topics_are_the_pipeline_s() -> None:
    """Their names are generated from ``topics.yaml``."""
    named = (records.TICKS, records.SNAPSHOTS, records.PRICE_CHANGES, records.FEED_EVENTS)
    assert named == (TICKS, SNAPSHOTS, PRICE_CHANGES, FEED_EVENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_golden_sample_is_read_field_for_field(kind: str) -> None:
    """With a field that a newer pipeline may have added, which is ignored."""
    for line in (FOLDER / "samples" / f"{kind}.jsonl").read_text("utf-8").splitlines():
        sample = json.loads(line)
        record = msgspec.json.decode(json.dumps(sample | {"invented_later": [1]}), type=KINDS[kind])
        assert msgspec.to_builtins(record) == sample


def test_a_value_that_is_not_known_yet_is_taken() -> None:
    """A range of values may widen within the contract: an event that was invented later is not an error."""
    event = b'{"event":"invented","source":"a","run":1,"n":0,"at":1}'
    assert msgspec.json.decode(event, type=records.FeedEvent).event == "invented"


def released(kind: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What reads the records of a kind as the client of the released version does."""
    document = json.loads((FOLDER / "released" / f"{kind}.schema.json").read_text("utf-8"))
    inner = [piece for schema in document.get("definitions", {}).values() for piece in client_records._type(schema)]
    module = ModuleType("released_records")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = "".join([client_records._HEAD, client_records._BASE, *inner, *client_records._type(document)])
    exec(text, module.__dict__)  # noqa: S102 - our own
    return msgspec.json.Decoder(getattr(module, document["title"]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_of_the_released_version_reads_the_records_of_this_one(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the fields that it knows, and leaves out the others."""
    decoder = released(kind, monkeypatch)
    lines = (FOLDER / "samples" / f"{kind}.jsonl").read_text("utf-8").splitlines()
    assert kind != "tick" or '"bids":[[' in lines[-1]
    for line in lines:
        found = msgspec.to_builtins(decoder.decode(line))
        assert within(found, json.loads(line))
        assert found.keys().isdisjoint({"bids", "asks", "day_high", "average"})


def within(one: Any, other: Any) -> bool:
    """Whether an object has no field with another value than the other's."""
    if isinstance(one, dict):
        return all(within(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(within, one, other))
    return bool(one == other)


def test_a_tick_without_the_fields_of_a_book_is_read() -> None:
    """As most feeds' are: they are none."""
    line = (FOLDER / "samples" / "tick.jsonl").read_text("utf-8").splitlines()[0]
    bare = {name: value for name, value in json.loads(line).items() if name in BareTick.__struct_fields__}
    tick = msgspec.json.decode(json.dumps(bare), type=records.Tick)
    assert (tick.bids, tick.asks, tick.day_open, tick.average) == (None,) * 4
    assert msgspec.to_builtins(tick) == json.loads(line)


@pytest.mark.parametrize("wrong", [b'{"code":"600519"}', b'{"code":600519,"price":1}'])
def test_a_record_without_its_fields_is_refused(wrong: bytes) -> None:
    """Names and types of fields can't change, so a client holds a record to them."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wrong, type=records.Tick)

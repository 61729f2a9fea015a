"""The client's record types are those of the contract, and read as another team's must."""

from __future__ import annotations

import json

import msgspec
import pytest

from ashare_client import records
from schemas import client_records
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


@pytest.mark.parametrize("wrong", [b'{"code":"600519"}', b'{"code":600519,"price":1}'])
def test_a_record_without_its_fields_is_refused(wrong: bytes) -> None:
    """Names and types of fields can't change, so a client holds a record to them."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wrong, type=records.Tick)

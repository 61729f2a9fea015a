"""The contract: record types, their codec, JSON Schemas, topics. Nothing here imports anything else of ours."""

from schemas.codec import RecordError, decode, decode_each, decoder, encode
from schemas.errors import UsageError
from schemas.records import (
    ChangeState,
    DeadLetter,
    FeedEvent,
    GapMark,
    LineMark,
    Origin,
    PriceChange,
    Record,
    Snapshot,
    Threshold,
    ThresholdMark,
    ThresholdStep,
    Tick,
)

__all__ = [
    "ChangeState",
    "DeadLetter",
    "FeedEvent",
    "GapMark",
    "LineMark",
    "Origin",
    "PriceChange",
    "Record",
    "RecordError",
    "Snapshot",
    "Threshold",
    "ThresholdMark",
    "ThresholdStep",
    "Tick",
    "UsageError",
    "decode",
    "decode_each",
    "decoder",
    "encode",
]

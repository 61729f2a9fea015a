"""The topics, as ``topics.yaml`` declares them, and the partition that a key belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import yaml
from aiokafka.partitioner import murmur2

TICKS = "ashare.ticks.v1"
SNAPSHOTS = "ashare.snapshots.v1"
PRICE_CHANGES = "ashare.price-changes.v1"
PRICE_CHANGES_STATE = "ashare.price-changes-state.v1"
FEED_EVENTS = "ashare.feed-events.v1"
DEAD_LETTERS = "ashare.dead-letters.v1"
THRESHOLDS = "ashare.thresholds.v1"
THRESHOLD_MARKS = "ashare.threshold-marks.v1"
BARS = "ashare.bars-1m.v1"
BARS_STATE = "ashare.bars-1m-state.v1"
INSTRUMENTS = "ashare.instruments.v1"


@dataclass(frozen=True)
class Topic:
    """One topic's declaration."""

    name: str
    key: str
    record: str
    about: str
    partitions: int
    replicas: int
    config: dict[str, str]


@cache
def topics() -> dict[str, Topic]:
    """Every topic of the pipeline, by name, in the order of ``topics.yaml``."""
    declared = yaml.safe_load((Path(__file__).parent / "topics.yaml").read_text("utf-8"))
    defaults = declared["defaults"]
    return {
        name: Topic(
            name=name,
            key=topic["key"],
            record=topic["record"],
            about=topic["about"],
            partitions=topic.get("partitions", defaults["partitions"]),
            replicas=topic.get("replicas", defaults["replicas"]),
            config=defaults["config"] | topic["config"],
        )
        for name, topic in declared["topics"].items()
    }


def replicated(topic: Topic, copies: int) -> Topic:
    """The topic with so many copies of each partition, all but one of which must have a record that is acknowledged."""
    least = {"min.insync.replicas": str(max(1, copies - 1))}
    return replace(topic, replicas=copies, config=topic.config | least)


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner (murmur2) and so every client library places it."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)

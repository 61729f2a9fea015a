"""Read the topics of an ashare-stream pipeline: typed records, each change once, from any point, at any pace.

    async with PriceChanges("127.0.0.1:9092", boards="STAR", start="latest") as changes:
        async for change in changes:
            print(change.code, change.previous, change.price)

`ashare_client.sync` has the same readers for code without an event loop.
"""

from __future__ import annotations

from ashare_client.batch import Batch
from ashare_client.boards import BOARDS, board
from ashare_client.errors import (
    ArgumentError,
    ClientError,
    NoBrokerError,
    NoTopicError,
    RangeError,
    RecordError,
    StateError,
)
from ashare_client.gaps import Gap
from ashare_client.instruments import instruments
from ashare_client.login import login
from ashare_client.places import End, Start
from ashare_client.readers import FeedEvents, PriceChanges, Ticks
from ashare_client.records import FeedEvent, Instrument, LineMark, Origin, PriceChange, Snapshot, Tick
from ashare_client.snapshots import Snapshots
from ashare_client.stats import Stats

__all__ = [
    "BOARDS",
    "ArgumentError",
    "Batch",
    "ClientError",
    "End",
    "FeedEvent",
    "FeedEvents",
    "Gap",
    "Instrument",
    "LineMark",
    "NoBrokerError",
    "NoTopicError",
    "Origin",
    "PriceChange",
    "PriceChanges",
    "RangeError",
    "RecordError",
    "Snapshot",
    "Snapshots",
    "Start",
    "StateError",
    "Stats",
    "Tick",
    "Ticks",
    "board",
    "instruments",
    "login",
]

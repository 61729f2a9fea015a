"""A tick's way through the producer goes downwards, from room to room, and comes back to none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import orjson
import pytest

from producer.feeds import provider
from producer.feeds.decoded import Frame
from producer.feeds.provider import Options
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.events import Events
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Pipeline
from producer.pipeline.quality import Gate
from producer.pipeline.redundancy import RedundantLines

ROOMS = ["line", "pipeline", "gaps", "feeds"]
"""From the top down."""
OPEN = 1_795_138_200_000


class Kept:
    """A publisher that keeps what it is given."""

    full = False

    def __init__(self) -> None:
        """Nothing yet."""
        self.records: dict[str, list[bytes]] = {}

    def lane(self, topic: str, _partition: int) -> Any:
        """A partition."""
        kept = self.records.setdefault(topic, [])

        class Partition:
            @staticmethod
            def add(_key: bytes, value: bytes, _ms: int, _headers: Any = ()) -> None:
                kept.append(value)

        return Partition


class Connection:
    """A socket off which some frames come, and then no more."""

    def __init__(self, frames: list[list[Frame]]) -> None:
        """One list for each read."""
        self._frames = iter(frames)

    async def frames(self) -> list[Frame]:
        """What one read gave."""
        return next(self._frames)


def room(frame: FrameType | None) -> str | None:
    """The room that a function belongs to, if it is one of the producer's."""
    name = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
    found = name.split(".")[1] if name.startswith("producer.") else None
    return found if found in ROOMS else None


@contextlib.contextmanager
def calls() -> Iterator[list[tuple[str, str]]]:
    """The calls from one room into another, in order."""
    seen: list[tuple[str, str]] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            caller, called = room(frame.f_back), room(frame)
            if caller and called and caller != called:
                seen.append((caller, called))

    sys.setprofile(profile)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("lines", [1, 2])
async def test_no_room_is_entered_from_below(lines: int) -> None:
    """Of one line or of several, with ticks, an answer, dead letters and a gap in a frame's packets."""
    publisher: Any = Kept()
    events = Events(publisher, Numbering("post-1", 1))
    redundant = RedundantLines(["post-1/a", "post-1/b"], events).members[0] if lines > 1 else None
    pipeline = Pipeline(
        publisher,
        events,
        trades_only=True,
        gate=Gate(clock_of_its_own=True),
        arbiter=Arbiter() if lines > 1 else None,
        redundant=redundant,
    )
    line = Line(Endpoint(provider("post").make(Options()), "ws://127.0.0.1:1"), None, pipeline, Pace(), name="x")
    payloads = [
        {"type": "subscribed", "symbols": "*"},
        {"ticks": [{"code": "600519", "price": 10.0, "time": OPEN, "volume": 100}, {"code": "no code"}]},
        {"ticks": [{"code": "000001", "price": 10.005, "time": OPEN, "volume": 100}]},
    ]
    frames = [Frame(orjson.dumps(payload), binary=False, received=OPEN * 1000) for payload in payloads]
    list(line.protocol.connected())
    while line.protocol.outgoing(0.0) is not None:
        pass
    connection: Any = Connection([frames])
    with calls() as made, pytest.raises(RuntimeError):  # no more frames
        await line._read(connection)
    assert ("line", "feeds") in made
    assert ("line", "pipeline") in made
    assert {topic.split(".")[1] for topic, records in publisher.records.items() if records} == {
        "ticks",
        "dead-letters",
        "feed-events",
    }
    climbs = [(caller, called) for caller, called in made if ROOMS.index(called) < ROOMS.index(caller)]
    assert not climbs

"""Frames into numbered records, without a socket: what the producer does to each tick before Kafka."""

from __future__ import annotations

import time

import orjson

from producer.feeds.decoded import Frame
from producer.feeds.post import PostDecoder
from producer.numbering import Numbering

RECEIVED = 1_795_138_200_000_000
"""µs since the epoch."""


def ours(frames: list[bytes]) -> float:
    """Seconds to decode, check and number every tick, and to write it as its record."""
    decoder, numbering = PostDecoder(), Numbering("bench", 1)
    begun = time.perf_counter()
    for frame in frames:
        for tick in decoder.decode(Frame(frame, binary=False, received=RECEIVED)).ticks:
            numbering.stamp(tick, RECEIVED)
    return time.perf_counter() - begun


def decoded(frames: list[bytes]) -> float:
    """Seconds to decode and check alone."""
    decoder = PostDecoder()
    begun = time.perf_counter()
    for frame in frames:
        decoder.decode(Frame(frame, binary=False, received=RECEIVED))
    return time.perf_counter() - begun


def parsed(frames: list[bytes]) -> float:
    """Seconds of orjson alone, which checks nothing."""
    loads = orjson.loads
    begun = time.perf_counter()
    for frame in frames:
        loads(frame)
    return time.perf_counter() - begun


def rewritten(frames: list[bytes]) -> float:
    """Seconds of orjson to parse each frame and to write each tick again."""
    loads, dumps = orjson.loads, orjson.dumps
    begun = time.perf_counter()
    for frame in frames:
        for tick in loads(frame)["ticks"]:
            dumps(tick)
    return time.perf_counter() - begun

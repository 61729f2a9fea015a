"""Frames into checked ticks, without a socket: the producer's decoder, beside orjson."""

from __future__ import annotations

import time

import orjson

from producer.feeds.decoded import Frame
from producer.feeds.post import PostDecoder

RECEIVED = 1_795_138_200_000_000
"""µs since the epoch."""


def decoded(frames: list[bytes]) -> float:
    """Seconds to decode frames and to check every tick, as the producer does."""
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
    """Seconds of orjson to parse each frame and to write each tick again, as recorders do."""
    loads, dumps = orjson.loads, orjson.dumps
    begun = time.perf_counter()
    for frame in frames:
        for tick in loads(frame)["ticks"]:
            dumps(tick)
    return time.perf_counter() - begun

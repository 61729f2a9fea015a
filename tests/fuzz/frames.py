"""Frames for every feed's decoder: documented ones with each value spoilt, good ones beside them."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from producer.feeds import feeds
from producer.feeds.decoded import Frame
from schemas import Tick, encode
from selfcheck.usable import read
from tests.fuzz.records import shown
from tests.fuzz.values import MIB, TOKENS, WHOLES
from tests.producer.feeds.genuine import GENUINE, RECEIVED, feed

_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"(?!\s*:)|-?\d+(?:\.\d+)?|true|false|null')
SECONDS_A_FRAME = 3.0
"""Beyond the size of a frame: what a decoder may take of the CPU."""
LETTERS_A_FRAME = 100_000
"""More is not a bound at all."""


@dataclass(frozen=True)
class Fault:
    """What a decoder did that it must not."""

    what: str


def floods() -> Iterator[bytes]:
    """Frames that are many, or large."""
    yield b"{}" * 1_000_000
    yield b"[" + b"{}," * 1_000_000 + b"{}]"
    yield b'{"ticks":[' + b"{}," * 500_000 + b"{}]}"
    yield b'{"ticks":[' + b'{"code":"600519"},' * 200_000 + b"{}]}"
    yield b" " * (15 * MIB)
    yield b"[" * (8 * MIB)
    yield b"\n" * (4 * MIB) + b"{"


def spoilt(name: str, draw: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Each value of each documented frame replaced by each nasty one, in an order that is drawn; then two at once."""
    pairs = []
    for payload, binary in GENUINE[name]:
        places = [match.span() for match in _VALUE.finditer(payload)] if not binary else []
        pairs += [(payload, binary, place, token) for place in places for token in TOKENS]
        pairs += [(payload[:at], binary, (0, 0), b"") for at in range(0, len(payload), 7)]
    pairs += [(whole, binary, (0, 0), b"") for whole in WHOLES for binary in (False, True)]
    draw.shuffle(pairs)
    for payload, binary, (start, end), token in pairs:
        yield payload[:start] + token + payload[end:], binary
    while True:
        payload, binary = draw.choice(GENUINE[name])
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(payload) + 1)
            payload = payload[:at] + draw.choice(TOKENS[:60]) + payload[at + draw.randrange(8) :]
        yield payload, binary


def try_decoders(seed: int, seconds: float) -> Iterator[Fault]:
    """Give every decoder what is spoilt, for so long altogether, and look at what becomes of it."""
    names = list(feeds())
    for name in names:
        for flood in floods():
            yield from _held(name, flood, binary=False)
    until = time.monotonic() + seconds
    running = {name: spoilt(name, random.Random(f"frames {name} {seed}")) for name in names}
    while time.monotonic() < until:
        for name, frames in running.items():
            for _ in range(20):
                payload, binary = next(frames)
                yield from _held(name, payload, binary=binary)


def _held(name: str, payload: bytes, *, binary: bool) -> Iterator[Fault]:
    line, what = feed(name), f"{name}: {shown(payload)}"
    begun = time.thread_time()
    try:
        decoded = line.decode(Frame(payload, binary, RECEIVED))
    except BaseException as error:  # noqa: BLE001 - whatever it raises is the finding
        yield Fault(f"{what}: {type(error).__name__}: {error}"[:500])
        return
    took = time.thread_time() - begun
    if took > SECONDS_A_FRAME + len(payload) / MIB * 0.5:
        yield Fault(f"{what}: decoded in {took:.1f} s of CPU time")
    if len(decoded.letters) > LETTERS_A_FRAME:
        yield Fault(f"{what}: {len(decoded.letters):,} dead letters of one frame")
    for one in decoded.ticks:
        tick = Tick(
            one.code, one.exchange, one.price, one.time, RECEIVED, "fuzz", 1, 1, one.volume, one.turnover, one.side,
            one.seq, one.previous_close,
        )  # fmt: skip
        if read(encode(tick)) is None:
            yield Fault(f"{what}: made a tick that is none: {tick}")
    good, good_binary = GENUINE[name][0]
    after, alone = (
        line.decode(Frame(good, good_binary, RECEIVED)),
        feed(name).decode(Frame(good, good_binary, RECEIVED)),
    )
    ticks = [[(t.code, t.price, t.time) for t in one.ticks] for one in (after, alone)]
    if ticks[0] != ticks[1] and not (after.repeats or decoded.ticks):
        yield Fault(f"{what}: the good frame after it gave {ticks[0]}, not {ticks[1]}")

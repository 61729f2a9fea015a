"""Frames into checked ticks, without a socket: the producer's decoder, beside orjson.

``python -m benchmarks.decoding``: CPU µs a tick of each feed, from the simulator's frames of it. ``--against DIR``
measures the code of another checkout in turns with this one, pass by pass, and gives the ratio of the two.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from producer.feeds import feeds
from producer.feeds.decoded import Frame
from producer.feeds.provider import Options
from simulator.feeds import PROVIDERS
from simulator.feeds.prints import Tape
from simulator.feeds.provider import Form, Handshake, Session, Terms
from simulator.run import generated
from simulator.universe import universe

RECEIVED = 1_795_138_200_000_000
"""µs since the epoch."""
_CODES, _SEED = 5_000, 11
_FEW_CODES = 40
"""Of a provider without a subscription to the whole market, on one connection."""
_ROOMS = frozenset({"producer", "market", "schemas", "broker"})


class Code(NamedTuple):
    """A version of the feeds: its registry, its type of a frame and that of a feed's options."""

    feeds: Any
    frame: Any
    options: Any


def decoded(frames: list[bytes]) -> float:
    """Seconds to decode frames and to check every tick, as the producer does."""
    feed = feeds()["post"].make(Options())
    begun = time.perf_counter()
    for frame in frames:
        feed.decode(Frame(frame, binary=False, received=RECEIVED))
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


def _session(name: str) -> Session:
    """A connection of the simulator's that has subscribed to the market."""
    able, live, server = feeds()[name].capabilities, feeds()[name].make(Options()), PROVIDERS[name]
    drawn = [server.writes(listing.code) for listing in universe(_CODES, _SEED)]
    codes = None if able.wildcard else drawn[: able.codes_per_connection or _FEW_CODES]
    split = urlsplit(live.address("ws://market", "token", codes))
    path = f"{split.path or '/'}?{split.query}"
    session = server.session(Terms("token"), Handshake(path, tuple(live.headers("token").items())), 0.0)
    session.greet()
    for turn, message in enumerate([*live.greeting("token"), *live.subscribe(codes)], 1):
        session.receive(message, turn * 10.0)
    return session


def drawn(names: Sequence[str], ticks: int) -> dict[str, list[Frame]]:
    """The frames of each feed, and of the post's in numbers written as text."""
    found: dict[str, list[Frame]] = {}
    for name in names:
        for swapped in (False, True) if name == "post" else (False,):
            source, tape, session = generated(rate="flat", codes=_CODES, seed=_SEED), Tape(), _session(name)
            session.form = Form(swapped=swapped)
            some: list[Frame] = []
            for _ in range(0, ticks, 1_000):
                prints = session.select(tape.read(source.take(float("inf"), 1_000)))
                some += [Frame(one.payload, one.binary, RECEIVED) for one in session.encode(prints)]
            found[f"{name}, text" if swapped else name] = some
    return found


def _code_of(checkout: Path) -> Code:
    """The feeds of another checkout, beside this one's in the same process."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in _ROOMS}
    sys.path.insert(0, str(checkout.absolute()))
    try:
        registry, types, options = (import_module(f"producer.feeds{name}") for name in ("", ".decoded", ".provider"))
        for row in registry.feeds().values():
            row.make(options.Options())  # msgspec looks up the types of a struct's fields in sys.modules, once
    finally:
        sys.path.pop(0)
        for name in [name for name in sys.modules if name.partition(".")[0] in _ROOMS]:
            del sys.modules[name]
        sys.modules.update(ours)
    return Code(registry.feeds, types.Frame, options.Options)


def cost(code: Code, feed: str, frames: Sequence[Frame]) -> float:
    """CPU µs a tick of frames on a connection of their own."""
    live = code.feeds()[feed].make(code.options())
    load = [code.frame(frame.payload, frame.binary, frame.received) for frame in frames]
    gc.collect()
    gc.disable()  # when it runs is the other version's doing as well
    count, begun = 0, time.process_time()
    for frame in load:
        count += len(live.decode(frame).ticks)
    spent = time.process_time() - begun
    gc.enable()
    return spent / count * 1e6


def main() -> None:
    """Print the cost of each feed: the least of all passes, which is what the machine's other work disturbs least."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("feed", nargs="*", help="default: all of them")
    parser.add_argument("--ticks", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout")
    given = parser.parse_args()
    codes = [Code(feeds, Frame, Options), *([] if given.against is None else [_code_of(given.against)])]
    for row, frames in drawn(given.feed or list(feeds()), given.ticks).items():
        costs = []
        for turn in range(given.passes):
            order = range(len(codes)) if turn % 2 else reversed(range(len(codes)))
            found = {at: cost(codes[at], row.partition(",")[0], frames) for at in order}
            costs.append([found[at] for at in range(len(codes))])
        least = [min(turn[at] for turn in costs) for at in range(len(codes))]
        told = f"{row:12} {least[0]:7.3f} µs a tick"
        if given.against is not None:
            middle = statistics.median(turn[0] / turn[1] for turn in costs)
            told += f", {least[1]:7.3f} there: ratio {least[0] / least[1]:.3f}, median of the passes {middle:.3f}"
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

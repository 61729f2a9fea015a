"""Frames into checked ticks, without a socket: the producer's decoder, beside orjson.

``python -m benchmarks.decoding``: CPU µs a tick of each feed, from the simulator's frames of it. ``--against DIR``
measures the code of another checkout in turns with this one, process by process, and gives the ratio of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
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


def drawn(ticks: int) -> dict[str, list[Frame]]:
    """The frames of each feed, and of the post's in numbers written as text."""
    found: dict[str, list[Frame]] = {}
    for name in feeds():
        for swapped in (False, True) if name == "post" else (False,):
            source, tape, session = generated(rate="flat", codes=_CODES, seed=_SEED), Tape(), _session(name)
            session.form = Form(swapped=swapped)
            some: list[Frame] = []
            for _ in range(0, ticks, 1_000):
                prints = session.select(tape.read(source.take(float("inf"), 1_000)))
                some += [Frame(one.payload, one.binary, RECEIVED) for one in session.encode(prints)]
            found[f"{name}, text" if swapped else name] = some
    return found


def costs(load: dict[str, list[Frame]], passes: int) -> dict[str, float]:
    """CPU µs a tick of each feed: the least of some passes, each of a connection of its own."""
    found = {}
    for row, frames in load.items():
        measured = []
        for _ in range(passes):
            feed = feeds()[row.partition(",")[0]].make(Options())
            count, begun = 0, time.process_time()
            for frame in frames:
                count += len(feed.decode(frame).ticks)
            measured.append((time.process_time() - begun) / count * 1e6)
        found[row] = min(measured)
    return found


def _in(checkout: Path, given: argparse.Namespace) -> dict[str, float]:
    """The costs of a checkout's code, in a process of its own."""
    arguments = ["--ticks", str(given.ticks), "--passes", str(given.passes), "--json"]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, str(Path(__file__)), *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _rows(ours: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> Iterator[str]:
    for row in ours[0]:
        mine, theirs = [one[row] for one in ours], [one[row] for one in others]
        ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
        least = f"{min(mine):6.3f} µs a tick, {min(theirs):6.3f} there"
        yield f"{row:12} {least}, ratio {min(mine) / min(theirs):.3f} (median {statistics.median(ratios):.3f})\n"


def main() -> None:
    """Print the cost of each feed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=20_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="with --against: pairs of processes")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="another checkout to measure in turns with this one"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.against is None:
        found = costs(drawn(given.ticks), given.passes)
        told = (
            [json.dumps(found) + "\n"]
            if given.json
            else [f"{row:12} {cost:6.3f} µs a tick\n" for row, cost in found.items()]
        )
    else:
        here, ours, others = Path(__file__).parents[1], [], []
        for number in range(given.rounds):
            for kept, checkout in ((ours, here), (others, given.against))[:: 1 if number % 2 else -1]:
                kept.append(_in(checkout, given))
        told = [*_rows(ours, others)]
    sys.stdout.writelines(told)


if __name__ == "__main__":
    main()

"""What a book and the day's figures cost the producer: its way from a frame to the publisher's queues, bare and full.

``python -m benchmarks.beside``: CPU µs a tick of decoder, gate, numbering and encoding, from the simulator's frames of
a feed, bare and with ``--books``. ``--against DIR`` measures the code of another checkout in turns with this one, round
by round, on the bare frames: what a feed without a book pays. What reads the socket and sends to Kafka is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from benchmarks.gate import Nowhere
from producer.feeds import provider
from producer.feeds.provider import Options
from simulator.feeds import PROVIDERS
from simulator.feeds.prints import Tape
from simulator.feeds.provider import Handshake, Session, Terms
from simulator.run import generated

_START = "2026-11-20 09:31"
_ROOMS = frozenset({"producer", "market", "schemas", "broker"})
_MODULES = ("feeds", "feeds.decoded", "feeds.provider", "pipeline.events", "pipeline.numbering", "pipeline.publish")
_CODES, _SEED = 5_000, 11

Frames = list[tuple[bytes, bool, int]]
"""Payload, whether it is binary, and its receipt, µs since the epoch."""


class Code:
    """A version of the producer: its modules by name."""

    def __init__(self, checkout: Path | None) -> None:
        """This checkout's, or another one's beside it in the same process."""
        if checkout is None:
            self._load()
            return
        ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in _ROOMS}
        sys.path.insert(0, str(checkout.absolute()))
        try:
            self._load()
            for row in self.modules["feeds"].feeds().values():
                row.make(self.modules["feeds.provider"].Options())  # msgspec looks types up in sys.modules, once
        finally:
            sys.path.pop(0)
            for name in [name for name in sys.modules if name.partition(".")[0] in _ROOMS]:
                del sys.modules[name]
            sys.modules.update(ours)

    def _load(self) -> None:
        names = (*_MODULES, "pipeline.quality")
        self.modules: dict[str, ModuleType] = {name: import_module(f"producer.{name}") for name in names}

    def way(self, feed: str) -> tuple[Any, Any]:
        """A line's decoder and pipeline, which end nowhere."""
        of, publisher = self.modules, Nowhere()
        events = of["pipeline.events"].Events(publisher, of["pipeline.numbering"].Numbering("bench", 1))
        gate = of["pipeline.quality"].Gate()
        pipeline = of["pipeline.publish"].Pipeline(publisher, events, trades_only=False, gate=gate)
        return of["feeds"].feeds()[feed].make(of["feeds.provider"].Options()), pipeline

    async def cost(self, feed: str, frames: Frames) -> float:
        """CPU µs a tick of the second half of the frames; in the first, every code is new."""
        decoder, pipeline = self.way(feed)
        frame, begun, half = self.modules["feeds.decoded"].Frame, 0.0, len(frames) // 2
        load = [frame(payload, binary, received) for payload, binary, received in frames]
        before = 0
        gc.collect()
        gc.disable()
        for number, one in enumerate(load):
            if number == half:
                before, begun = pipeline.n, time.process_time()
            await pipeline.ticks(decoder.decode(one).ticks, one.received)
        spent = time.process_time() - begun
        gc.enable()
        assert not pipeline.counters.flaws, "a load that is well"
        ticks: int = pipeline.n - before
        return spent / ticks * 1e6


def _session(feed: str) -> Session:
    """A connection of the simulator's that has subscribed to the market."""
    live, server = provider(feed).make(Options()), PROVIDERS[feed]
    split = urlsplit(live.address("ws://market", "token", None))
    session = server.session(Terms("token"), Handshake(f"{split.path or '/'}?{split.query}"), 0.0)
    session.greet()
    for turn, message in enumerate([*live.greeting("token"), *live.subscribe(None)], 1):
        session.receive(message, turn * 10.0)
    return session


def drawn(feed: str, ticks: int, *, books: bool) -> Frames:
    """The simulator's frames of the market, each received right after its last tick."""
    source = generated(rate="1000", codes=_CODES, seed=_SEED, start=_START, books=books)
    tape, session = Tape(), _session(feed)
    frames: Frames = []
    for _ in range(0, ticks, 50):
        prints = session.select(tape.read(source.take(float("inf"), 50)))
        received = (prints[-1].time + 40) * 1000
        frames += [(one.payload, one.binary, received) for one in session.encode(prints)]
    return frames


async def measure(codes: Sequence[Code], feed: str, frames: Frames, rounds: int) -> list[list[float]]:
    """Of each round, the costs of each version, in turns."""
    found = []
    for number in range(rounds):
        order = range(len(codes)) if number % 2 else reversed(range(len(codes)))
        costs = {at: await codes[at].cost(feed, frames) for at in order}
        found.append([costs[at] for at in range(len(codes))])
    return found


def main() -> None:
    """Print the least of all rounds, which the machine's other work disturbs least, and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("feed", nargs="*", default=["post"], help="of those with a subscription to the whole market")
    parser.add_argument("--ticks", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout, for the bare frames")
    given = parser.parse_args()
    ours = Code(None)
    for feed in given.feed:
        codes = [ours] if given.against is None else [ours, Code(given.against)]
        bare = asyncio.run(measure(codes, feed, drawn(feed, given.ticks, books=False), given.rounds))
        full = asyncio.run(measure([ours], feed, drawn(feed, given.ticks, books=True), given.rounds))
        least = min(costs[0] for costs in bare)
        told = f"{feed:10} bare {least:6.3f} µs a tick, with books {min(costs[0] for costs in full):6.3f}"
        if given.against is not None:
            there = min(costs[1] for costs in bare)
            middle = statistics.median(costs[0] / costs[1] for costs in bare)
            told += f"; bare there {there:6.3f}: ratio {least / there:.3f}, median of the rounds {middle:.3f}"
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""What the quality gate costs: the producer's way from a frame to the publisher's queues, with it and without.

``python -m benchmarks.gate``: frames of the post's protocol through ``Intake.take``, 50 ticks each unless told. Every
variant takes the same frames in turn, round after round, and the figure is the median of the rounds' CPU times, since
the machine may be shared. What reads the socket and sends to Kafka is left out, which makes the gate's share
larger than it is of a whole producer. ``two lines`` takes every frame twice, by both lines of an arbiter.

``python -m benchmarks.gate --whole 5``: a whole ``ashare produce`` instead, from a feed that is always faster into a
real Kafka, with ``--quality off`` and ``mark`` in turn, so many times.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.blaster import frames
from benchmarks.kafka import own_kafka, renew
from benchmarks.load import START
from benchmarks.producing import Recorder, produce
from producer.arbitration import Arbiter
from producer.feeds.decoded import Frame
from producer.feeds.post import PostDecoder
from producer.intake import Intake
from producer.numbering import Numbering
from producer.quality import Gate
from schemas.topics import TICKS


class Nowhere:
    """A publisher's side of an intake, which keeps nothing."""

    full = False

    def __init__(self) -> None:
        """Nothing came."""
        self.bytes = 0

    def queue(self, topic: str, partition: int) -> Nowhere:
        """Itself."""
        del topic, partition
        return self

    def add(self, key: bytes | None, value: bytes, timestamp_ms: int, headers: Sequence[Any] = ()) -> None:
        """Take a record."""
        del key, timestamp_ms, headers
        self.bytes += len(value)


def intake(gate: Gate | None = None, arbiter: Arbiter | None = None, line: int = 0) -> Intake:
    """A way that ends nowhere."""
    publisher: Any = Nowhere()
    return Intake(
        publisher, Numbering("bench", 1), PostDecoder(), trades_only=False, gate=gate, arbiter=arbiter, line=line
    )


def plain() -> list[Intake]:
    """Without a gate."""
    return [intake()]


def gated() -> list[Intake]:
    """With it."""
    return [intake(Gate())]


def two_lines() -> list[Intake]:
    """With it, behind the arbiter of two lines."""
    gate, arbiter = Gate(), Arbiter()
    return [intake(gate, arbiter, line) for line in (0, 1)]


VARIANTS: dict[str, Callable[[], list[Intake]]] = {"without": plain, "gate": gated, "two lines": two_lines}


async def cost(ways: list[Intake], load: Sequence[Frame]) -> float:
    """CPU seconds of taking the second half of the frames, by each way; in the first, every code is new to it."""
    begun = 0.0
    for number, frame in enumerate(load):
        if number == len(load) // 2:
            gc.collect()
            begun = time.process_time()
        for way in ways:
            await way.take(frame)
    spent = time.process_time() - begun
    gates = {id(way.gate): way.gate for way in ways if way.gate is not None}
    assert not any(gate.counts for gate in gates.values()), "a load that is well"
    return spent


async def measure(ticks: int, a_frame: int, codes: int, rounds: int) -> dict[str, list[float]]:
    """CPU µs a tick of each variant in each round."""
    load = [
        Frame(payload, binary=False, received=(START + number * a_frame // 100) * 1000)
        for number, payload in enumerate(frames(ticks, a_frame, codes), 1)
    ]
    count = (len(load) - len(load) // 2) * a_frame
    costs: dict[str, list[float]] = {name: [] for name in VARIANTS}
    order = list(VARIANTS)
    for number in range(rounds):
        for name in order if number % 2 else reversed(order):
            costs[name].append(await cost(VARIANTS[name](), load) / count * 1e6)
    return costs


async def whole(ticks: int, a_frame: int, codes: int, rounds: int) -> dict[str, list[float]]:
    """CPU µs a tick of a whole producer, with and without the gate, in each round."""
    costs: dict[str, list[float]] = {"without": [], "gate": []}
    async with own_kafka() as bootstrap:
        for number in range(rounds):
            for name in costs if number % 2 else reversed(list(costs)):
                setting = "off" if name == "without" else "mark"
                recorder = Recorder("ashare-stream", "cli", ours=True, more=("--quality", setting))
                got = await produce(recorder, bootstrap, ticks, a_frame, seconds=60, codes=codes)
                costs[name].append(got.cpu)
            await renew(bootstrap, [TICKS])
    return costs


def main() -> None:
    """Print the medians, and what the gate takes of the throughput."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=200_000)
    parser.add_argument("--frame", type=int, default=50, help="ticks a frame")
    parser.add_argument("--codes", type=int, default=5_400)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--whole", type=int, metavar="ROUNDS", help="measure a whole producer")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    how, rounds = (whole, given.whole) if given.whole else (measure, given.rounds)
    costs = asyncio.run(how(given.ticks, given.frame, given.codes, rounds))
    if given.json:
        sys.stdout.write(json.dumps(costs) + "\n")
        return
    base = statistics.median(costs["without"])
    for name, all_ in costs.items():
        middle = statistics.median(all_)
        sys.stdout.write(
            f"{name:10} {middle:6.3f} µs a tick ({min(all_):.3f} to {max(all_):.3f})  {1e6 / middle:>9,.0f} ticks/s"
            f"  throughput {base / middle - 1:+.1%}\n"
        )


if __name__ == "__main__":
    main()

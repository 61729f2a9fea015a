"""The whole pipeline, from the socket to store and price changes, rate by rate: latency, CPU and memory.

``python -m benchmarks.pipeline``: for each rate one run of ``ashare verify``, which starts the stack, pushes, and
compares everything that came out with what went in; beside it, what every process used. Two raw hops through the same
kind of broker at the same rate stand beside the latency. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hops import Latency
from benchmarks.hops import measure as raw_hops
from deploy.embedded import KafkaBroker

RATES = (400, 5_000, 10_000, 30_000, 50_000, 100_000)
_ROLES = {
    "kafka.Kafka": "kafka",
    "processors.stores.apart": "store",
    " simulate ": "simulator",
    " produce ": "producer",
    " process ": "worker",
}
_START = 12.0
"""Seconds that a stack takes to start, at most: what is sampled before does not count."""


@dataclass(frozen=True)
class Step:
    """One rate's outcome.

    Attributes:
        verdict: what ``ashare verify --json`` said.
        cpu: percent of one core, by process, in the middle of the run.
        rss: MB, by process, at the end of that.
        hops: two raw hops at the same rate.
    """

    rate: int
    verdict: dict[str, Any]
    cpu: dict[str, float]
    rss: dict[str, float]
    hops: Latency | None


def _processes(since: float) -> dict[str, tuple[float, float]]:
    """CPU seconds and MB by role, of what was started since."""
    found: dict[str, tuple[float, float]] = {}
    for process in psutil.process_iter():
        try:
            if process.create_time() < since:
                continue
            line = " ".join(process.cmdline()) + " "
            role = next((role for mark, role in _ROLES.items() if mark in line and "leash" not in line), None)
            if role is not None:
                times = process.cpu_times()
                found[role] = (times.user + times.system, process.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return found


async def step(rate: int, seconds: int, per_frame: int, more: Sequence[str], *, hops: bool) -> Step:
    """One rate."""
    since = time.time() - 0.1
    command = [sys.executable, "-m", "cli", "verify", "--json", "--rate", str(rate), "--seconds", str(seconds)]
    verify = await asyncio.create_subprocess_exec(
        *(*command, "--ticks-per-frame", str(per_frame), *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await asyncio.sleep(_START + seconds * 0.1)
    first, at = _processes(since), time.time()
    await asyncio.sleep(max(1.0, seconds * 0.6 - 2))
    second, span = _processes(since), time.time() - at
    output, _ = await verify.communicate()
    cpu = {role: round(100 * (second[role][0] - first[role][0]) / span, 1) for role in second if role in first}
    raw = None
    if hops:
        with tempfile.TemporaryDirectory(prefix="ashare-bench-") as directory:
            broker = KafkaBroker(Path(directory))
            await asyncio.to_thread(broker.start)
            try:
                raw = await raw_hops(broker.bootstrap, rate, min(seconds, 10))
            finally:
                await asyncio.to_thread(broker.stop)
    return Step(rate, json.loads(output), cpu, {role: round(mb) for role, (_, mb) in second.items()}, raw)


async def climb(given: argparse.Namespace) -> list[Step]:
    """Every rate in turn."""
    steps: list[Step] = []
    for rate in given.rates:
        per_frame = given.ticks_per_frame or (1 if rate <= 10_000 else 50)
        done = await step(rate, given.seconds, per_frame, given.more, hops=given.hops and rate <= 30_000)
        verdict, at = done.verdict, done.verdict["latency_ms"]
        beside = f", two raw hops {done.hops.p50:g} / {done.hops.p99:g}" if done.hops else ""
        sys.stderr.write(
            f"{rate:>7,}/s, {per_frame} a frame: stored {verdict['rate_stored']:,.0f}/s, p50 {at['p50']:g} ms,"
            f" p99 {at['p99']:g} ms{beside}; ok {verdict['ok']}; CPU % {done.cpu}; MB {done.rss}\n"
        )
        steps.append(done)
    return steps


def main() -> None:
    """Print everything as JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", nargs="*", type=int, default=list(RATES))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--ticks-per-frame", type=int, default=0, help="default: 1 up to 10,000/s, then 50")
    parser.add_argument("--hops", action="store_true", help="two raw hops at the same rate beside it, up to 30,000/s")
    parser.add_argument("more", nargs="*", help="more of ashare verify's options, after --")
    steps = asyncio.run(climb(parser.parse_args()))
    sys.stdout.write(json.dumps([asdict(one) for one in steps], indent=1) + "\n")


if __name__ == "__main__":
    main()

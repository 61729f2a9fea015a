"""Replay out of a real log: ticks/s and memory of each output, and how exactly a pace is kept.

    python -m benchmarks.replay_out --ticks 5000000

Each output is a process of its own, ``ashare replay``, beside an embedded broker on the same machine. Spacing is
measured from outside: a reader on the pipe stamps each line when it arrives, and compares with the records' own times.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.kafka import check_whole
from benchmarks.load import Load
from benchmarks.results import Result, begin, finish
from benchmarks.results import options as shared_options
from broker import admin
from deploy.embedded import KafkaBroker

SECONDS, RATE = 20, 10_000
"""Of each pace so long, of a load that has so many ticks in a second of its own time."""
REPLAY = (sys.executable, "-m", "cli", "replay")


def measured(bootstrap: str, *options: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and the largest resident memory (MB) of one replay, start-up included."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [*REPLAY, "--bootstrap", bootstrap, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    seen, cpu, rss = psutil.Process(process.pid), 0.0, 0.0
    while process.poll() is None:
        try:
            with seen.oneshot():
                times = seen.cpu_times()
                cpu, rss = times.user + times.system, max(rss, seen.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(said.decode())
    return time.monotonic() - begun, cpu, rss


def spacing(bootstrap: str, factor: float, *options: str) -> tuple[int, float, list[float]]:
    """Records, records/s, and of each by how much (ms) it came late against the records' own spacing, sorted."""
    process = subprocess.Popen(
        [*REPLAY, "--bootstrap", bootstrap, "--pace", f"x{factor:g}", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    arrivals: list[tuple[float, bytes]] = []
    left = b""
    # One stamp a read: whatever came with it had arrived by then.
    while data := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
        now = time.monotonic()
        *lines, left = (left + data).split(b"\n")
        arrivals += [(now, line) for line in lines]
    process.wait()
    first = None
    late: list[float] = []
    for now, line in arrivals:
        at = json.loads(line)["time"] / factor
        if first is None:
            first = (now, at)
        late.append((now - first[0]) * 1000 - (at - first[1]))
    # The first record may itself have come late: what counts is the distance from the most punctual one.
    best = min(late)
    seconds = arrivals[-1][0] - arrivals[0][0]
    return len(late), len(late) / seconds, sorted(one - best for one in late)


async def prepared(bootstrap: str, ticks: int) -> None:
    """The topics, with the ticks in them."""
    await admin.apply(bootstrap)
    await Load(ticks).publish(bootstrap)


def outputs(result: Result, bootstrap: str, ticks: int, directory: Path) -> None:
    """Every output, flat out."""
    for name, options in {
        "topic": ("--to-topic", "replay.bench"),
        "JSON lines": ("--to-file", str(directory / "out.jsonl")),
        "CSV": ("--to-file", str(directory / "out.csv")),
        "Parquet": ("--to-file", str(directory / "out.parquet")),
        "Arrow": ("--to-file", str(directory / "out.arrow")),
        "changes to JSON lines": (
            "--through",
            "changes",
            "--threshold",
            "0.05",
            "--to-file",
            str(directory / "c.jsonl"),
        ),
    }.items():
        seconds, cpu, rss = measured(bootstrap, *options)
        result.add(f"into {name}", {"ticks/s": ticks / seconds, "µs CPU a tick": cpu / ticks * 1e6, "MB": rss})
        if options[0] == "--to-file":
            Path(options[1]).unlink()


def paces(result: Result, bootstrap: str, ticks: int, factors: Sequence[float]) -> None:
    """How far from the original spacing records come, over ``SECONDS`` of each pace."""
    # One code of ten: a broad market's 1,000 ticks/s, so that ten times of it is not yet flat out.
    some = ",".join(f"{600_000 + number}" for number in range(0, 2_000, 4))
    for factor, options in [
        *((factor, ()) for factor in factors),
        *((factor, ("--codes", some)) for factor in factors),
    ]:
        until = f"offset:{min(ticks, int(SECONDS * RATE * factor)) // 12}"
        count, rate, late = spacing(bootstrap, factor, "--to", until, *options)
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        result.add(
            f"at ×{factor:g}{', some codes' if options else ''}",
            {"records": count, "records/s": rate, "late, p50 ms": p50, "late, p99 ms": p99, "late, most ms": late[-1]},
        )


def main() -> None:
    """Measure, and print."""
    parser = shared_options(__doc__, ticks=1_000_000)
    parser.add_argument("--bootstrap", help="a broker with nothing in its topics; default: one of our own")
    parser.add_argument("--loaded", action="store_true", help="the broker has the ticks already")
    given = parser.parse_args()
    result = begin(given, "replay_out")
    with tempfile.TemporaryDirectory(prefix="replay-out-") as name:
        directory = Path(name)
        broker = None if given.bootstrap else KafkaBroker(directory / "kafka")
        bootstrap = given.bootstrap
        if broker is not None:
            broker.start()
            bootstrap = broker.bootstrap
        try:
            if not given.loaded:
                asyncio.run(prepared(bootstrap, given.ticks))
            paces(result, bootstrap, given.ticks, (1.0, 10.0))
            outputs(result, bootstrap, given.ticks, directory)
            asyncio.run(check_whole(bootstrap))
        finally:
            if broker is not None:
                broker.stop()
    finish(result, given)


if __name__ == "__main__":
    main()

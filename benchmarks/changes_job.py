"""The changes job, ours and each peer's, on the same ticks in the same Kafka, one after the other, again and again.

``python -m benchmarks.changes_job``: consume the tick topic from its beginning, decode, hold the last emitted price of
each code, and produce every move larger than 0.05 yuan. A rate is taken from the output topic, from the first change
to the last, so that nobody's start counts; outputs per second are turned into ticks per second by the reference, which
knows how many changes the ticks make. Every output is compared with the reference: same changes, same order per code.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.kafka import make, own_kafka, read, renew
from benchmarks.load import THRESHOLD, Emitted, Load
from benchmarks.measured import EndWatch, ended, used
from benchmarks.results import Result, Value, begin, finish, options
from deploy.embedded import free_port
from deploy.embedded.jars import jars, java
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, TICKS, topics

PEERS = Path(__file__).parent / "peers"
PARTITIONS = topics()[TICKS].partitions
OURS, KAFKA_STREAMS = "ashare-stream", "Kafka Streams"


@dataclass(frozen=True)
class Contender:
    """One way to do the job.

    Attributes:
        command: starts it, given its directory.
        seconds: how long a slow one may take; it is then judged by what it has done.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    seconds: float = 60.0


def contenders(peers: Path) -> list[Contender]:
    """Ours and the peers; ``peers`` is the environment that they are installed in."""
    python = str(peers / "bin" / "python")

    def ours(_: Path) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "cli", "process", "--bootstrap", os.environ["BENCH_BOOTSTRAP"]),
            *("--agents", "changes", "--threshold", THRESHOLD, "--web-port", str(free_port())),
        ]

    def script(name: str) -> Callable[[Path], Sequence[str]]:
        return lambda _: [python, str(PEERS / name)]

    return [
        Contender(OURS, ours),
        Contender(KAFKA_STREAMS, _kafka_streams),
        Contender("Pathway", script("pathway_job.py")),
        Contender("Bytewax", lambda _: [python, "-m", "bytewax.run", f"{PEERS / 'bytewax_flow.py'}:flow"]),
        Contender("Quix Streams", script("quix.py"), 40.0),
        Contender("Faust, plain agent", script("plain_faust.py"), 25.0),
    ]


def _kafka_streams(directory: Path) -> Sequence[str]:
    path = ":".join(map(str, jars("kafka-streams")))
    subprocess.run(
        [
            *(str(java()), "-jar", str(jars("java-compiler")[0]), "-21", "-nowarn", "-proc:none"),
            *("-cp", path, "-d", str(directory), str(PEERS / "KafkaStreamsChanges.java")),
        ],
        check=True,
    )
    return [str(java()), "-Xmx1g", "-cp", f"{directory}:{path}", "KafkaStreamsChanges"]


async def run(contender: Contender, bootstrap: str, load: Load, number: int) -> dict[str, Value]:
    """Let one contender do the job, into a topic of its own."""
    directory = Path(tempfile.mkdtemp(prefix="ashare-bench-"))
    output = await _output(contender, bootstrap, number)
    environment = os.environ | {
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_INPUT": TICKS,
        "BENCH_OUTPUT": output,
        "BENCH_GROUP": f"{output}-{number}",
        "BENCH_STATE": str(directory / "state"),
        "PYTHONWARNINGS": "ignore",
    }
    os.environ["BENCH_BOOTSTRAP"] = bootstrap
    command = await asyncio.to_thread(contender.command, directory)
    async with EndWatch(bootstrap, output, PARTITIONS) as watch:
        before = await watch.total()
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                # Some keep a state directory where they stand.
                *command,
                env=environment,
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            filled = await watch.fill(before + load.changes, seconds=contender.seconds + 20, quiet=15)
            spent = used(process.pid)
        finally:
            await ended(process, grace=10 if contender.name == OURS else 0)
    found, wrong = await _compare(bootstrap, output, load)
    done = found / load.changes
    if not found:
        wrong = (directory / "log").read_text("utf-8", "replace")[-2000:]
    shutil.rmtree(directory, ignore_errors=True)
    return {
        "ticks/s": filled.rate * load.ticks / load.changes,
        # Over the whole run, start included.
        "µs CPU a tick": spent.cpu / max(1, done * load.ticks) * 1e6,
        "MB": spent.rss,
        "done": round(done, 3),
        "right": not wrong,
        "wrong": wrong[:300] or None,
    }


async def _output(contender: Contender, bootstrap: str, number: int) -> str:
    if contender.name == OURS:
        # It knows its topics and its group by name: made anew for each run.
        await renew(bootstrap, [PRICE_CHANGES, PRICE_CHANGES_STATE], ["ashare-changes"])
        return PRICE_CHANGES
    name = f"bench.{contender.name.split(',')[0].replace(' ', '-').lower()}.{number}"
    await make(bootstrap, name, PARTITIONS)
    return name


async def _compare(bootstrap: str, topic: str, load: Load) -> tuple[int, str]:
    """How many changes came, and the first thing that is wrong with them."""
    emitted: dict[str, list[Emitted]] = defaultdict(list)
    count = 0
    async for chunks in read(bootstrap, topic, fetch_bytes=4 << 20):
        for value in (value for chunk in chunks for value in chunk.values):
            change = orjson.loads(value or b"{}")
            if change.get("diff", 1) > 0:
                count += 1
                emitted[change["code"]].append(_emitted(topic, change, emitted[change["code"]]))
    wrong = ""
    for code, changes in emitted.items():
        expected = load.expected.get(code, [])
        if changes != expected[: len(changes)]:
            at = next(i for i, change in enumerate(changes) if i >= len(expected) or change != expected[i])
            wrong = f"{code}: change {at} is {changes[at]}, not {expected[at] if at < len(expected) else 'there'}"
            break
    if count > load.changes:
        wrong = wrong or f"{count:,} changes, not {load.changes:,}"
    return count, wrong


def _emitted(topic: str, change: dict[str, Any], so_far: list[Emitted]) -> Emitted:
    """Ours is in yuan; Pathway's has no previous price: the one emitted before it."""
    if topic == PRICE_CHANGES:
        previous = change["previous"]
        return round(change["price"] * 10_000), None if previous is None else round(previous * 10_000)
    previous = change["previous"] if "previous" in change else (so_far[-1][0] if so_far else None)
    return change["price"], previous


async def measure(given: argparse.Namespace, result: Result) -> None:
    """Every contender in turn, ``repeats`` times."""
    names = [name.lower() for name in given.only]
    wanted = [c for c in contenders(given.peers) if not names or any(name in c.name.lower() for name in names)]
    missing = [c.name for c in wanted if c.name not in {OURS, KAFKA_STREAMS}]
    if missing and not (given.peers / "bin" / "python").exists():
        raise SystemExit(f"{given.peers} is not there, and {', '.join(missing)} need it: `make peers`, or --peers DIR")
    load = Load(given.ticks)
    async with own_kafka() as bootstrap:
        await load.publish(bootstrap)
        for number in range(given.repeats):
            for contender in wanted:
                result.add(contender.name, await run(contender, bootstrap, load, number))
    ours = result.median(OURS, "ticks/s")
    for name in result.rows:
        theirs = result.median(name, "ticks/s")
        if ours and theirs and name != OURS:
            sys.stderr.write(f"{ours / theirs:6.1f} × {name}\n")


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, ticks=2_000_000, repeats=3)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"), help="the peers' environment")
    given = parser.parse_args()
    given.peers = given.peers.absolute()
    result = begin(given, "changes_job")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

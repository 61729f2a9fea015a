"""The changes job, ours and each peer's, on the same ticks in the same Kafka, one after the other, again and again.

``python -m benchmarks.changes_job``: consume the tick topic from its beginning, decode, hold the last emitted price of
each code, and produce every move larger than 0.05 yuan. A rate is taken from the output topic, from the first change
to the last, so that nobody's start counts; outputs per second are turned into ticks per second by the reference, which
knows how many changes the ticks make. Every output is compared with the reference: same changes, same order per code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.load import THRESHOLD, Emitted, Load
from benchmarks.measured import EndWatch, used
from broker import admin
from broker.reader import ChunkReader
from deploy.embedded import KafkaBroker, free_port
from deploy.embedded.jars import jars, java
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, TICKS, topics

PEERS = Path(__file__).parent / "peers"
PARTITIONS = topics()[TICKS].partitions


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


@dataclass(frozen=True)
class Outcome:
    """What one run of one contender gave.

    Attributes:
        rate: ticks/s.
        cpu: µs of CPU per tick, over the whole run with its start.
        rss: MB at the end.
        right: whether the output equals the reference, as far as it came.
        done: share of the reference's changes that came in time.
        wrong: what was found wrong.
    """

    name: str
    rate: float
    cpu: float
    rss: float
    right: bool
    done: float
    wrong: str = ""

    def line(self) -> str:
        """For people."""
        return (
            f"{self.name:20} {self.rate:>12,.0f} ticks/s  {self.cpu:6.2f} µs CPU a tick  {self.rss:6.0f} MB"
            f"  done {self.done:.1%}  {'right' if self.right else self.wrong}"
        )


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
        Contender("ashare-stream", ours),
        Contender("Kafka Streams", _kafka_streams),
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


async def run(contender: Contender, bootstrap: str, load: Load, number: int) -> Outcome:
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
                *command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            filled = await watch.fill(before + load.changes, seconds=contender.seconds + 20, quiet=15)
            spent = used(process.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    rate = filled.rate * load.ticks / load.changes
    found, wrong = await _compare(bootstrap, output, load)
    done = found / load.changes
    if not found:
        wrong = (directory / "log").read_text("utf-8", "replace")[-2000:]
    shutil.rmtree(directory, ignore_errors=True)
    cpu = spent.cpu / max(1, done * load.ticks) * 1e6
    return Outcome(contender.name, rate, cpu, spent.rss, not wrong, round(done, 4), wrong)


async def _output(contender: Contender, bootstrap: str, number: int) -> str:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        if contender.name == "ashare-stream":
            # It knows its topics and its group by name: made anew for each run.
            await asyncio.to_thread(_forget_group, bootstrap, "ashare-changes")
            await client.delete_topics([PRICE_CHANGES, PRICE_CHANGES_STATE])
            await asyncio.sleep(2)
            await admin.apply(bootstrap)
            return PRICE_CHANGES
        name = f"bench.{contender.name.split(',')[0].replace(' ', '-').lower()}.{number}"
        await client.create_topics([NewTopic(name, PARTITIONS, 1)])
        await asyncio.sleep(1)
    finally:
        await client.close()
    return name


def _forget_group(bootstrap: str, group: str) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap})
    with contextlib.suppress(KafkaException):  # the first run's group is not there yet
        client.delete_consumer_groups([group], request_timeout=10)[group].result(timeout=20)


async def _compare(bootstrap: str, topic: str, load: Load) -> tuple[int, str]:
    """How many changes came, and the first thing that is wrong with them."""
    emitted: dict[str, list[Emitted]] = defaultdict(list)
    count = 0
    async with ChunkReader(bootstrap, client_id="bench-compare", fetch_bytes=4 << 20) as reader:
        partitions = await reader.partitions(topic)
        begins, ends = await reader.begins(partitions), await reader.ends(partitions)
        reader.assign({tp: (begins[tp], ends[tp]) for tp in partitions})
        while chunks := await reader.fetch():
            for chunk in chunks:
                for value in chunk.values:
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


async def measure(ticks: int, repeats: int, names: Sequence[str], peers: Path) -> list[Outcome]:
    """Every contender in turn, ``repeats`` times."""
    wanted = [c for c in contenders(peers) if not names or any(n.lower() in c.name.lower() for n in names)]
    load = Load(ticks)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="ashare-bench-kafka-") as directory:
        kafka = KafkaBroker(Path(directory))
        await asyncio.to_thread(kafka.start)
        try:
            await admin.apply(kafka.bootstrap)
            begun = time.monotonic()
            await load.publish(kafka.bootstrap)
            say(f"{ticks:,} ticks in Kafka after {time.monotonic() - begun:.1f} s, {load.changes:,} changes are right")
            for number in range(repeats):
                for contender in wanted:
                    outcome = await run(contender, kafka.bootstrap, load, number)
                    outcomes.append(outcome)
                    say(outcome.line())
        finally:
            await asyncio.to_thread(kafka.stop)
    return outcomes


def say(text: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Print the medians as a table, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"), help="the peers' environment")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    outcomes = asyncio.run(measure(given.ticks, given.repeats, given.only, given.peers))
    if given.json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
        return
    by_name: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_name[outcome.name].append(outcome)
    ours = statistics.median(o.rate for o in by_name.get("ashare-stream", outcomes))
    for name, runs in by_name.items():
        rates = sorted(o.rate for o in runs)
        rate = statistics.median(rates)
        verdict = "right" if all(o.right for o in runs) else "WRONG"
        ratio = ours / rate if rate else 0
        sys.stdout.write(
            f"{name:20} {rate:>10,.0f} ticks/s ({rates[0]:,.0f} to {rates[-1]:,.0f})  {ratio:5.1f} ×"
            f"  {statistics.median(o.cpu for o in runs):6.2f} µs  {verdict}\n"
        )


if __name__ == "__main__":
    main()

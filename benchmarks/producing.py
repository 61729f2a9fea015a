"""From a socket into the tick topic: programs that take a feed's ticks to Kafka, measured by what the topic gets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import EndWatch, ended, used
from schemas.topics import TICKS, topics


@dataclass(frozen=True)
class Recorder:
    """A program that subscribes the feed at ``BENCH_FEED`` and produces to ``BENCH_BOOTSTRAP``.

    Attributes:
        ours: it is ``ashare produce``, which is told by flags.
        more: flags of it.
    """

    name: str
    module: str
    ours: bool = False
    more: Sequence[str] = ()

    def command(self, bootstrap: str, feed: str) -> Sequence[str]:
        """What starts it."""
        if not self.ours:
            return (sys.executable, "-m", self.module)
        told = ("--bootstrap", bootstrap, "--url", feed, "--symbols", "*", "--own-clock", *self.more)
        return (sys.executable, "-m", self.module, "produce", *told)


OURS = Recorder("ashare-stream", "cli", ours=True)
RECORDERS = (
    OURS,
    Recorder("confluent-kafka, produce a tick", "benchmarks.peers.confluent_recorder"),
    Recorder("aiokafka, send a tick", "benchmarks.peers.send_recorder"),
    Recorder("aiokafka, send_and_wait a tick", "benchmarks.peers.wait_recorder"),
)


@dataclass(frozen=True)
class Produced:
    """What one run gave.

    Attributes:
        rate: records/s in the topic, from the first to the last.
        cpu: µs of the program's CPU per record, its start left out.
        rss: MB at the end.
        records: that came in time.
    """

    rate: float
    cpu: float
    rss: float
    records: int


@contextlib.asynccontextmanager
async def feed(ticks: int, per_frame: int, codes: int = 5_400) -> AsyncIterator[tuple[str, Process]]:
    """A blaster that waits for its client: its address, and the process to tell and to listen to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.blaster", "--ticks", str(ticks), "--ticks-per-frame", str(per_frame)),
        *("--codes", str(codes)),
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        yield f"ws://127.0.0.1:{await line(process)}", process
    finally:
        await ended(process)


async def line(process: Process) -> str:
    """The next line that a process says.

    Raises:
        RuntimeError: it said nothing.
    """
    assert process.stdout is not None
    async with asyncio.timeout(120):
        said = (await process.stdout.readline()).decode().strip()
    if not said:
        raise RuntimeError("the feed ended before it said anything")
    return said


def go(process: Process) -> None:
    """Let the blaster push."""
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def produce(
    recorder: Recorder, bootstrap: str, ticks: int, per_frame: int, *, seconds: float = 20.0, codes: int = 5_400
) -> Produced:
    """Let one program take so many ticks, or as many as it gets done in time, into the tick topic.

    Raises:
        RuntimeError: it did not subscribe; the text is what it said.
    """
    with tempfile.TemporaryFile() as log:
        async with (
            feed(ticks, per_frame, codes) as (address, pushing),
            EndWatch(bootstrap, TICKS, topics()[TICKS].partitions) as watch,
        ):
            before = await watch.total()
            process = await asyncio.create_subprocess_exec(
                *recorder.command(bootstrap, address),
                env=os.environ | {"BENCH_BOOTSTRAP": bootstrap, "BENCH_FEED": address, "BENCH_OUTPUT": TICKS},
                cwd=Path(__file__).parents[1],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                await _subscribed(pushing, process, log.name)
                start = used(process.pid)
                go(pushing)
                filled = await watch.fill(before + ticks, seconds=seconds, quiet=10)
                spent = used(process.pid)
            except (TimeoutError, RuntimeError) as error:
                log.seek(0)
                said = log.read().decode("utf-8", "replace")[-1000:]
                raise RuntimeError(f"{recorder.name} did not subscribe: {said}") from error
            finally:
                await ended(process)
    records = filled.records - before
    return Produced(filled.rate, (spent.cpu - start.cpu) / max(1, records) * 1e6, spent.rss, records)


async def _subscribed(pushing: Process, process: Process, name: object) -> None:
    waiting = [asyncio.create_task(line(pushing)), asyncio.create_task(process.wait())]
    done, _ = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if waiting[0] not in done:
        raise RuntimeError(name)

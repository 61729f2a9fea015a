"""What archiving and reading an archive cost: rows/s, memory, bytes on disk, on a real broker.

    python -m benchmarks.archive --ticks 3000000

The parts are measured in processes of their own; memory is the most that a process was seen to use (RSS).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from ashare_client.archive import Archive
from benchmarks.kafka import check_whole
from benchmarks.load import Load
from benchmarks.results import Result, begin, finish, options
from broker import admin
from consumers.archive.kinds import kind_of
from consumers.archive.run import Request, from_log
from consumers.archive.sql import query as ask
from deploy.embedded import KafkaBroker
from schemas.topics import TICKS


def close(bootstrap: str, directory: str) -> int:
    """`ashare archive`: rows that it added."""
    request = Request(Path(directory), TICKS, kind_of(TICKS), unfinished=True)
    return sum(day.rows for day in asyncio.run(from_log(request, bootstrap)))


def read(directory: str) -> int:
    """All records of all partitions, one after the other."""
    archive = Archive(directory)
    return sum(
        1
        for partition, spans in archive.spans(TICKS).items()
        for span in spans
        for batch in archive.read(TICKS, partition, *span)
        for _ in archive.records(TICKS, batch)
    )


def read_at_once(directory: str) -> int:
    """All records, a batch of each partition in turn, as a replay merges them."""
    archive = Archive(directory)
    rows = 0
    readers = [archive.read(TICKS, p, spans[0].start, spans[-1].end) for p, spans in archive.spans(TICKS).items()]
    while readers:
        for reader in list(readers):
            batch = next(reader, None)
            if batch is None:
                readers.remove(reader)
            else:
                for start in range(0, batch.num_rows, 4096):
                    rows += sum(1 for _ in archive.records(TICKS, batch.slice(start, 4096)))
    return rows


def query(directory: str) -> int:
    """`ashare store query`: bars of a code, and a count of everything."""
    with ask(Path(directory), None, "SELECT count(*), sum(volume) FROM ticks") as result:
        rows = int(next(result.rows)[0])
    with ask(Path(directory), None, "SELECT max(price) FROM ticks WHERE code = '600519'") as result:
        next(result.rows)
    return rows


def measured(result: Result, name: str, work: Callable[..., int], *arguments: str) -> None:
    """Do it in a process of its own and note rows/s, CPU and memory."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    rows, seconds, cpu, megabytes = ours.recv()
    process.join()
    result.add(name, {"rows/s": rows / seconds, "µs CPU a row": cpu / rows * 1e6, "MB": megabytes})


def _child(pipe: Connection, work: Callable[..., int], arguments: tuple[str, ...]) -> None:
    begun, used = time.perf_counter(), time.process_time()
    rows = work(*arguments)
    pipe.send((rows, time.perf_counter() - begun, time.process_time() - used, _most_memory()))


def _most_memory() -> float:
    """MB; the kernel's own figure of this process (getrusage's is its parent's, where that was larger)."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def main() -> None:
    """Load a topic of a broker of its own, archive it, read it."""
    given = options(__doc__, ticks=3_000_000).parse_args()
    result = begin(given, "archive")
    with tempfile.TemporaryDirectory(prefix="ashare-bench-") as root, KafkaBroker(Path(root) / "kafka") as broker:
        asyncio.run(admin.apply(broker.bootstrap))
        asyncio.run(Load(given.ticks).publish(broker.bootstrap))
        directory = str(Path(root) / "archive")
        measured(result, "topic to archive", close, broker.bootstrap, directory)
        files = list(Path(directory).rglob("*.parquet"))
        size = sum(path.stat().st_size for path in files)
        measured(result, "archive, by partition", read, directory)
        measured(result, "archive, all partitions", read_at_once, directory)
        measured(result, "SQL", query, directory)
        asyncio.run(check_whole(broker.bootstrap))
        result.add("on disk", {"bytes a tick": size / given.ticks, "parts": len(files)})
    finish(result, given)


if __name__ == "__main__":
    main()

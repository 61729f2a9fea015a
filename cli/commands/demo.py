"""``ashare demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import asyncio

    from cli.live import Status
    from deploy.local.stack import Stack

_STOP_SECONDS = 8.5
"""All parts are gone by then, those that take their time by SIGKILL: Ctrl-C ends the demo in under ten seconds."""

_LIMIT_BYTES = 4 << 30
_SIZE_SECONDS = 30.0

_OPENING = 400.0
"""Ticks/s of the market's own pace, at most."""


def command(
    *,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="where topics, ticks and logs are kept")] = Path(
        "data/demo"
    ),
    rate: Annotated[
        str, typer.Option("--rate", metavar="N|opening", help="ticks a second, or 'opening': 300-400 that calm down")
    ] = "opening",
    threshold: Annotated[
        str, typer.Option("--threshold", metavar="THRESHOLD", help="0.05 (yuan), 2ticks or 50bp")
    ] = "0.01",
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, metavar="SECONDS", help="end by itself after so long")
    ] = None,
) -> None:
    """Run the whole pipeline on this machine, until Ctrl-C.

    Shows a live status. Kafka, a simulated market on a WebSocket, the producer, a worker with its store, and the
    gateway with its page: each its own process, with nothing between them but the socket and Kafka. It ends by itself
    when its data takes 4 GiB.

    Example: ashare demo --rate 2000 --threshold 0.05
    """
    import signal
    import sys

    from deploy.local.stack import PartError, Plan, Stack

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    stack = Stack(Plan(data, ["--rate", rate], threshold=threshold, usual_ports=True, gateway=True))
    failure: PartError | None = None
    last: Status | None = None
    try:
        stack.start(lambda text: print(f"{text} …", file=sys.stderr, flush=True))
        last = _watch(stack, seconds, float(rate) if rate.replace(".", "", 1).isdecimal() else _OPENING)
    except PartError as error:
        failure = error
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        print("stopping …", file=sys.stderr, flush=True)
        stack.stop(_STOP_SECONDS)
    if failure is not None:
        print(f"ashare: the demo has ended: {failure}", file=sys.stderr)
        raise typer.Exit(1)
    if last is not None:
        print(_ended(last, stack))


def _ended(last: Status, stack: Stack) -> str:
    """What came of the demo, where it lies, and what can be done with it."""
    sql = "SELECT code, count(*) AS ticks, max(price) AS high FROM ticks GROUP BY code"
    return "\n".join(
        [
            f"{last.ticks:,} ticks came in, {last.stored:,} were stored, {last.changes:,} price changes came out",
            f"ticks  {stack.store_directory}/ticks-*.sqlite",
            f"topics {stack.plan.directory}/kafka",
            f"logs   {stack.logs}",
            "next:",
            f'  ashare store query --store {stack.store_url} "{sql}"',
            "  ashare verify --rate 5000 --seconds 20",
        ]
    )


def _watch(stack: Stack, seconds: float | None, rate: float) -> Status | None:
    """Feed the pipeline and show its status until Ctrl-C, SIGTERM or the end of ``seconds``; gives the last status."""
    import asyncio
    import signal

    from cli.live import Meter, show

    async def watch() -> Status | None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with Meter(stack.bootstrap, stack.workers, rate) as meter:
            stack.feed()
            if seconds is not None:
                loop.call_later(seconds, stop.set)
            full = asyncio.create_task(_full(stack.plan.directory, stop))
            try:
                return await show(meter, _where(stack), stack.check, stop)
            finally:
                full.cancel()

    return asyncio.run(watch())


async def _full(directory: Path, stop: asyncio.Event) -> None:
    """End the demo when its data takes more than it may."""
    import asyncio
    import sys

    while await asyncio.to_thread(taken, directory) < _LIMIT_BYTES:  # noqa: ASYNC110 - files
        await asyncio.sleep(_SIZE_SECONDS)
    said = f"ashare: {directory} takes {_LIMIT_BYTES >> 30} GiB, which is the most: remove it to run the demo again"
    print(said, file=sys.stderr, flush=True)
    stop.set()


def taken(directory: Path) -> int:
    """Bytes that a directory's files take on the disk; files that go meanwhile count nothing."""
    import contextlib

    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            total += found.st_blocks * 512
    return total


def _where(stack: Stack) -> list[tuple[str, str]]:
    """What is to be found where, as lines to copy."""
    from cli.settings import default

    broker = "" if stack.bootstrap == default("bootstrap") else f" --bootstrap {stack.bootstrap}"
    worker = stack.workers[0]
    return [
        ("page", stack.page_url),
        ("topics", f"ashare tail price-changes{broker}"),
        ("", f"ashare topics describe{broker}"),
        ("kcat", rf"kcat -C -b {stack.bootstrap} -t ashare.price-changes.v1 -o end -f '%k %s\n'"),
        ("snapshots", f"{worker}/snapshots/600519"),
        ("store", f"{stack.store_directory}/ticks-*.sqlite"),
        ("", f'ashare store query --store {stack.store_url} "SELECT * FROM ticks LIMIT 10"'),  # noqa: S608 - to copy
        ("feed", stack.feed_url),
        ("logs", str(stack.logs)),
    ]

"""The whole pipeline, from the socket to store and price changes, rate by rate, until it no longer keeps up.

``python -m benchmarks.pipeline``: for each rate a run of ``ashare verify``, which starts the stack, pushes, and
compares everything that came out with what went in; beside it, what every process used. With ``--until-behind`` it goes
on above the last rate, in steps of a quarter. Its latencies begin with the first tick that a cold pipeline ever sees;
``benchmarks.latency`` has those of one that runs. Nothing else should run meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from benchmarks.results import Result, Value, begin, finish, options
from benchmarks.running import shares, uses
from benchmarks.working import status

RATES = (400, 5_000, 10_000, 30_000, 50_000, 100_000)
_MOST = 400_000
_KEEPING_UP = 0.93
"""Stored over pushed, the tail after the last tick included; below it the pipeline is behind."""
_PATIENCE = 240.0


async def step(rate: int, per_frame: int, given: Namespace) -> dict[str, Value]:
    """One rate.

    Raises:
        RuntimeError: the check gave no verdict.
    """
    more = ["--codes", str(given.codes)] if given.codes else []
    verify = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "verify", "--json", "--rate", str(rate), "--seconds", f"{given.seconds:g}"),
        *("--ticks-per-frame", str(per_frame), *more, *given.more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer = asyncio.create_task(verify.communicate())
    looking = asyncio.create_task(_looked(verify.pid, given.seconds))
    try:
        # Pushing, draining and comparing take longer than pushing alone.
        output, said = await asyncio.wait_for(answer, given.seconds * 6 + _PATIENCE)
    except TimeoutError:
        verify.terminate()
        raise RuntimeError(f"ashare verify gave no verdict on {rate} ticks/s") from None
    finally:
        looking.cancel()
    looked = (await asyncio.gather(looking, return_exceptions=True))[0]
    try:
        verdict = json.loads(output)
    except json.JSONDecodeError as error:
        raise RuntimeError(f"ashare verify gave no verdict: {said.decode(errors='replace')[-1000:]}") from error
    late = verdict["latency_ms"]
    return {
        "pushed/s": verdict["rate_sent"],
        "stored/s": verdict["rate_stored"],
        "ok": verdict["ok"],
        "p50 ms": late["p50"],
        "p99 ms": late["p99"],
        "max ms": late["max"],
        "error": verdict["error"] and verdict["error"][:300],
        **(looked if isinstance(looked, dict) else {}),
    }


async def _looked(root: int, seconds: float) -> dict[str, Value]:
    """CPU (% of a core) and memory (MB) of every process in the middle of the run, and the worker's chunks."""
    while "producer" not in uses(root):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.2)
    await asyncio.sleep(seconds * 0.25)
    port = _web_port(root)
    first, then, at = uses(root), await status(port), time.monotonic()
    await asyncio.sleep(seconds * 0.5)
    second, now, passed = uses(root), await status(port), time.monotonic() - at
    looked: dict[str, Value] = {f"CPU % {role}": share for role, share in shares(first, second, passed).items()}
    looked |= {f"MB {role}": round(second[role][1]) for role in sorted(second)}
    if then and now:
        handled, chunks = (_of_all(now, name) - _of_all(then, name) for name in ("handled", "chunks"))
        looked |= {"ticks a chunk": handled / chunks} if chunks > 0 else {}
    return looked


def _of_all(worker: dict[str, Any], counter: str) -> int:
    """A counter's sum over a worker's agents."""
    return sum(agent[counter] for agent in worker["agents"].values())


def _web_port(root: int) -> int:
    for process in psutil.Process(root).children(recursive=True):
        line = process.cmdline()
        if "--web-port" in line:
            return int(line[line.index("--web-port") + 1])
    return 0


def _rates(asked: Sequence[int]) -> Iterator[int]:
    """Those asked for, then further ones."""
    yield from asked
    rate = asked[-1]
    while (rate := int(round(rate * 1.25, -3))) <= _MOST:
        yield rate


async def climb(given: Namespace, result: Result) -> None:
    """Every rate in turn, the whole ladder as often as asked."""
    for _ in range(given.repeats):
        for rate in _rates(given.rates):
            if rate > given.rates[-1] and not given.until_behind:
                break
            per_frame = given.ticks_per_frame or (1 if rate <= 10_000 else 50)
            row = f"{rate:,} ticks/s; {per_frame} a frame"
            try:
                done = await step(rate, per_frame, given)
            except RuntimeError as error:
                result.add(row, {"ok": False, "error": str(error)[:300]})
                break
            result.add(row, done)
            stored, pushed = done["stored/s"], done["pushed/s"]
            assert isinstance(stored, float | int)
            assert isinstance(pushed, float | int)
            if rate >= given.rates[-1] and (not done["ok"] or stored < _KEEPING_UP * min(rate, pushed)):
                break


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, repeats=1, seconds=20.0)
    parser.add_argument("--rates", nargs="+", type=int, default=list(RATES), help="rising")
    parser.add_argument("--ticks-per-frame", type=int, default=0, help="default: 1 up to 10,000/s, then 50")
    parser.add_argument("--codes", type=int, default=0, help="stocks of the market; default: all")
    parser.add_argument("--until-behind", action="store_true", help="go on above the last rate until it is behind")
    parser.add_argument("more", nargs="*", help="more of ashare verify's options, after --")
    given = parser.parse_args()
    result = begin(given, "pipeline")
    asyncio.run(climb(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

"""What a pipeline costs that has little to do, and whether its memory stays where it is.

``python -m benchmarks.steady``: CPU of every process with no tick at all and at 400 ticks/s, and their memory over ten
minutes at 10,000 ticks/s, looked at every two seconds. Memory is flat when the line through its looks, the first third
left out, rises by less than 2 % of it or 4 MB in that time.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Sequence

from benchmarks.results import Result, Value, begin, finish, options
from benchmarks.running import shares, stack, uses

_LOOK = 2.0
_SETTLE = 15.0
WATCHED = ("producer", "worker", "store")


def rise(looks: Sequence[tuple[float, float]]) -> float:
    """MB by which the line through looks (seconds, MB) rises from the first of them to the last."""
    times, sizes = zip(*looks, strict=True)
    if len(looks) < 2:
        return 0.0
    return float(statistics.linear_regression(times, sizes).slope * (times[-1] - times[0]))


def flat(looks: Sequence[tuple[float, float]]) -> bool:
    """Whether memory stays where it is."""
    settled = looks[len(looks) // 3 :]
    return rise(settled) < max(4.0, 0.02 * statistics.median(size for _, size in settled))


async def _share(seconds: float) -> dict[str, Value]:
    first, at = uses(os.getpid()), time.monotonic()
    await asyncio.sleep(seconds)
    second = uses(os.getpid())
    return {f"CPU % {role}": share for role, share in shares(first, second, time.monotonic() - at).items()}


async def quiet(given: Namespace, result: Result) -> None:
    """CPU with nothing to do, and with little."""
    async with stack("--rate", "400", "--ticks-per-frame", "1") as running:
        await asyncio.sleep(_SETTLE)
        for _ in range(given.repeats):
            result.add("no tick at all", await _share(given.look))
        running.feed()
        await asyncio.sleep(_SETTLE)
        for _ in range(given.repeats):
            result.add("400 ticks/s, 1 a frame", await _share(given.look))


async def long(given: Namespace, result: Result) -> None:
    """Memory over a long run."""
    async with stack("--rate", str(given.rate), "--ticks-per-frame", "10") as running:
        running.feed()
        await asyncio.sleep(_SETTLE)
        begun = time.monotonic()
        looks: dict[str, list[tuple[float, float]]] = {role: [] for role in WATCHED}
        first = uses(os.getpid())
        while (passed := time.monotonic() - begun) < given.seconds:
            seen = uses(os.getpid())
            for role in WATCHED:
                if role in seen:
                    looks[role].append((passed, seen[role][1]))
            running.check()
            await asyncio.sleep(_LOOK)
        cpu = shares(first, uses(os.getpid()), passed)
    result.add(f"{given.rate:,} ticks/s, 10 a frame", {f"CPU % {role}": share for role, share in cpu.items()})
    for role, some in looks.items():
        settled = some[len(some) // 3 :]
        result.add(
            f"memory of the {role}, {given.seconds:,.0f} s at {given.rate:,} ticks/s",
            {
                "most, MB": max(size for _, size in settled),
                "it rises, MB": round(rise(settled), 1),
                "flat": flat(some),
            },
        )


async def measure(given: Namespace, result: Result) -> None:
    """Both."""
    await quiet(given, result)
    await long(given, result)


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, repeats=3, seconds=600.0)
    parser.add_argument("--rate", type=int, default=10_000, help="ticks a second of the long run")
    parser.add_argument("--look", type=float, default=20.0, help="seconds of one measurement of CPU")
    given = parser.parse_args()
    result = begin(given, "steady")
    asyncio.run(measure(given, result))
    finish(result, given)


if __name__ == "__main__":
    main()

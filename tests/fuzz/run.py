"""``make fuzz``: arbitrary and nearly valid frames into every feed, records into every topic, requests into every HTTP.

Nothing may end, memory stays bounded, and every good tick beside them arrives and is right. Exit code 1 tells what was
found, and the seed that gives it again: ``make fuzz ARGS="--seed 7 --seconds 60"``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tests.fuzz.frames import try_decoders
from tests.fuzz.running import Broken, Fuzz

_DECODERS = 0.2
"""Of the time, for the decoders alone."""
_MOST = 20
"""Findings of the decoders, after which there is enough to mend."""


def fuzz(seed: int, seconds: float, parts: Sequence[str] = ("feeds", "stack")) -> list[str]:
    """Run it; what was found, nothing if all is well."""
    begun = time.monotonic()

    def say(text: str) -> None:
        _print(f"{time.monotonic() - begun:6.1f} s  {text}")

    _print(f"fuzz: --seed {seed} --seconds {seconds:g}")
    found: list[str] = []
    if "feeds" in parts:
        say("frames into every feed's decoder")
        for fault in islice(try_decoders(seed, seconds * _DECODERS), _MOST):
            say(f"FOUND {fault.what}")
            found.append(fault.what)
    if "stack" in parts:
        directory = Path(tempfile.mkdtemp(prefix="ashare-fuzz-"))
        try:
            with Fuzz(directory, seed, say) as running:
                asyncio.run(running.run(seconds * (1 - _DECODERS)))
            say(f"highest memory, MiB: {running.peaks}")
        except Broken as error:
            say(f"FOUND {error}")
            say(f"data and logs are kept in {directory}")
            return [*found, str(error)]
        shutil.rmtree(directory, ignore_errors=True)
    return found


def main() -> int:
    """Read the options, run, tell."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to give, without starts and comparisons")
    parser.add_argument("--seed", type=int, default=None, help="what is given, and in which order; default: drawn")
    parser.add_argument("--only", choices=["feeds", "stack"], action="append", help="one part alone")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    found = fuzz(seed, asked.seconds, asked.only or ("feeds", "stack"))
    _print(f"fuzz: {len(found) or 'nothing'} found with --seed {seed}")
    return 1 if found else 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

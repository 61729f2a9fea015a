"""The whole suite, the most important first, in the time that there is; results into ``docs/performance.md``.

``python -m benchmarks.run``: everything at full length. ``--minutes 25``: everything short, then each benchmark, in
order, at full length where the time suffices; what does not fit at all is left out, and named. ``NAME …`` takes some.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.report import RESULTS, ROOT, write
from benchmarks.results import Result

_FIRST = 3.0
"""Times its estimate, after which a benchmark hangs."""


@dataclass(frozen=True)
class Entry:
    """One benchmark at its two lengths: options and minutes, on two cores."""

    name: str
    full: str
    full_minutes: float
    short: str
    short_minutes: float
    peers: bool = False


SUITE = (
    Entry("changes_job", "", 9, "--ticks 1000000 --repeats 1", 2.5, peers=True),
    Entry("latency", "", 8, "--repeats 2 --seconds 8", 4),
    Entry("pipeline", "--until-behind", 13, "--rates 400 10000 50000 100000 --seconds 10", 4),
    Entry("stages", "", 8, "--ticks 400000 --repeats 1", 2.5),
    Entry("produce_job", "", 6.5, "--ticks 400000 --repeats 1 --seconds 6", 1.5),
    Entry("kafka_client", "", 10, "--ticks 100000 --repeats 1 --seconds 4", 2),
    Entry("limits", "", 2.5, "--ticks 500000 --repeats 2", 1),
    Entry("naive", "", 4, "--repeats 1 --seconds 10", 1.5),
    Entry("steady", "", 14, "--repeats 1 --look 10 --seconds 90", 3.5),
    Entry(
        "sweeps",
        "",
        15.5,
        "--ticks 200000 --repeats 1 --codes 10 5400 50000 --partitions 1 12 64 --ticks-per-frame 1 50 --end-to-end",
        3,
    ),
    Entry("replay_out", "--ticks 5000000", 6, "--ticks 1000000", 2.5),
    Entry("gateway", "", 7, "--clients 10 100 1000 --naive 10 --seconds 8", 2.5),
    Entry("archive", "", 3, "--ticks 1000000", 1),
)


@dataclass(frozen=True)
class Turn:
    """One benchmark as it will be run."""

    entry: Entry
    options: str
    minutes: float


def plan(entries: Sequence[Entry], minutes: float | None) -> tuple[list[Turn], list[str]]:
    """What to run, in order, and the names of what does not fit.

    Args:
        minutes: that there are; ``None`` for as long as it takes.
    """
    if minutes is None:
        return [Turn(entry, entry.full, entry.full_minutes) for entry in entries], []
    chosen: list[Turn] = []
    left = minutes
    for entry in entries:
        if entry.short_minutes <= left:
            chosen.append(Turn(entry, entry.short, entry.short_minutes))
            left -= entry.short_minutes
    taken = {turn.entry.name for turn in chosen}
    for at, turn in enumerate(chosen):
        more = turn.entry.full_minutes - turn.entry.short_minutes
        if more <= left:
            chosen[at] = Turn(turn.entry, turn.entry.full, turn.entry.full_minutes)
            left -= more
    return chosen, [entry.name for entry in entries if entry.name not in taken]


def run(turn: Turn, peers: Path, results: Path) -> bool:
    """Run one benchmark and put its result on the page; whether that went well."""
    file, fresh = results / f"{turn.entry.name}.json", results / f"{turn.entry.name}.new"
    command = [sys.executable, "-m", f"benchmarks.{turn.entry.name}", *shlex.split(turn.options), "--json", str(fresh)]
    if turn.entry.peers:
        command += ["--peers", str(peers)]
    sys.stderr.write(f"\n== {turn.entry.name} {turn.options} (about {turn.minutes:g} minutes)\n")
    sys.stderr.flush()
    fresh.unlink(missing_ok=True)
    # Ctrl-C comes here alone: what is ended is ended with all that it has started.
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(turn.minutes * 60 * _FIRST + 60)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{turn.entry.name} hangs: ended\n")
        code = -1
    finally:
        if process.poll() is None:
            _kill(process)
    if code or not fresh.exists():
        return False
    fresh.replace(file)
    write([Result.load(file)])
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a benchmark and everything below it, whatever sessions that leads."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def main() -> None:
    """Run, and exit with 1 where a benchmark failed."""
    names = [entry.name for entry in SUITE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--minutes", type=float, help="that there are; default: as long as it takes, about 90")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"), help="the peers' environment")
    parser.add_argument("--plan", action="store_true", help="say what would be run, and for how long")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"no benchmark is called {min(unknown)!r}: there are {', '.join(names)}")
    entries = [entry for entry in SUITE if not given.names or entry.name in given.names]
    turns, without = plan(entries, given.minutes)
    for turn in turns if given.plan else ():
        sys.stdout.write(
            f"{turn.minutes:5.1f} min  {shlex.join(('python', '-m', f'benchmarks.{turn.entry.name}'))} {turn.options}\n"
        )
    if without:
        sys.stderr.write(f"left out, for want of time: {', '.join(without)}\n")
    if given.plan:
        return
    if any(turn.entry.peers for turn in turns) and not (given.peers / "bin" / "python").exists():
        raise SystemExit(f"{given.peers} is not there: `make peers` makes it, or name another with --peers")
    begun = time.monotonic()
    failed = [turn.entry.name for turn in turns if not run(turn, given.peers.absolute(), RESULTS)]
    sys.stderr.write(f"\n{len(turns) - len(failed)} benchmarks in {(time.monotonic() - begun) / 60:.0f} minutes\n")
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()

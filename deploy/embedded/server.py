"""A server of ours as a child process: started, known to be ready by its own answer, stopped; never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from deploy.embedded.data import DataDirectory
from schemas import UsageError

HOST = "127.0.0.1"

_LEASH = Path(__file__).with_name("leash.py")
_PORT_ATTEMPTS = 4
_LOOK_SECONDS = 0.05
_TAIL_LINES = 25
_FULL = ("No space left on device", "Disk quota exceeded", "errno=28")


def free_port() -> int:
    """A TCP port that nobody listens on at this moment; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """One embedded server on 127.0.0.1. Not for use from several threads at once."""

    title: ClassVar[str]
    log_name: ClassVar[str]
    port_taken: ClassVar[tuple[str, ...]]
    """What the log says when a port was taken between being chosen and being bound."""

    def __init__(self, data: Path, port: int) -> None:
        """Nothing is started; port 0 takes a free one at the first start and keeps it."""
        self.data = DataDirectory(data, self.log_name)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = port
        self._asked_port = port
        self._leash: int | None = None
        self._log_start = 0

    @abstractmethod
    def _prepare(self, deadline: float) -> None:
        """Write the settings into the (locked) data directory, for ``self.port`` and fresh inner ports."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The program and its arguments; it is run in the data directory."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether this very server, not another on its port, answers a real request; may raise OSError."""

    @property
    def log(self) -> Path:
        """Where the server's log and the JVM's output go."""
        return self.data.log

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self, timeout: float = 90.0) -> Self:
        """Start, and wait until the server answers.

        Args:
            timeout: seconds until it must have answered, not counting the download of its jars.

        Raises:
            UsageError: the data directory is in use, full or not writable; the port is taken; a jar can't be had; the server
                did not come up (with the end of its log).
        """
        if self.running:
            raise RuntimeError(f"{self.title} is already running")
        command_ready = self._asked_port or self.port
        if command_ready and not _bindable(command_ready):
            raise UsageError(f"port {command_ready} is in use: stop what listens there, or give another --port")
        self._fetch()
        deadline = time.monotonic() + timeout
        lock = self.data.claim()
        try:
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                self.port = command_ready or free_port()
                self._prepare(deadline)
                self._spawn(self._command(), lock)
                if self._wait(deadline):
                    return self
                retry = not command_ready and attempt < _PORT_ATTEMPTS and self._said(self.port_taken)
                if not retry:
                    raise UsageError(self._failure())
                self.kill()
            raise AssertionError  # pragma: no cover - the last attempt raises or returns
        except OSError as error:
            self.kill()
            raise self.data.refusal(error) from error
        except BaseException:
            self.kill()
            raise
        finally:
            self.data.release()

    def stop(self, timeout: float = 20.0) -> None:
        """Ask it to end (SIGTERM), kill it if it has not within ``timeout`` seconds. Does nothing if it is not running."""
        if self.process is not None and self.running:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self.process is not None:
            if self.running:
                self.process.kill()
            self.process.wait()
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None

    def failure(self) -> str:
        """Why a server that was running has ended, with the end of its log."""
        return self._failure()

    def __enter__(self) -> Self:
        """Start, unless it runs already."""
        return self if self.running else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    def _fetch(self) -> None:
        """Have the jars at hand, before time starts to count."""
        self._command()

    def _spawn(self, command: Sequence[str], lock: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._log_start = self.log.stat().st_size
        read_end, write_end = os.pipe()
        try:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                    [sys.executable, "-I", "-S", str(_LEASH), str(read_end), *command],
                    cwd=self.data.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(read_end, lock),
                    # Its own session: Ctrl-C goes to the starter, which stops the server in its own order.
                    start_new_session=True,
                )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        self._leash = write_end
        self.data.held_by(self.process.pid)

    def _wait(self, deadline: float) -> bool:
        """Wait for the answer; false when the process ended or the time is up."""
        while self.running and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self._answers():
                    return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _said(self, texts: Sequence[str]) -> bool:
        logged = self.data.logged(self._log_start)
        return any(text in logged for text in texts)

    def _failure(self) -> str:
        logged = self.data.logged(self._log_start)
        tail = "\n".join(f"  | {line}" for line in logged.splitlines()[-_TAIL_LINES:])
        if self.data.full or any(text in logged for text in _FULL):
            return f"{self.title}: {self.data.full_text}; the end of {self.log}:\n{tail}"
        if any(text in logged for text in self.port_taken):
            return f"{self.title}: port {self.port} was taken by another process; the end of {self.log}:\n{tail}"
        what = "did not answer in time" if self.running else f"ended with code {self.process and self.process.returncode}"
        return f"{self.title} {what}; the end of {self.log}:\n{tail}"


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself does: connections of an earlier run in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

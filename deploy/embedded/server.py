"""A server of ours as a child process: started, known to be ready by its own answer, stopped; never left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import random
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
from schemas.errors import cant_listen

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


def steady_ports(count: int) -> list[int]:
    """Ports that nobody listens on, for a server that has to find them free again after a crash.

    No outgoing connection of this machine takes one meanwhile: they lie below those that the system gives out.
    """
    try:
        most = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except OSError:
        most = 32_768
    found: list[int] = []
    for port in random.sample(range(10_000, max(most, 12_000)), 1_000):
        if _bindable(port):
            found.append(port)
        if len(found) == count:
            return found
    raise UsageError(f"there are no {count} free ports between 10000 and {most} on {HOST}")


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
    def address(self) -> str:
        """``127.0.0.1:PORT``, known once started."""
        return f"{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self, timeout: float = 90.0) -> Self:
        """Start, and wait until the server answers.

        Args:
            timeout: seconds until it must have answered, not counting the download of its jars.

        Raises:
            UsageError: the data directory is in use, full or not writable; the port is taken; a jar can't be had; the
                server did not come up (with the end of its log).
        """
        if self.running:
            raise RuntimeError(f"{self.title} is already running")
        command = self._command()  # fetches the jars, before time starts to count
        lock = self.data.claim()
        try:
            self._come_up(command, lock, time.monotonic() + timeout)
        except OSError as error:
            self.kill()
            raise self.data.refusal(error) from error
        except BaseException:
            self.kill()
            raise
        finally:
            self.data.release()
        return self

    def stop(self, timeout: float = 20.0) -> None:
        """Ask it to end (SIGTERM), kill it if it has not within ``timeout`` seconds; nothing if it is not running."""
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

    def wait(self) -> None:
        """Wait until the process ends by itself."""
        if self.process is not None:
            self.process.wait()

    def failure(self) -> str:
        """Why the server did not come up or has ended, with the end of its log."""
        logged = self.data.logged(self._log_start)
        tail = "\n".join(f"  | {line}" for line in logged.splitlines()[-_TAIL_LINES:])
        what = (
            "did not answer in time" if self.running else f"ended with code {self.process and self.process.returncode}"
        )
        if self.data.full or any(text in logged for text in _FULL):
            what = self.data.full_text
        elif any(text in logged for text in self.port_taken):
            what = f"found port {self.port} taken by another process"
        return f"{self.title}: {what}; the end of {self.log}:\n{tail}"

    def __enter__(self) -> Self:
        """Start, unless it runs already."""
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _come_up(self, command: Sequence[str], lock: int, deadline: float) -> None:
        if self.port and not _bindable(self.port):
            raise cant_listen(OSError(errno.EADDRINUSE, ""), HOST, self.port)
        fixed = self.port
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = fixed or free_port()
            self._prepare(deadline)
            self._spawn(command, lock)
            if self._wait(deadline):
                return
            if attempt == _PORT_ATTEMPTS or not self._lost_port(fixed):
                raise UsageError(self.failure())
            self.kill()

    def _spawn(self, command: Sequence[str], lock: int) -> None:
        self._log_start = self.data.turn_log()
        read_end, write_end = os.pipe()
        try:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
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

    def _lost_port(self, fixed: int) -> bool:
        """Whether it failed only because a port that we chose was taken in between."""
        logged = self.data.logged(self._log_start)
        return any(text in logged for text in self.port_taken) and (not fixed or _bindable(fixed))


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself does: connections of an earlier run in TIME_WAIT are not a obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

"""One part of the pipeline as a child process: ``ashare …`` with its own log, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.embedded import leash

_TAIL_LINES = 20
_TAIL_BYTES = 64 << 10
_KILLED = 10.0
_KEPT = frozenset({"ASHARE_KAFKA_CLIENT"})


class PartError(Exception):
    """A part of the pipeline ended by itself, or did not get ready; the text names it and gives the end of its log."""


class Part:
    """A running ``ashare`` command.

    It leads its own session: Ctrl-C in a terminal reaches the starter alone, which stops the parts in order. It dies
    with the starter, even when that is killed (``deploy.embedded.leash``).
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        program: Sequence[str] = ("cli",),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the command.

        Args:
            name: for messages, as "producer".
            arguments: what follows ``ashare``.
            log: the file that takes its output, appended to.
            program: the module that is run as ``ashare``, with what precedes the arguments.
            environment: variables beside ours, for what has no flag.
        """
        self.name = name
        self.log = log
        self.arguments = tuple(arguments)
        read_end, write_end = os.pipe()
        try:
            with log.open("ab") as output:
                self._log_start = output.tell()
                self._process = subprocess.Popen(
                    # -P: a folder named cli where the user stands is not ours.
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        leash.__file__,
                        str(read_end),
                        sys.executable,
                        "-P",
                        "-m",
                        *program,
                        *arguments,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=_environment() | dict(environment or {}),
                    pass_fds=(read_end,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        self._leash: int | None = write_end

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, ``None`` while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """What it has written since it was started, the last 64 KiB at most."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            return log.read().decode(errors="replace")

    def failure(self, what: str) -> PartError:
        """The error that says ``what`` happened to this part, with the end of its log."""
        lines = self.output().splitlines()[-_TAIL_LINES:] or ["(it has written nothing)"]
        tail = "\n".join(f"  | {line}" for line in lines)
        return PartError(f"{self.name} {what}; the end of {self.log}:\n{tail}")

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: it has ended by itself.
        """
        code = self.code
        if code is not None:
            ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended by itself with code {code}"
            raise self.failure(ended)

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.code is None:
            self._process.terminate()

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP), as a machine that is suspended would, until ``resume``."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after ``freeze`` (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self._process.kill()
        self.end(_KILLED)

    def end(self, within: float) -> bool:
        """Wait for it, and kill it after ``within`` seconds; whether it ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(within, 0.0))
        clean = self.code is not None
        if not clean:
            self._process.kill()
            self._process.wait()
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        return clean


def _environment() -> dict[str, str]:
    """Ours without ``ASHARE_*``: the parts are told all by flags, and a stray setting must not reach into a stack.

    But for what says how every client of Kafka works: a stack is started to see it work that way.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_") or name in _KEPT}
    return kept | {"PYTHONUNBUFFERED": "1"}

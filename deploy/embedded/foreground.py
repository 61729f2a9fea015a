"""An embedded server in the foreground of a terminal or a process supervisor."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Never

from deploy.embedded.cluster import KafkaCluster
from deploy.embedded.server import Server
from schemas import UsageError


def run(server: Server | KafkaCluster, name: str) -> None:
    """Start, say ``NAME ready on HOST:PORT`` on stdout, serve until SIGINT or SIGTERM, then stop cleanly.

    On a terminal, a line on stderr says before that it starts, which takes some seconds.

    Raises:
        UsageError: the server did not start, or ended by itself.
    """
    previous = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if sys.stderr.isatty():
            sys.stderr.write(f"starting {server.title} …\n")
            sys.stderr.flush()
        with server:
            sys.stdout.write(f"{name} ready on {server.address}\n")
            sys.stdout.flush()
            server.wait()
            raise UsageError(server.failure())
    except _Leave:
        return
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Leave(BaseException):
    """A signal asked to stop."""


def _leave(number: int, _frame: FrameType | None) -> Never:
    # A second signal must not break the orderly end that the first one began; SIGKILL remains, and ends both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Leave(number)

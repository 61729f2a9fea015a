"""Stuck is worse than dead: a thread that sees a worker with lag and no progress, says so, and ends the process.

A thread of its own, so that a blocked event loop is seen too. Health turns red first; a store that is down is named
there and does not end the process, since it is retried in place and nothing is lost by waiting.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Never

log = logging.getLogger(__name__)

EXIT_STUCK = 70
_PERIOD = 1.0

Check = Callable[[float], str | None]
"""Given the monotonic time, says what is wrong, or ``None``."""


def fatal(reason: str) -> Never:
    """End the process at once, without a graceful stop that would commit what was not done."""
    log.critical("ending the process: %s", reason)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(EXIT_STUCK)


class Watchdog:
    """Runs its checks each second; one that complains for its patience without a break ends the process."""

    def __init__(self, checks: Mapping[str, tuple[Check, float]], *, end: Callable[[str], object] = fatal) -> None:
        """A watchdog that is not running yet.

        Args:
            checks: by name, what to ask and how many seconds it may complain.
        """
        self._checks = checks
        self._end = end
        self._since: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self.complaints: dict[str, str] = {}

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def look(self, now: float) -> None:
        """Run the checks once, at the monotonic time ``now``."""
        complaints: dict[str, str] = {}
        for name, (check, patience) in self._checks.items():
            complaint = check(now)
            if complaint is None:
                self._since.pop(name, None)
                continue
            since = self._since.setdefault(name, now)
            complaints[name] = complaint
            if now - since > patience:
                self._end(f"{name}: {complaint}, for {now - since:.0f} s")
        self.complaints = complaints

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            try:
                self.look(time.monotonic())
            except Exception:
                log.exception("a watchdog check failed")

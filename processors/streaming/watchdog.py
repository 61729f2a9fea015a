"""Stuck is worse than dead: a thread that sees a worker with lag and no progress, says so, and ends the process.

A thread of its own, so that a blocked event loop is seen too. One call into C that keeps the interpreter's lock stops
that thread as well; a timer below Python, which the thread sets anew each second, ends the process then. Health turns
red first; a store that is down is named there and does not end the process, since it is retried in place and nothing is
lost by waiting.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Never

log = logging.getLogger(__name__)

EXIT_STUCK = 70
STARVED_SECONDS = 120.0
"""How long the watchdog itself may be kept from looking."""
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
    """Runs its checks each second; one that complains for its patience without a break ends the process.

    A check that fails complains of that, and keeps none of the others from being run.
    """

    def __init__(
        self,
        checks: Mapping[str, tuple[Check, float]],
        *,
        end: Callable[[str], object] = fatal,
        starved: float = STARVED_SECONDS,
    ) -> None:
        """A watchdog that is not running yet.

        Args:
            checks: by name, what to ask and how many seconds it may complain.
            starved: seconds for which the watchdog may be kept from looking before the process ends.
        """
        self._starved = starved
        self._checks = checks
        self._end = end
        self._since: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self.complaints: dict[str, str] = {}

    def ages(self, now: float) -> dict[str, float]:
        """For how many seconds each check has complained without a break, 0 for one that does not."""
        since = self._since.copy()
        return {name: max(0.0, now - since[name]) if name in since else 0.0 for name in self._checks}

    def start(self) -> None:
        """Begin to watch."""
        self._arm()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        faulthandler.cancel_dump_traceback_later()

    def _arm(self) -> None:
        """Have the process ended, and say where it is, unless this is called again in time."""
        # Without a stderr that is a file there is nowhere to say it, and no timer.
        with contextlib.suppress(ValueError, AttributeError, RuntimeError, io.UnsupportedOperation):
            faulthandler.dump_traceback_later(self._starved, exit=True)

    def look(self, now: float) -> None:
        """Run the checks once, at the monotonic time ``now``."""
        complaints: dict[str, str] = {}
        for name, (check, patience) in self._checks.items():
            complaint = self._asked(name, check, now)
            if complaint is None:
                self._since.pop(name, None)
                continue
            since = self._since.setdefault(name, now)
            complaints[name] = complaint
            if now - since > patience:
                self._end(f"{name}: {complaint}, for {now - since:.0f} s")
        self.complaints = complaints

    def _asked(self, name: str, check: Check, now: float) -> str | None:
        try:
            return check(now)
        except Exception as error:
            if name not in self._since:
                log.exception("the watchdog's check of %s failed", name)
            return f"can't be checked: {error!r}"

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._arm()
            if self._stop.is_set():  # between the two
                faulthandler.cancel_dump_traceback_later()
                return
            self.look(time.monotonic())

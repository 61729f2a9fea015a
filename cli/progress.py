"""How far a command is, on standard error: a bar on a terminal, else a plain line every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from cli.terminal import live
from schemas.outside import printable

EVERY = 5.0
"""Seconds between two plain lines."""
_STEP = 0.2
"""Seconds between two looks at the clock, for a bar that shows time."""


@contextmanager
def progress(what: str, unit: str, *, every: float = EVERY) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is to be called with what is done and what there is, as often as one likes."""
    if not live(sys.stderr):
        yield _plain(what, unit, every)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(24), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str, unit: str, every: float) -> Callable[[int, int], None]:
    begun = said = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < every:
            return
        said = now
        to_go = f", {left((total - done) * (now - begun) / done)} left" if done else ""
        _write(f"{what}: {done:,} of {total:,} {unit}{to_go}")

    return told


def left(seconds: float) -> str:
    """A time to go, as MM:SS or H:MM:SS."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Steps:
    """The steps of a command, a line each; one that lasts for a known time has a bar, or a line now and then.

    A context manager: the bar is gone when it ends.
    """

    def __init__(self, *, quiet: bool = False, every: float = EVERY) -> None:
        """Show nothing yet, and if ``quiet`` nothing at all; ``every`` as ``EVERY``."""
        self._quiet = quiet
        self._every = every
        self._ended = threading.Event()
        self._showing: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bar."""
        self._end()

    def __call__(self, text: str) -> None:
        """Begin a step."""
        self._end()
        if not self._quiet:
            _write(f"{text} …")

    def lasting(self, text: str, seconds: float) -> None:
        """Begin a step that takes about so many seconds."""
        self(text)
        if not self._quiet:
            self._ended = threading.Event()
            self._showing = threading.Thread(target=self._show, args=(seconds, self._ended), daemon=True)
            self._showing.start()

    def _show(self, seconds: float, ended: threading.Event) -> None:
        begun = time.monotonic()
        if not live(sys.stderr):
            while not ended.wait(self._every):
                passed = time.monotonic() - begun
                if passed < seconds:
                    _write(f"{passed:,.0f} of {seconds:,.0f} s, {left(seconds - passed)} left")
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(24), TextColumn("{task.completed:,.0f} of {task.total:,.0f} s, {task.fields[left]} left"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=seconds, left=left(seconds))
            while not ended.wait(_STEP):
                passed = min(time.monotonic() - begun, seconds)
                bar.update(task, completed=passed, left=left(seconds - passed))

    def _end(self) -> None:
        self._ended.set()
        if self._showing is not None:
            self._showing.join()
            self._showing = None


def _write(text: str) -> None:
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()

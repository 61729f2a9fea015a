"""Keys of a terminal, as they are pressed: space, arrows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator

from consumers.replay.controls import Controls

HELP = "space: pause · ←/→: 1 minute · ↓/↑: 10 minutes · Ctrl-C: end"


def interactive() -> bool:
    """Whether somebody sits there: standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextlib.contextmanager
def keyboard(controls: Controls) -> Iterator[None]:
    """Hand every key to the controls, while the block runs; Ctrl-C stays what it is."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: controls.press(os.read(descriptor, 64)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

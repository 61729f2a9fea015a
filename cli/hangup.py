"""A terminal that is closed, or a SIGHUP from anywhere, ends every part as SIGTERM does: in order.

Installed once, before any command runs, so that no part has to know of it: what a part does at SIGTERM, it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from types import FrameType


def as_sigterm() -> None:
    """Take SIGHUP for SIGTERM from now on, unless it is ignored: who starts a part by ``nohup`` wants it to stay."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return
    terminals = [number for number in (0, 1, 2) if os.isatty(number)]
    heard = False

    def hung_up(_number: int, _frame: FrameType | None) -> None:
        # A shell sends it and the kernel again when the shell ends: once is enough, or the second cut the end short.
        # It may have come already, so that ignoring it is too late.
        nonlocal heard
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if heard:
            return
        heard = True
        _leave(terminals)
        _raise_sigterm()

    signal.signal(signal.SIGHUP, hung_up)


def _raise_sigterm() -> None:
    """Raise it from the running loop, where there is one, and not from inside a signal's handler.

    uvloop runs the handlers before it looks at what it was woken for: a signal that one of them raises is seen there,
    and again by the byte that it leaves in the loop's wake-up pipe, so that its callback would run twice.
    """
    try:
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(signal.raise_signal, signal.SIGTERM)
    except RuntimeError:  # no loop runs, or it is closed
        signal.raise_signal(signal.SIGTERM)


def _leave(terminals: list[int]) -> None:
    """Put nothing in the place of a terminal that is gone: writing to it would raise, and break the orderly end."""
    for number in terminals:
        if not os.isatty(number):
            with contextlib.suppress(OSError):
                nothing = os.open(os.devnull, os.O_RDWR)
                os.dup2(nothing, number)
                os.close(nothing)

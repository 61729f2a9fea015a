"""What somebody at the keyboard wants of a running replay. Pure."""

from __future__ import annotations

import asyncio

STEPS_MS = {"left": -60_000, "right": 60_000, "down": -600_000, "up": 600_000}
"""By how much of the records' time each arrow key jumps."""
_KEYS = {
    b" ": "space",
    b"\x1b[D": "left",
    b"\x1b[C": "right",
    b"\x1b[B": "down",
    b"\x1b[A": "up",
    b"\x1bOD": "left",
    b"\x1bOC": "right",
    b"\x1bOB": "down",
    b"\x1bOA": "up",
}


class Controls:
    """Pause and jumps; ``woken`` is set whenever something changed.

    Attributes:
        jump: ms of the records' time to jump by, 0 for none.
        note: why the last key did nothing.
    """

    def __init__(self, *, seekable: bool) -> None:
        """Running, nowhere to jump."""
        self.paused = False
        self.jump = 0
        self.note = ""
        self.woken = asyncio.Event()
        self._seekable = seekable

    def press(self, typed: bytes) -> None:
        """Follow what was typed: any number of keys, as a terminal sends them; unknown ones are ignored."""
        self.note = ""
        while typed:
            key = next((key for key in _KEYS if typed.startswith(key)), None)
            if key is not None:
                self._follow(_KEYS[key])
            typed = typed[len(key or b".") :]
        self.woken.set()

    def _follow(self, name: str) -> None:
        if name == "space":
            self.paused = not self.paused
        elif self._seekable:
            self.jump += STEPS_MS[name]
        else:
            self.note = "no jumps: a file or topic, and what a job makes of the ticks, must hold the range as it is"

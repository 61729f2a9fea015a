"""A terminal of a given size, for a command to write to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def shown(program: list[str], columns: int, rows: int = 24, /, **environment: str) -> str:
    """What a Python program writes to a terminal, on standard output and standard error; its lines end as in a file."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASHARE_", "COLUMNS", "LINES"))}
    kept.pop("NO_COLOR", None)
    text = b""
    with subprocess.Popen(
        [sys.executable, *program],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | environment,
    ):
        os.close(theirs)
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 65536):
                text += part
    os.close(ours)
    return text.decode().replace("\r\n", "\n")

"""A server's data directory, held by one server at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

from schemas import UsageError

SPARE_BYTES = 64 << 20
"""Below this much free space a server is not started, and one that failed is said to have failed for it."""

LOG_BYTES = 8 << 20

_DYING_SECONDS = 1.0
"""How long a process that was just killed may take to let go of its lock."""


class DataDirectory:
    """The directory, its lock and its log.

    The lock is an ``flock`` that the server inherits: it lasts exactly as long as the server's process, whatever became
    of the one that started it.
    """

    def __init__(self, path: Path, log: str) -> None:
        """Nothing is touched before ``claim``."""
        self.path = path.absolute()
        self.log = self.path / log
        self._lock: int | None = None

    def claim(self) -> int:
        """Make the directory if need be and lock it; the lock's descriptor, for the server to inherit.

        Raises:
            UsageError: another server has it, it can't be written, or its disk is full.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self.refusal(error) from error
        try:
            _lock(lock)
        except OSError as error:
            holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise self.refusal(error) from error
            raise UsageError(f"{self.path} is in use by pid {holder}: stop that one, or give another --data") from error
        self._lock = lock
        if self.full:
            self.release()
            raise UsageError(self.full_text)
        return lock

    def held_by(self, pid: int) -> None:
        """Note whose the lock is, for whoever is refused."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{pid}\n".encode(), 0)

    def release(self) -> None:
        """Let go; a server that inherited the lock keeps it until its own end."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def full(self) -> bool:
        """Whether the disk has no room left to speak of."""
        return shutil.disk_usage(self.path).free < SPARE_BYTES

    @property
    def full_text(self) -> str:
        """What to say of a full disk."""
        free = shutil.disk_usage(self.path).free
        return f"the disk of {self.path} is full ({free >> 20} MiB free): make room, or give --data on another disk"

    def refusal(self, error: OSError) -> UsageError:
        """What to say of a directory that the system refuses."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return UsageError(self.full_text)
        return UsageError(f"{self.path} can't be used as a data directory: {error.strerror}")

    def turn_log(self) -> int:
        """Put a log that has grown large aside, once; where the next line will stand."""
        try:
            size = self.log.stat().st_size
        except FileNotFoundError:
            return 0
        if size < LOG_BYTES:
            return size
        self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        return 0

    def logged(self, since: int = 0) -> str:
        """What the log says from a byte offset on, its last 256 KiB at most."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(since if since <= size else 0, size - (256 << 10)))
                return log.read().decode(errors="replace")
        except OSError:
            return ""


def _lock(descriptor: int) -> None:
    """Lock, or raise OSError when another process still has the lock after a moment."""
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return

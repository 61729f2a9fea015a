"""Where the archive lies, as flag or environment say, else ``data/archive``."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path("data/archive")


def directory(given: Path | None) -> Path:
    """The archive's directory, which need not exist."""
    return given or DIRECTORY


def existing(given: Path | None) -> Path | None:
    """The directory that was named, or the usual one where there is one."""
    return given or (DIRECTORY if DIRECTORY.is_dir() else None)

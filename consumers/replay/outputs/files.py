"""A file that is whole or not there: written beside its place, and renamed when all is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from schemas import UsageError


class WholeFile:
    """A new file. What is written goes to ``NAME.part`` until it is complete."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Checks that the file can be made.

        Raises:
            UsageError: it is there already, or its folder is not.
        """
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self._overwrite = overwrite
        self._file: BinaryIO | None = None
        if not path.parent.is_dir():
            raise UsageError(f"--to-file {path}: there is no folder {path.parent}: make it first")
        if path.is_dir() or (path.exists() and not overwrite):
            raise UsageError(f"--to-file {path} exists: give another name, or --overwrite")

    def begin(self) -> None:
        """Make the file.

        Raises:
            UsageError: it can't be made.
        """
        self.opened()

    def opened(self) -> BinaryIO:
        """Make the file, for one who writes to it directly.

        Raises:
            UsageError: it can't be made.
        """
        try:
            self._file = self.part.open("wb", buffering=1 << 18)
        except OSError as error:
            raise UsageError(f"--to-file {self.path} can't be written: {error.strerror}") from error
        return self._file

    def write(self, data: bytes) -> None:
        """Write on.

        Raises:
            UsageError: the disk is full, or gone.
        """
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            raise UsageError(f"--to-file {self.path} can't be written: {error.strerror}") from error

    def end(self, *, complete: bool) -> None:
        """Put a complete file in its place; what is not complete is removed.

        Raises:
            UsageError: the last of it could not be written.
        """
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with file:
                if complete:
                    file.flush()
                    os.fsync(file.fileno())
            if complete:
                self.part.replace(self.path)
        except OSError as error:
            complete = False
            raise UsageError(f"--to-file {self.path} can't be written: {error.strerror}") from error
        finally:
            if not complete:
                self.part.unlink(missing_ok=True)

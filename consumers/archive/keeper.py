"""An archive directory as its one writer sees it: locked, and moved from one whole state to the next.

A day's new parts are written and verified below ``.partial``; then its new manifest is put beside the old one as
``.json.next``. From there on the change is decided: parts are moved to their places, and the manifest takes the old
one's. A run that was killed before has changed nothing, one that was killed after is finished by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ashare_client.archive import MANIFESTS, ArchiveError, Day, load
from schemas import UsageError

STAGING = ".partial"
_LOCK = ".lock"
_NEXT, _NEW = ".next", ".new"


class Keeper:
    """The writer of an archive, while it is entered."""

    def __init__(self, directory: Path) -> None:
        """Nothing is touched yet."""
        self.directory = directory
        self.staging = directory / STAGING
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Lock the directory, made where it is missing; finish what a killed run had decided, clear what it had not.

        Raises:
            UsageError: it is not writable, or another process is writing it.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            self._take()
            self._recover()
        except OSError as error:
            self._release()
            raise UsageError(
                f"{self.directory} can't be used as an archive: {error.strerror}: {error.filename or ''}"
            ) from error
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was decided and cut short, clear what was not decided, and unlock.

        What is decided and can't be finished now, as the disk refuses it, keeps its parts: the next run finishes it.
        """
        try:
            with contextlib.suppress(OSError, UsageError):
                for decided in self._decided():
                    self._finish(decided)
            if not self._decided():
                shutil.rmtree(self.staging, ignore_errors=True)
        finally:
            self._release()

    def commit(self, day: Day) -> None:
        """Make a manifest, and the parts of it that are staged, the archive's.

        Raises:
            UsageError: the disk refused it; the text says whether the day is as it was, or will be as it was to be.
        """
        path = self.directory / MANIFESTS / day.topic / f"{day.date}.json"
        new, decided = path.with_suffix(f".json{_NEW}"), path.with_suffix(f".json{_NEXT}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(day), indent=1))
                file.flush()
                os.fsync(file.fileno())
            staged = [self.staging / part.file for part in day.parts]
            _sync([path for path in staged if path.exists()], self.staging)
            new.rename(decided)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise UsageError(f"{path} could not be written ({error.strerror}): the day is as it was") from error
        try:
            _sync([decided], self.directory)
            self._finish(decided)
        except OSError as error:
            raise UsageError(
                f"{path} could not be finished ({error.strerror}): the day is decided, and the next `ashare archive`"
                " finishes it"
            ) from error

    def _take(self) -> None:
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            raise UsageError(
                f"{self.directory} is being written by another `ashare archive`"
                f"{f' (process {owner})' if owner else ''}: wait until it is done"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _recover(self) -> None:
        for decided in self._decided():
            self._finish(decided)
        manifests = self.directory / MANIFESTS
        for new in manifests.glob(f"*/*.json{_NEW}"):
            new.unlink()
        if self.staging.exists():
            shutil.rmtree(self.staging)

    def _decided(self) -> list[Path]:
        """Manifests that were decided on and are not in their places."""
        return sorted((self.directory / MANIFESTS).glob(f"*/*.json{_NEXT}"))

    def _finish(self, decided: Path) -> None:
        """Do what a manifest that was decided on says, as far as it is not done."""
        try:
            day = load(decided)
        except ArchiveError as error:
            raise UsageError(str(error)) from error
        whole = {Path(part.file).parent.parent for part in day.parts}
        for folder in whole:
            # A day's first parts come in one move, for those who look at the files alone.
            target = self.directory / folder
            if not target.exists() and (self.staging / folder).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.staging / folder).rename(target)
        for part in day.parts:
            staged, placed = self.staging / part.file, self.directory / part.file
            if staged.exists():
                placed.parent.mkdir(parents=True, exist_ok=True)
                staged.rename(placed)
            elif not placed.exists():
                raise UsageError(
                    f"{placed} is missing, and {decided} was about to be finished: restore the one or remove the other"
                )
        _sync([self.directory / part.file for part in day.parts], self.directory)
        decided.rename(decided.with_suffix(""))
        _sync([decided], self.directory)


def _sync(paths: Iterable[Path], root: Path) -> None:
    """Have the names of paths, up to a directory above them, on the disk."""
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(root)}
    for folder in sorted(folders, reverse=True):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

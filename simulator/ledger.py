"""The ledger: what was sent to each connection, for whoever checks what became of it.

``connection-NNNN.jsonl`` holds a line ``{"ticks":[…]}`` for each frame of ticks: of the post's feed the very bytes, of
the others what a right client makes of the frame, with only those fields that the feed carries. What a connection was
not sent in a gap is in ``withheld-connection-NNNN.jsonl``, and each injected fault is a line of ``faults.jsonl``, when
it is over. Withheld pages and the market's say ``at`` which time each line was due, µs since the epoch.

Where connections are ended in turn (``--kill-line-every``), and with ``--market-page``, ``market.jsonl`` has each tick
once, whoever was sent it. Of feeds that push the day's sums, whose ticks depend on what the connection was sent before,
it is there only when asked for: price and time are what counts in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from schemas import UsageError

FINISHED = "finished.json"
FAULTS = "faults"
MARKET = "market"
_BUFFER = 1 << 20


class Ledger:
    """A folder with one file a connection, a line of JSON for each frame, and ``finished.json`` at the end."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            UsageError: it can't be made, or already holds a ledger.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.glob("*.jsonl")) or (folder / FINISHED).exists():
                raise UsageError(f"{folder} already holds a ledger: remove it, or name another folder with --ledger")
        except OSError as error:
            raise UsageError(f"no ledger can be kept in {folder}: {error.strerror}") from error

    def open(self, name: str) -> Page:
        """The file of a new connection, ``NAME.jsonl``."""
        path = self._folder / f"{name}.jsonl"
        try:
            return Page(path, path.open("xb", buffering=_BUFFER))
        except OSError as error:
            raise UsageError(f"{path}: can't write the ledger: {error.strerror}") from error

    def finish(self, summary: dict[str, Any]) -> None:
        """Write ``finished.json``, whole or not at all: its presence says that nothing more will be sent.

        Raises:
            UsageError: the disk is full or gone.
        """
        path = self._folder / FINISHED
        part = path.with_suffix(".part")
        try:
            part.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
            part.replace(path)
        except OSError as error:
            raise UsageError(f"{path}: can't write the ledger: {error.strerror}") from error


class Page:
    """One connection's file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Made by ``Ledger.open``."""
        self._path = path
        self._file = file

    def write(self, frames: Sequence[bytes]) -> None:
        """Add the frames of one push round and flush them.

        Raises:
            UsageError: the disk is full or gone: a ledger with holes would be worth nothing.
        """
        try:
            self._file.write(b"\n".join(frames) + b"\n")
            self._file.flush()
        except OSError as error:
            raise UsageError(f"{self._path}: can't write the ledger: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; what was written is flushed already."""
        self._file.close()

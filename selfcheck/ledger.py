"""What the market sent: the simulator's ledger, read as a stream.

``DIR/connection-NNNN.jsonl`` holds the frames of one connection as they went out, one a line; ``DIR/finished.json``
appears when the market has stopped pushing.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfcheck.gaps import whole_tape
from selfcheck.reference import SessionReference

Json = dict[str, Any]

SENT_FIELDS = ("price", "time", "volume", "turnover", "side", "previous_close")
"""Fields of a pushed tick, besides its code; what a tick leaves out is ``None``."""


class LedgerError(Exception):
    """The ledger can't be read, or contradicts itself; no comparison is possible."""


@dataclass(frozen=True)
class Finished:
    """The ledger's own summary: ticks sent, and when the first and last left (µs since the epoch)."""

    ticks: int
    started: int
    ended: int

    @property
    def seconds(self) -> float:
        """How long the market pushed."""
        return max(self.ended - self.started, 1) / 1e6


def finished(directory: Path, *, doubled: bool = False) -> Finished | None:
    """The summary, or ``None`` while the market still runs; ``doubled`` as for ``sent_ticks``."""
    try:
        found = json.loads((directory / "finished.json").read_text("utf-8"))
        sent = int(found["market" if doubled else "ticks"])
        return Finished(sent, int(found["started"]), int(found["ended"]))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError:
        return None  # it is being written
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"{directory}/finished.json: {error!r}") from error


def sent_ticks(directory: Path, *, doubled: bool = False) -> Iterator[Json]:
    """Every tick that was sent, connection by connection, in the order of sending.

    Args:
        doubled: two connections were sent the same ticks, and each tick is to be given once (``gaps.whole_tape``).

    Raises:
        LedgerError: a line is no frame, or there is no connection at all.
    """
    files = list(whole_tape(directory)) if doubled else sorted(directory.glob("connection-*.jsonl"))
    if not files:
        raise LedgerError(f"no connection-*.jsonl in {directory}")
    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield from json.loads(line).get("ticks", ())
                except (ValueError, AttributeError) as error:
                    raise LedgerError(f"{file}:{number}: no frame: {error}") from error


def fingerprint(tick: Json) -> int:
    """64 bits that stand for a tick's sent fields, within this process; equal numbers are equal however written."""
    get = tick.get
    return hash((get("price"), get("time"), get("volume"), get("turnover"), get("side"), get("previous_close")))


@dataclass
class Ledger:
    """The ledger in memory: eight bytes a tick, and one session a code.

    Attributes:
        marks: by code, the fingerprints of its ticks as they were sent.
        sessions: what each code's snapshot must be.
    """

    directory: Path
    marks: dict[str, array[int]]
    sessions: SessionReference
    ticks: int
    doubled: bool = False

    @classmethod
    def read(cls, directory: Path, *, doubled: bool = False) -> Ledger:
        """Read the whole ledger; ``doubled`` as for ``sent_ticks``.

        Raises:
            LedgerError: see ``sent_ticks``; or the summary counts other ticks than the lines hold.
        """
        marks: dict[str, array[int]] = {}
        sessions = SessionReference()
        count = 0
        for tick in sent_ticks(directory, doubled=doubled):
            code = tick["code"]
            count += 1
            if code not in marks:
                marks[code] = array("q")
            marks[code].append(fingerprint(tick))
            sessions.apply(tick)
        summary = finished(directory, doubled=doubled)
        if summary is not None and summary.ticks != count:
            raise LedgerError(f"{directory}: finished.json says {summary.ticks} ticks, the lines hold {count}")
        return cls(directory, marks, sessions, count, doubled)

    def look_up(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Json]:
        """The ticks at (code, position among the code's ticks), by reading the files again: for a few examples."""
        found: dict[tuple[str, int], Json] = {}
        seen: dict[str, int] = {code: 0 for code, _ in wanted}
        for tick in sent_ticks(self.directory, doubled=self.doubled):
            if len(found) == len(wanted):
                break
            code = tick["code"]
            if code in seen:
                place = (code, seen[code])
                if place in wanted:
                    found[place] = tick
                seen[code] += 1
        return found

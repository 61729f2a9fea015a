"""What the market sent: the simulator's ledger, read as a stream.

``DIR/connection-NNNN.jsonl`` holds the frames of one connection as they went out, one a line; ``DIR/finished.json``
appears when the market has stopped pushing.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfcheck.books import PUSHED, mark
from selfcheck.gaps import whole_tape

Json = dict[str, Any]

SENT_FIELDS = ("price", "time", "volume", "turnover", "side", "previous_close")
"""Fields of a pushed tick, besides its code; what a tick leaves out is ``None``."""


Tape = Literal["sent", "doubled", "market"]
"""What is due: all that connections were sent; what two connections were sent, once; all ticks of the market."""


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


def finished(directory: Path, tape: Tape = "sent") -> Finished | None:
    """The summary, or ``None`` while the market still runs."""
    try:
        found = json.loads((directory / "finished.json").read_text("utf-8"))
        sent = int(found["ticks" if tape == "sent" else "market"])
        return Finished(sent, int(found["started"]), int(found["ended"]))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError:
        return None  # it is being written
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"{directory}/finished.json: {error!r}") from error


def frames(directory: Path, tape: Tape = "sent") -> Iterator[tuple[int | None, list[Json]]]:
    """Every frame: when it was entered, where its page says so (µs since the epoch), and its ticks, in order.

    Raises:
        LedgerError: a line is not a frame, or there is no page at all.
    """
    if tape == "doubled":
        files = list(whole_tape(directory))
    else:
        files = sorted(directory.glob("market.jsonl" if tape == "market" else "connection-*.jsonl"))
    if not files:
        raise LedgerError(f"no {'market' if tape == 'market' else 'connection-*'}.jsonl in {directory}")
    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    frame = json.loads(line)
                    yield frame.get("at"), frame.get("ticks", [])
                except (ValueError, AttributeError) as error:
                    raise LedgerError(f"{file}:{number}: no frame: {error}") from error


def sent_ticks(directory: Path, tape: Tape = "sent") -> Iterator[Json]:
    """Every tick that was sent, connection by connection, in the order of sending.

    Raises:
        LedgerError: see ``frames``.
    """
    for _, ticks in frames(directory, tape):
        yield from ticks


def fingerprint(tick: Json) -> int:
    """64 bits that stand for a tick's sent fields, within this process; equal numbers are equal however written."""
    get = tick.get
    return hash((get("price"), get("time"), get("volume"), get("turnover"), get("side"), get("previous_close")))


@dataclass
class Ledger:
    """The ledger in memory: eight bytes a tick, and as many for what is beside it.

    Attributes:
        marks: by code, the fingerprints of its ticks as they were sent.
        besides: by code, the marks of what was sent beside them; empty where that was not asked for.
    """

    directory: Path
    marks: dict[str, array[int]]
    ticks: int
    tape: Tape = "sent"
    besides: dict[str, array[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path, tape: Tape = "sent", *, books: bool = False) -> Ledger:
        """Read the whole ledger, with or without the book and the day's figures beside each tick.

        Raises:
            LedgerError: see ``frames``; or the summary counts other ticks than the lines hold.
        """
        marks: dict[str, array[int]] = {}
        besides: dict[str, array[int]] = {}
        count = 0
        for tick in sent_ticks(directory, tape):
            code = tick["code"]
            count += 1
            if code not in marks:
                marks[code], besides[code] = array("q"), array("q")
            marks[code].append(fingerprint(tick))
            if books:
                besides[code].append(mark(tick, PUSHED))
        summary = finished(directory, tape)
        if summary is not None and summary.ticks != count:
            raise LedgerError(f"{directory}: finished.json says {summary.ticks} ticks, the lines hold {count}")
        return cls(directory, marks, count, tape, besides if books else {})

    def find(self, wanted: Collection[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], Json, int | None]]:
        """The ticks at (code, position among the code's ticks) and when they were entered, by reading once more."""
        left = len(wanted)
        seen: dict[str, int] = {code: 0 for code, _ in wanted}
        for at, ticks in frames(self.directory, self.tape) if left else ():
            for tick in ticks:
                code = tick["code"]
                if code in seen:
                    place = (code, seen[code])
                    seen[code] += 1
                    if place in wanted:
                        yield place, tick, at
                        left -= 1
            if not left:
                return

    def look_up(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Json]:
        """Those ticks by place: for a few examples."""
        return {place: tick for place, tick, _ in self.find(wanted)}
